"""Reading parts that are to be made anew: one request each, row group by row group."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.conversion.publish import PartitionsChangedError
from cloudtrail_parquet.dataset.parts import footer_value, readable
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.rewriting.parts.upgraded import NEWER
from cloudtrail_parquet.schema.columns import SCHEMA, SCHEMA_VERSION
from cloudtrail_parquet.storage import Entry, ReadStore


class ReadPart(NamedTuple):
    """A part that is being read.

    Attributes:
        key: Its key.
        file: It.
        where: It, for errors.
    """

    key: str
    file: pq.ParquetFile
    where: str

    @property
    def schema_version(self) -> int:
        """The version of the schema of its rows; 0 if it does not say."""
        text = self.says("schema_version")
        return int(text) if text.isdecimal() else 0

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it was made with; none if it does not say."""
        try:
            return msgspec.json.decode(self.says("settings"), type=dict[str, Any])
        except msgspec.DecodeError:
            return {}

    def says(self, name: str) -> str:
        """What its footer says about how it was made; empty if it does not."""
        return footer_value(self.file.metadata, name)

    def row_groups(self) -> Iterator[pa.Table]:
        """Its row groups, in order."""
        for number in range(self.file.num_row_groups):
            yield self.file.read_row_group(number)


@contextmanager
def read_part(dataset: ReadStore, entry: Entry) -> Iterator[ReadPart]:
    """A context for reading a part as it was listed.

    A part that a bucket could hold is fetched whole, by one request; a larger one is on a disk.

    Raises:
        PartitionsChangedError: It is another one by now, or gone.
        StorageError: It is damaged, or the store cannot read it.
        UsageError: It is of a newer schema.
    """
    with readable(dataset, entry.key):
        if entry.size > MAX_BUCKET_PART_BYTES:
            with dataset.open(entry.key) as file:
                yield _opened(dataset, entry.key, file)
            return
        stored = dataset.look(entry.key)
        if stored is None or stored.version != entry.version:
            raise PartitionsChangedError(entry.key)
        yield _opened(dataset, entry.key, pa.BufferReader(stored.data))


def _opened(dataset: ReadStore, key: str, file: Any) -> ReadPart:  # noqa: ANN401 - any file
    part = ReadPart(
        key, pq.ParquetFile(file, page_checksum_verification=True), f"{dataset.uri}/{key}"
    )
    names = {*SCHEMA.names, *Place._fields}
    unknown = [name for name in part.file.schema_arrow.names if name not in names]
    if unknown or part.schema_version > SCHEMA_VERSION:
        told = f": {listed(unknown)}" if unknown else f", of schema {part.schema_version}"
        what = f"it has columns that this version does not know{told}"
        raise UsageError(what, part.where, NEWER)
    return part
