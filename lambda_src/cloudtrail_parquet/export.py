"""The records of a dataset again, as CloudTrail delivered them."""

from collections.abc import Callable, Iterator

import pyarrow.parquet as pq

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, unit_of
from cloudtrail_parquet.restore import restore_json
from cloudtrail_parquet.storage import Store

_BATCH_ROWS = 4096


def export(dataset: Store, wanted: Callable[[Unit], bool]) -> Iterator[str]:
    """Yield each record of the wanted partitions as JSON text, partition by partition.

    Raises:
        UsageError: There are no partitions at all.
    """
    empty = True
    for entry in dataset.files(""):
        unit = unit_of(entry.key)
        empty = empty and unit is None
        if unit is None or not wanted(unit):
            continue
        with dataset.open(entry.key) as file, pq.ParquetFile(file) as part:
            for batch in part.iter_batches(_BATCH_ROWS):
                for text in map(restore_json, batch.to_pylist()):
                    yield text.replace("\n", " ").replace(
                        "\r", " "
                    )  # white space: strings escape theirs
    if empty:
        raise UsageError("no partitions", dataset.uri, "Name the folder that convert has written")
