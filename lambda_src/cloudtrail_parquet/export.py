"""The records of a dataset again, as CloudTrail delivered them."""

from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Unit, unit_of
from cloudtrail_parquet.parts import readable
from cloudtrail_parquet.restore import restore_json
from cloudtrail_parquet.storage import Store

_BATCH_ROWS = 4096


def export(dataset: Store, wanted: Callable[[Unit], bool]) -> Iterator[str]:
    """Yield each record of the wanted partitions as JSON text, partition by partition.

    Raises:
        UsageError: None is wanted; says which there are.
        StorageError: A part is damaged; the records before the damage have been given.
    """
    for key in _wanted(dataset, wanted):
        with readable(dataset, key), dataset.open(key) as file:
            part = pq.ParquetFile(file, page_checksum_verification=True)
            for batch in part.iter_batches(_BATCH_ROWS):
                for text in map(restore_json, batch.to_pylist()):
                    yield text.replace("\n", " ").replace(
                        "\r", " "
                    )  # white space: strings escape theirs


def _wanted(dataset: Store, wanted: Callable[[Unit], bool]) -> list[str]:
    """The keys of the parts of the wanted partitions."""
    known, keys = set[Unit](), list[str]()
    for entry in dataset.files(""):
        unit = unit_of(entry.key)
        if unit is not None:
            known.add(unit)
            if wanted(unit):
                keys.append(entry.key)
    if not known:
        raise UsageError("no partitions", dataset.uri, "Name the folder that convert has written")
    if not keys:
        accounts, regions, days = (sorted(set(names)) for names in zip(*known, strict=True))
        what = "no partitions of the accounts, regions and days asked for"
        hint = (
            f"There are: accounts {listed(accounts)}; regions {listed(regions)};"
            f" days from {days[0]} to {days[-1]}"
        )
        raise UsageError(what, dataset.uri, hint)
    return keys
