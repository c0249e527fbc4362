"""A dataset, its records as log files, and the dataset that these become: the same rows."""

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import hypothesis
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset import delivered
from cloudtrail_parquet.dataset.delivered import MARK, WrittenTree, write_tree
from cloudtrail_parquet.dataset.export import ExportedParts, parts_to_export
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import unwrap
from cloudtrail_parquet.layout import Place, Unit, owner_day, span_of, unit_of
from cloudtrail_parquet.settings.settings import OPTIONAL_LOG_FOLDERS, Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.storage import Store, open_store
from tests.builders import WritableStores, log_file, log_key, odd_records, record
from tests.layouts import LAYOUTS
from tests.unit.deliveries import memory

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
INSIGHT = "CloudTrail-Insight"
ACCOUNTS = [
    "000000000012",
    "210987654321",
    "my account",
    "o-abcdefghij",
    "a%2Fb=é",
    "+_CloudTrail_",
]
PLACES = [Place(account, region) for account in ACCOUNTS for region in ("eu-central-1", "x_y")]


class Delivered(NamedTuple):
    """A log file that is delivered."""

    place: Place
    folder: str
    at: datetime
    records: list[object]


Row = tuple[Place, date, str]


def stores_of(files: Iterable[Delivered]) -> WritableStores:
    stores = memory()
    for number, (place, folder, at, records) in enumerate(files):
        key = log_key(*place, at, unique=f"{number:016d}", folder=folder).removeprefix("AWSLogs/")
        stores.source.write(key, log_file(*records))
    return stores


def convert(stores: WritableStores, settings: Settings) -> WritableStores:
    found = discover(stores.source, settings.folders)
    of_places = units(stores.source, found, settings.window)
    layout = settings.partition_layout
    for unit in sorted({Unit(*span_of(unit.span, layout), unit.day) for unit in of_places}):
        convert_unit(unit, found.trails_of(unit), stores, settings)
    return stores


def write(exported: ExportedParts, tree: Store, threads: int = 1, **options: bool) -> WrittenTree:
    written = WrittenTree()
    for partition in write_tree(exported, tree, threads, **options):
        written.add(partition)
    return written


def tree_of(dataset: Store, threads: int = 1) -> WritableStores:
    """Stores whose source holds the records of a dataset."""
    above, stores = open_store("memory:///"), memory()
    write(parts_to_export(dataset), above, threads)
    for key, data in contents(above).items():
        stores.source.write(key.removeprefix("AWSLogs/"), data)
    return stores


def contents(store: Store) -> dict[str, bytes]:
    return {entry.key: store.read(entry.key) for entry in store.files("")}


def rows_in(dataset: Store) -> dict[Row, list[date]]:
    """The days of the units that own each row; more than one if it is there several times."""
    found = defaultdict[Row, list[date]](list)
    for entry in dataset.files(""):
        unit = unit_of(entry.key)
        assert unit is not None
        owner = owner_day(entry.key, unit.day)
        assert owner is not None
        table = pq.read_table(io.BytesIO(dataset.read(entry.key)), partitioning=None)
        for row in table.to_pylist():
            place = Place(row.pop("account", unit.account), row.pop("region", unit.region))
            if row["unmapped"]:  # members of typed structs come first in what is delivered again
                row["unmapped"] = jsontext.canonical(unwrap(row["unmapped"].encode()))
            found[place, unit.day, repr(row)].append(owner)
    return found


categories = st.sampled_from(["Management", "Insight", "NetworkActivity", "Data", None, 7])
usual_records = st.builds(
    lambda number, time, category: record(
        eventID=f"id-{number}", eventTime=time, eventCategory=category
    ),
    st.integers(0, 30),
    st.sampled_from(["2026-01-10T12:00:00Z", "2026-01-09T23:59:00Z", "2025-12-31T00:00:00Z"]),
    categories,
)
aggregated_records = st.builds(
    lambda number, hour: {
        "eventVersion": "1.0",
        "accountId": ACCOUNTS[0],
        "eventId": f"id-{number}",
        "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent",
        "timeWindow": {"windowStart": f"2026-01-10T{hour:02}:00:00Z", "windowSize": "PT5M"},
    },
    st.integers(0, 5),
    st.integers(0, 23),
)
times = st.integers(-2000, 2000).map(lambda minutes: NOON + timedelta(minutes=minutes))
log_files = st.builds(
    Delivered,
    st.sampled_from(PLACES),
    st.sampled_from(["CloudTrail", "CloudTrail", *OPTIONAL_LOG_FOLDERS]),
    times,
    st.lists(st.one_of(odd_records, usual_records, aggregated_records), min_size=1, max_size=4),
)


@hypothesis.settings(max_examples=40)
@given(
    files=st.lists(log_files, min_size=1, max_size=5),
    layout=st.sampled_from(LAYOUTS),
    data=st.data(),
)
def test_what_is_exported_and_converted_again_gives_the_same_rows(
    files: list[Delivered], layout: PartitionLayout, data: st.DataObject
) -> None:
    further = data.draw(st.sampled_from([[], [INSIGHT], OPTIONAL_LOG_FOLDERS]))
    encoding = data.draw(st.sampled_from(["string", "variant"]))
    settings = make_settings(
        partition_layout=layout, folders=["CloudTrail", *further], json_encoding=encoding
    )
    dataset = convert(stores_of(files), settings).dataset
    if not any(dataset.files("")):
        return

    before, again = rows_in(dataset), rows_in(convert(tree_of(dataset), settings).dataset)

    assert again.keys() == before.keys()
    for row, (owner, *more) in again.items():
        assert owner in before[row]
        assert not more  # of records that differed only in what was null, one is left


def events(count: int, *, first: int = 0, **changes: object) -> list[object]:
    return [record(eventID=f"id-{first + number}", **changes) for number in range(count)]


def keys_of(tree: Store) -> list[str]:
    """Folders of logs, regions and days of the log files, which lie in the folders of accounts."""
    found = []
    for entry in tree.files(""):
        root, account, folder, region, *day, name = entry.key.split("/")
        stamp = f"{account}_{folder}_{region}_{''.join(day)}T1200Z_"
        assert (root, name.startswith(stamp), name.endswith(".json.gz")) == ("AWSLogs", True, True)
        found.append("/".join([folder, region, *day]))
    return found


def test_records_lie_in_the_folders_of_their_categories_if_the_dataset_has_those() -> None:
    files = [
        Delivered(PLACES[0], "CloudTrail", NOON, events(2, eventCategory="NetworkActivity")),
        Delivered(PLACES[0], INSIGHT, NOON, events(1, first=2, eventCategory="Insight")),
    ]
    tree = open_store("memory:///")
    dataset = convert(stores_of(files), make_settings(folders=["CloudTrail", INSIGHT])).dataset

    written = write(parts_to_export(dataset), tree)

    day = "eu-central-1/2026/01/10"
    assert keys_of(tree) == [f"CloudTrail-Insight/{day}", f"CloudTrail/{day}"]
    assert written.folders == {"CloudTrail", INSIGHT}
    assert (written.records, written.files, written.parts) == (3, 2, 1)
    assert written.bytes == sum(map(len, contents(tree).values()))


def test_a_straggler_lies_in_the_folder_of_the_day_that_has_delivered_it() -> None:
    late = Delivered(PLACES[0], "CloudTrail", NOON + timedelta(days=5), events(1))
    tree = open_store("memory:///")

    write(parts_to_export(convert(stores_of([late]), Settings()).dataset), tree)

    assert keys_of(tree) == ["CloudTrail/eu-central-1/2026/01/15"]


@pytest.fixture
def dataset() -> Store:
    """Two days of two places."""
    files = [
        Delivered(place, "CloudTrail", NOON + timedelta(days=day), events(9, eventTime=time))
        for place in PLACES[:2]
        for day, time in enumerate(["2026-01-10T11:00:00Z", "2026-01-11T11:00:00Z"])
    ]
    return convert(stores_of(files), Settings()).dataset


def test_an_export_that_has_failed_goes_on_and_gives_the_same(
    dataset: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, whole = parts_to_export(dataset), open_store("memory:///")
    write(exported, whole)
    tree = open_store("memory:///")

    def write_some(key: str, data: bytes) -> None:
        if "x_y" in key:
            raise StorageError("cannot be written", key, "Make room")
        type(tree).write(tree, key, data)

    monkeypatch.setattr(tree, "write", write_some)
    with pytest.raises(StorageError, match="Make room"):
        write(exported, tree)
    monkeypatch.undo()
    assert contents(tree).keys() - contents(whole).keys() == {MARK}
    assert len(contents(tree)) < len(contents(whole))

    write(exported, tree, threads=3)
    assert contents(tree) == contents(whole)


def test_an_export_that_nobody_follows_any_more_stops(dataset: Store) -> None:
    tree = open_store("memory:///")
    partitions = write_tree(parts_to_export(dataset), tree, threads=1)
    next(partitions)
    partitions.close()

    assert MARK in contents(tree)


def test_another_export_is_not_mixed_with_one_that_was_interrupted(dataset: Store) -> None:
    tree = open_store("memory:///")
    next(write_tree(parts_to_export(dataset, last=date(2026, 1, 10)), tree, threads=1))

    with pytest.raises(UsageError, match="it is not empty"):
        write(parts_to_export(dataset), tree)


def test_a_location_that_is_not_empty_is_refused_unless_it_is_forced(dataset: Store) -> None:
    tree = open_store("memory:///")
    tree.write("notes.txt", b"mine")

    with pytest.raises(UsageError, match="it is not empty"):
        write(parts_to_export(dataset), tree)
    assert contents(tree) == {"notes.txt": b"mine"}
    write(parts_to_export(dataset), tree, force=True)
    assert contents(tree).pop("notes.txt") == b"mine"
    assert len(contents(tree)) == 1 + 4


def test_a_place_that_could_leave_the_folder_is_refused(dataset: Store) -> None:
    (first, *_) = parts_to_export(dataset).entries
    hostile = first.key.replace("account=000000000012", "account=%2E%2E%2F%2E%2E")
    dataset.write(hostile, dataset.read(first.key))
    tree = open_store("memory:///")

    with pytest.raises(StorageError, match="cannot be a folder"):
        write(parts_to_export(dataset), tree)
    assert all(key.startswith(("AWSLogs/000000000012/", MARK)) for key in contents(tree))


def test_what_is_held_of_a_giant_partition_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "HELD_BYTES", 20_000)
    monkeypatch.setattr(delivered, "FILE_BYTES", 20_000)
    giant = Delivered(PLACES[0], "CloudTrail", NOON, events(100))
    dataset, tree = convert(stores_of([giant]), Settings()).dataset, open_store("memory:///")

    write(parts_to_export(dataset), tree)

    texts = [gzip.decompress(data) for data in contents(tree).values()]
    assert max(map(len, texts)) < 21_000
    assert sum(len(json.loads(text)["Records"]) for text in texts) == 100
