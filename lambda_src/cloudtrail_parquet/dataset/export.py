"""Exporting the records of a dataset as CloudTrail delivered them."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.layout import Unit, unit_of
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.source.discover import check_known
from cloudtrail_parquet.storage import ReadStore

_BATCH_ROWS = 4096


def export_records(
    dataset: ReadStore,
    wanted: Callable[[Unit], bool],
    accounts: Iterable[str] = (),
    regions: Iterable[str] = (),
) -> Iterator[str]:
    """Each record of the wanted partitions as JSON text, partition by partition.

    Args:
        dataset: Holds the partitions.
        wanted: Selects units.
        accounts: Accounts that must have partitions.
        regions: Regions that must have partitions.

    Returns:
        Texts without line ends. One of a part that is damaged is a `StorageError`; the records
        before the damage have been given.

    Raises:
        UsageError: No partition is wanted, or an account or region has none; lists those that do.
    """
    return _texts(dataset, _wanted(dataset, wanted, accounts, regions))


def _texts(dataset: ReadStore, keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        with readable(dataset, key), dataset.open(key) as file:
            part = pq.ParquetFile(file, page_checksum_verification=True)
            for batch in part.iter_batches(_BATCH_ROWS):
                for text in map(restore_json, batch.to_pylist()):
                    yield text.replace("\n", " ").replace(
                        "\r", " "
                    )  # white space: strings escape theirs


def _wanted(
    dataset: ReadStore,
    wanted: Callable[[Unit], bool],
    accounts: Iterable[str],
    regions: Iterable[str],
) -> list[str]:
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
    check_known("account", accounts, {unit.account for unit in known}, dataset.uri)
    check_known("region", regions, {unit.region for unit in known}, dataset.uri)
    if not keys:
        accounts, regions, days = (sorted(set(values)) for values in zip(*known, strict=True))
        what = "no partitions of the accounts, regions and days asked for"
        hint = (
            f"There are: accounts {listed(accounts)}; regions {listed(regions)};"
            f" days from {days[0]} to {days[-1]}"
        )
        raise UsageError(what, dataset.uri, hint)
    return keys
