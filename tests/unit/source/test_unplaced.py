"""Log files that no unit reads are found wherever they lie, and counted once."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import obstore.store
import pytest

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery, account_roots, discover, units
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.source.siblings import count_siblings, look_into_odd_siblings
from cloudtrail_parquet.source.unplaced import Misplaced, is_log_name
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.storage import Entry, ObjectStore, Store, open_store
from tests.builders import ACCOUNT, REGION, WritableStores, log_file, log_key, record

NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
DAY = date(2026, 1, 10)
SETTINGS = Settings()
FOLDERS = SETTINGS.folders
NAME = log_key(ACCOUNT, REGION, NOON).rpartition("/")[2]
TRAIL = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"
Look = Callable[[Store], Discovery]

PLACES = {
    "the source": "",
    "a folder outside of AWSLogs": "exports/january/",
    "AWSLogs in small letters": f"awslogs/{ACCOUNT}/CloudTrail/{REGION}/2026/01/10/",
    "AWSLogs": "AWSLogs/",
    "an organization": "AWSLogs/o-abcdefghij/",
    "an account": f"AWSLogs/{ACCOUNT}/",
    "the folder of logs": f"AWSLogs/{ACCOUNT}/CloudTrail/",
    "a region": TRAIL,
    "a year": f"{TRAIL}2026/",
    "a month": f"{TRAIL}2026/01/",
    "a day without zeros": f"{TRAIL}2026/1/9/",
    "a day that is none": f"{TRAIL}2026/02/30/",
    "a month that is none": f"{TRAIL}2026/13/01/",
    "a year that is none": f"{TRAIL}20260/01/01/",
    "a day in one folder": f"{TRAIL}2026-01-09/",
    "hive folders": f"{TRAIL}year=2026/month=01/day=10/",
    "a hive folder": f"{TRAIL}dt=2026-01-10/",
    "two folders before the account": f"AWSLogs/a/b/{ACCOUNT}/CloudTrail/{REGION}/2026/01/10/",
    "folders in small letters": f"AWSLogs/{ACCOUNT}/cloudtrail/{REGION}/2026/01/10/",
    "AWSLogs below an account": f"AWSLogs/{ACCOUNT}/AWSLogs/{ACCOUNT}/2026/01/10/",
}


@pytest.fixture(params=["disk", "memory"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store with a log file where it belongs, of this account and of an organization's."""
    store = open_store(tmp_path / "source" if request.param == "disk" else "memory:///")
    for organization in (None, "o-abcdefghij"):
        store.write(log_key(ACCOUNT, REGION, NOON, organization=organization), log_file(record()))
    return store


def found_by_converting(source: Store) -> Discovery:
    found = discover(source, FOLDERS)
    units(source, found, SETTINGS.window)
    count_siblings(source, found)
    return found


def found_by_planning(source: Store) -> Discovery:
    found = discover(source, FOLDERS)
    list(
        plan_units(
            source,
            Receipts(source, datetime.now(UTC)),
            found,
            UnitRange(date.min, date.max),
            "all",
            PlanOptions.of(SETTINGS),
        )
    )
    look_into_odd_siblings(source, found)
    return found


@pytest.mark.parametrize("look", [found_by_converting, found_by_planning])
@pytest.mark.parametrize("place", PLACES)
def test_log_files_that_no_unit_reads_are_counted_by_folder_with_an_example(
    source: Store, place: str, look: Look
) -> None:
    folder = PLACES[place]
    keys = [f"{folder}{NAME.replace('1200Z', f'12{minute}Z')}" for minute in (10, 20, 30)]
    for key in keys:
        source.write(key, log_file(record()))

    (misplaced,) = look(source).unplaced.folders

    assert (misplaced.folder, misplaced.files, misplaced.more) == (folder, 3, False)
    assert misplaced.example in keys


@pytest.mark.parametrize("look", [found_by_converting, found_by_planning])
def test_what_units_read_and_what_is_named_otherwise_is_not_unplaced(
    source: Store, look: Look
) -> None:
    others = ["index.html", "part.parquet", "README", "_SUCCESS", f".{NAME}"]
    others += [NAME.replace("CloudTrail", "Config"), "2026-01-10-12-00-00-0123456789ABCDEF"]
    for folder in PLACES.values():
        for name in others:
            source.write(f"{folder}{name}", b"x")
    for folder in ("Digest", "Insight", "NetworkActivity", "Aggregated"):
        source.write(log_key(ACCOUNT, REGION, NOON, folder=f"CloudTrail-{folder}"), b"x")
    source.write(f"{TRAIL}2026/01/10/deeper/{NAME}", b"x")

    assert not look(source).unplaced


@pytest.mark.parametrize("look", [found_by_converting, found_by_planning])
@pytest.mark.parametrize(
    "place", sorted(PLACES.keys() - {"folders in small letters", "AWSLogs below an account"})
)  # these are folders beside the logs: their objects are counted
def test_files_of_other_names_that_may_hold_records_are_counted_by_folder(
    source: Store, place: str, look: Look
) -> None:
    folder = PLACES[place]
    keys = [f"{folder}{name}" for name in ("a.jsonl", "b.JSON.gz", "c", "d.csv", "e.ndjson")]
    for key in keys:
        source.write(key, b"x")

    unplaced = look(source).unplaced

    assert unplaced
    assert unplaced.files == 0
    assert unplaced.unnamed == [Misplaced(folder, 5, keys[0], is_unnamed=True)]


def test_objects_in_folders_that_are_counted_are_not_named_as_well(source: Store) -> None:
    for folder in ("Config", "CloudTrail-Insight", "odd"):
        source.write(f"AWSLogs/{ACCOUNT}/{folder}/{REGION}/x.json.gz", b"x")

    for look in (found_by_converting, found_by_planning):
        assert not look(source).unplaced


@pytest.mark.parametrize("prefix", ["AWSLogs/team", "AWSLogs/a/b", "AWSLogs/a/b/c"])
@pytest.mark.parametrize("look", [found_by_converting, found_by_planning])
def test_logs_below_the_prefix_of_a_trail_that_begins_with_awslogs_are_read_and_not_counted(
    source: Store, prefix: str, look: Look
) -> None:
    source.write(log_key(ACCOUNT, REGION, NOON, prefix=prefix), log_file(record()))

    found = look(source)

    assert len(found.trails[ACCOUNT, REGION]) == 3
    assert not found.unplaced
    assert count_siblings(source, found) == {}


@pytest.mark.parametrize(
    "organization", ["o-abcd", "o-a", "o-ABCDEFGHIJ", f"o-{'x' * 40}", "team_a", "team a"]
)
def test_organizations_have_names_of_any_kind_when_accounts_follow(
    source: Store, organization: str
) -> None:
    source.write(log_key("444455556666", REGION, NOON, organization=organization), log_file())

    found = found_by_converting(source)

    trail = f"AWSLogs/{organization}/444455556666/CloudTrail/{REGION}/"
    assert found.trails["444455556666", REGION] == [trail]
    assert not found.unplaced
    assert account_roots(source)[f"AWSLogs/{organization}/"] == ["444455556666"]


def test_an_account_that_is_called_like_an_organization_is_an_account(source: Store) -> None:
    source.write(log_key("o-abcd", REGION, NOON), log_file())

    assert ("o-abcd", REGION) in discover(source, FOLDERS).trails


def test_log_files_without_a_folder_for_awslogs_are_named_in_the_refusal() -> None:
    store = open_store("memory:///")
    store.write(NAME, log_file(record()))
    store.write(f"{ACCOUNT}/CloudTrail/{REGION}/2026/01/10/{NAME}", log_file(record()))

    with pytest.raises(UsageError, match=f"2 log files elsewhere, such as {NAME}"):
        discover(store, FOLDERS)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("012345678901_CloudTrail_us-east-1_20260110T1005Z_AbCdEfGhIjKlMnOp.json.gz", True),
        ("012345678901_CloudTrail_us-east-1_20260110T1005ZAbCdEfGhIjKlMnOp.json.gz", True),
        ("012345678901_CloudTrail_us-gov-west-1_20260110T1005Z_A.json", True),
        ("012345678901_CloudTrail-Insight_us-east-1_20260110T1005Z_A.json.gz", True),
        ("012345678901_CloudTrail-New_us-east-1_20260110T1005Z_A.json.gz", True),
        (
            "012345678901_CloudTrail-Digest_us-east-1_trail_us-east-1_20260110T100500Z.json.gz",
            False,
        ),
        ("012345678901_CloudTrail-Digest_us-east-1_20260110T1005Z_A.json.gz", False),
        ("012345678901_Config_us-east-1_ConfigHistory_20260110T100500Z_1.json.gz", False),
        ("12345678901_CloudTrail_us-east-1_20260110T1005Z_A.json.gz", False),
        ("012345678901_CloudTrail_us-east-1_20260110T1005Z_A.parquet", False),
        ("012345678901_CloudTrail_us-east-1_A.json.gz", False),
        ("", False),
    ],
)
def test_a_log_file_is_known_by_its_name(name: str, *, is_one: bool) -> None:
    assert is_log_name(name) == is_log_name(f"a/{name}") == is_one


def in_memory() -> WritableStores:
    source, dataset, state = (open_store("memory:///") for _ in range(3))
    return WritableStores(source, dataset, state)


class Refusing(ObjectStore):
    """Lists nothing below a folder."""

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        if "/odd/" in prefix:
            raise RefusedError("cannot be listed (AccessDenied)", prefix, "Allow it")
        return super().files(prefix, *skip, after=after)


def test_an_odd_folder_that_may_not_be_listed_stops_nothing() -> None:
    store = Refusing("s3://logs", obstore.store.MemoryStore())
    store.write(log_key(ACCOUNT, REGION, NOON), log_file(record()))
    store.write(f"{TRAIL}odd/{NAME}", b"x")
    store.write(f"AWSLogs/{ACCOUNT}/odd/{NAME}", b"x")

    for look in (found_by_converting, found_by_planning):
        assert (ACCOUNT, REGION) in look(store).trails


# Files of no bytes.


def test_a_log_file_without_bytes_is_unplaced_in_the_receipt_of_its_day() -> None:
    stores = in_memory()
    empty = log_key(ACCOUNT, REGION, NOON, unique="empty")
    stores.source.write(log_key(ACCOUNT, REGION, NOON), log_file(record()))
    stores.source.write(empty, b"")
    stores.source.write(f"{TRAIL}2026/01/10/marker", b"")
    found = discover(stores.source, FOLDERS)

    for day in (9, 10, 11):
        unit = Unit(ACCOUNT, REGION, date(2026, 1, day))
        convert_unit(unit, found.trails[ACCOUNT, REGION], stores, SETTINGS)

    receipt = read_notes(stores.state, Unit(ACCOUNT, REGION, DAY)).receipt
    assert receipt is not None
    assert receipt.unplaced == [Misplaced(f"{TRAIL}2026/01/10/", 1, empty)]
    assert len(list(stores.state.files("receipts/"))) == 1
    assert found_by_planning(stores.source).unplaced.folders == receipt.unplaced


def test_a_day_of_nothing_but_log_files_without_bytes_has_a_receipt_that_says_so() -> None:
    stores = in_memory()
    stores.source.write(log_key(ACCOUNT, REGION, NOON), b"")
    unit = Unit(ACCOUNT, REGION, DAY)

    receipt = convert_unit(unit, [TRAIL], stores, SETTINGS)

    assert receipt is not None
    assert receipt.records.read == 0
    assert [one.files for one in receipt.unplaced] == [1]
    assert window_files(stores.source, [TRAIL], unit, SETTINGS.window) == []


# What is listed.


def test_a_folder_that_is_none_of_ours_is_listed_to_a_thousand_objects() -> None:
    store = open_store("memory:///")
    store.write(log_key(ACCOUNT, REGION, NOON), log_file(record()))
    for day in ("01", "02"):
        for number in range(700):
            store.write(f"{TRAIL}2026-01-{day}/{NAME.replace('.json', f'{number}.json')}", b"x")
        for number in range(700):
            store.write(f"{TRAIL}year=2026/day={day}/{NAME.replace('.', f'{number}.', 1)}", b"x")

    folders = {one.folder: one for one in found_by_converting(store).unplaced.folders}

    assert Counter({name.removeprefix(TRAIL): one.files for name, one in folders.items()}) == {
        "2026-01-01/": 700,
        "2026-01-02/": 700,
        "year=2026/day=01/": 700,
        "year=2026/day=02/": 300,
    }
    assert [name for name, one in folders.items() if one.more] == [f"{TRAIL}year=2026/day=02/"]
