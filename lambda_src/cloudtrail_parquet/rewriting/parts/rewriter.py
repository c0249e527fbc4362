"""One part made of another: its rows read, changed, arranged, and written."""

from collections import Counter
from typing import NamedTuple

import pyarrow as pa

from cloudtrail_parquet.contract import MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.dataset.parts import footer_values, readable
from cloudtrail_parquet.dataset.writer import PartsWriter, in_background
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.rewriting.parts.arrange import Arranger, clustered
from cloudtrail_parquet.rewriting.parts.files import ReadPart, read_part
from cloudtrail_parquet.rewriting.parts.rows import RowChanger
from cloudtrail_parquet.rewriting.wanted import Wanted
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.storage import Entry, ReadStore, Staging, is_bucket
from cloudtrail_parquet.wording import size_of

_WHOLE_BYTES = 1 << 62  # of a part that is not divided


class NewPart(NamedTuple):
    """A part that was made of another one.

    Attributes:
        part: The part; None if rules have discarded all of its rows.
        read: How many rows the other one has.
        changer: What was changed of the rows.
        inexact: Rows of which ``unmapped`` keeps an exact text, by name, as the writer has counted.
    """

    part: Part | None
    read: int
    changer: RowChanger
    inexact: Counter[str]


def rewrite_part(
    dataset: ReadStore, entry: Entry, unit: Unit, wanted: Wanted, staging: Staging
) -> NewPart:
    """Stage a part under its own name.

    Args:
        dataset: Holds the part.
        entry: The part, as it was listed.
        unit: The unit that owns it.
        wanted: What it is to be like.
        staging: Receives the new part.

    Raises:
        PartitionsChangedError: It is another one by now.
        StorageError: It is damaged.
        UsageError: It is of a newer schema, or would become too large for a bucket.
    """
    with read_part(dataset, entry) as file, readable(dataset, entry.key):
        changer = RowChanger(wanted.changes(file.schema_version, file.settings))
        writer = PartsWriter(
            staging,
            wanted.options.writer._replace(part_bytes=_WHOLE_BYTES),
            footer_values(unit.name, file.says("source_fingerprint"), wanted.shaping_json),
            lambda _: entry.key,
        )
        with writer:
            _write(file, unit, wanted, changer, writer)
        part = next(iter(writer.parts), None)
        rows: int = file.file.metadata.num_rows
    if part is not None and part.bytes > MAX_BUCKET_PART_BYTES and is_bucket(dataset.uri):
        what = f"the part would have {size_of(part.bytes)}, more than one request can put"
        hint = "Rewrite the dataset into another one, where it becomes several parts"
        raise UsageError(what, file.where, hint)
    return NewPart(part, rows, changer, writer.inexact)


def _write(
    file: ReadPart, unit: Unit, wanted: Wanted, changer: RowChanger, writer: PartsWriter
) -> None:
    options, settings = wanted.options.rows, file.settings
    is_as_is = False

    def write(table: pa.Table) -> None:
        if is_as_is:
            writer.write_as_is(table)
        else:
            writer.write(table)

    with in_background(write) as submit:
        arranger = Arranger(options, submit) if wanted.regroups(settings) else None
        sorts = wanted.sorts(settings)
        for group in file.row_groups():
            rows = changer.changed(group, unit.span, file.where)
            is_as_is = rows.in_files
            if not rows.table.num_rows:
                continue
            if arranger is not None:
                arranger.add(rows.table)
            else:
                submit(clustered(rows.table, options) if sorts else rows.table)
        if arranger is not None:
            arranger.finish()
