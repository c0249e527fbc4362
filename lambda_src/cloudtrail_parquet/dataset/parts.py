"""Reading parts back: their footers, and the keys of their rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.formats.eventtime import to_us
from cloudtrail_parquet.layout import Place, Unit, partition
from cloudtrail_parquet.records.keys import key_without_id, place_salt
from cloudtrail_parquet.schema.columns import METADATA_PREFIX, RECORD_VERSION, SCHEMA_VERSION
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.storage.locations import KINDS, kind_of
from cloudtrail_parquet.version import __version__

_WITHOUT_ID = ["eventTime", "eventSource", "eventName", "sourceIPAddress"]


def parts_in(dataset: ReadStore, unit: Unit, layout: PartitionLayout) -> list[Entry]:
    """The objects in the partition of a unit, by key."""
    return list(dataset.files(partition(unit, layout)))


def no_parts(dataset: ReadStore) -> UsageError:
    """The error for a location that holds no parts of a dataset; says what else it holds."""
    hint = "Name the folder that convert has written"
    kind = kind_of(dataset)
    if kind == "source":
        hint = "Convert them first, and name the folder that convert has written"
    elif kind == "state":
        hint = f"Name the dataset itself, most likely {dataset.uri.removesuffix('.state')}"
    what = "holds no parts of a dataset"
    if kind in {"source", "state"}:
        what = f"holds {KINDS[kind]}, not a dataset"
    return UsageError(what, dataset.uri, hint)


@contextmanager
def readable(dataset: ReadStore, key: str) -> Iterator[None]:
    """A context for reading a part: whatever its bytes make a reader raise becomes our error.

    Raises:
        StorageError: The part is damaged, or the store cannot read it.
    """
    try:
        yield
    except (OSError, ValueError, ArithmeticError, LookupError, pa.ArrowException) as error:
        what = f"the part is damaged ({str(error).partition(chr(10))[0] or type(error).__name__})"
        hint = (
            "Convert its day again, for a straggler the day in its name; "
            "or remove it first, if the log files are still there"
        )
        raise StorageError(what, f"{dataset.uri}/{key}", hint) from error


def read_footer(dataset: ReadStore, key: str) -> pq.FileMetaData:
    """The footer of a part.

    Raises:
        StorageError: The part is damaged or gone.
    """
    with readable(dataset, key), dataset.open(key) as file:
        return pq.read_metadata(file)


def footer_value(footer: pq.FileMetaData, name: str) -> str:
    """What a footer says about how its part was made; empty if it does not say."""
    value: bytes = (footer.metadata or {}).get(f"{METADATA_PREFIX}{name}".encode(), b"")
    return value.decode(errors="replace")


def footer_values(owner: str, source_fingerprint: str, settings: str) -> dict[str, str]:
    """What the footer of each part says about its origin; the same for the same source.

    Args:
        owner: The name of the unit that it was made for.
        source_fingerprint: That of the log files that it was made of.
        settings: The settings that files depend on, as a JSON object.
    """
    facts = {
        "converter": __version__,
        "schema_version": SCHEMA_VERSION,
        "record_version": RECORD_VERSION,
        "owner": owner,
        "source_fingerprint": source_fingerprint,
        "settings": settings,
    }
    return {METADATA_PREFIX + name: str(value) for name, value in facts.items()}


def says(footer: pq.FileMetaData, values: Mapping[str, str]) -> bool:
    """Whether a footer says of the origin of its part what `footer_values` gave."""
    there = footer.metadata or {}
    return all(there.get(name.encode()) == value.encode() for name, value in values.items())


def row_group_keys(part: pq.ParquetFile, row_group: int) -> pa.Array:
    """The keys of a row group's rows, int64, as `records.keys` makes them from records."""
    ids = part.read_row_group(row_group, columns=["eventID"])["eventID"].to_pylist()
    keys = list(map(hash, ids))
    if None in ids:
        rows = part.read_row_group(row_group, columns=_WITHOUT_ID).to_pylist()
        for number, row in enumerate(rows):
            if ids[number] is None:
                time, source, name, address = (row[column] for column in _WITHOUT_ID)
                keys[number] = key_without_id(to_us(time), source, name, address)
    return _salted(part, row_group, pa.array(keys, pa.int64()))


def _salted(part: pq.ParquetFile, row_group: int, keys: pa.Array) -> pa.Array:
    """Keys made different for each place, if rows name theirs."""
    columns = place_columns(part.metadata)
    if not columns:
        return keys
    places = part.read_row_group(row_group, columns=columns)
    values = zip(*(places[name].to_pylist() for name in columns), strict=True)
    return pc.add(keys, pa.array(list(map(place_salt, values)), pa.int64()))


def place_columns(footer: pq.FileMetaData) -> list[str]:
    """Which of account and region are columns of a part: the last ones of a folded layout."""
    last = range(max(0, footer.num_columns - len(Place._fields)), footer.num_columns)
    paths = (footer.schema.column(number).path for number in last)
    return [path for path in paths if path in Place._fields]
