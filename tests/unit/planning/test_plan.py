from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.planning.batches import estimate, pack
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import account_roots, discover, units
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.state.figures import Quarantined
from cloudtrail_parquet.state.keys import StateKeys, receipt_days
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt, to_text
from cloudtrail_parquet.storage import Entry, Level, LocalStore, Store, open_store
from tests.builders import ACCOUNT, REGION, WritableStores, log_file, log_key, record

SETTINGS = Settings()
ALWAYS = UnitRange(date(2026, 1, 1), date(2026, 1, 31))
TENTH = date(2026, 1, 10)


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def deliver(store: Store, delivered: datetime, size: int = 0, **where: str) -> None:
    when = f"{delivered - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    key = log_key(where.pop("account", ACCOUNT), where.pop("region", REGION), delivered, **where)
    store.write(key, log_file(record(eventTime=when)) + b"\0" * size)


def planned(  # noqa: PLR0913
    stores: WritableStores,
    of: UnitRange = ALWAYS,
    only: Only = "all",
    *,
    with_parts: bool = False,
    now: datetime | None = None,
    settings: Settings = SETTINGS,
) -> list[PlannedUnit]:
    found, options = discover(stores.source, settings.folders), PlanOptions.of(settings)
    receipts = Receipts(stores.state, now or stores.now(), stores.dataset if with_parts else None)
    return list(plan_units(stores.source, receipts, found, of, only, options))


def convert(stores: WritableStores, unit: Unit) -> Receipt:
    trails = discover(stores.source, SETTINGS.folders).trails[unit.account, unit.region]
    receipt = convert_unit(unit, trails, stores, SETTINGS)
    assert receipt is not None
    return receipt


@pytest.fixture(params=["disk", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> WritableStores:
    names = ("source", "dataset", "state")
    if request.param == "disk":
        return WritableStores(*(open_store(tmp_path / name) for name in names))
    return WritableStores(*(open_store("memory:///") for _ in names))


def test_a_unit_has_the_files_and_bytes_delivered_on_its_day(stores: WritableStores) -> None:
    deliver(stores.source, at(10, 3), unique="A" * 16)
    deliver(stores.source, at(10, 23), 100, unique="B" * 16)
    deliver(stores.source, at(12, 11), organization="o-abcdefghij", unique="C" * 16)
    sizes = Counter[int]()
    for entry in stores.source.files(""):
        sizes[int(entry.key.split("/")[-2])] += entry.size

    assert [one[:3] for one in planned(stores)] == [
        (Unit(ACCOUNT, REGION, TENTH), 2, sizes[10]),
        (Unit(ACCOUNT, REGION, date(2026, 1, 12)), 1, sizes[12]),
    ]


def test_a_day_without_files_is_planned_when_its_window_holds_one(stores: WritableStores) -> None:
    deliver(stores.source, at(11, 1, 59))
    deliver(stores.source, at(20, 23, 45))

    days = [(one.unit.day.day, one.files) for one in planned(stores)]

    assert days == [(10, 0), (11, 1), (20, 1), (21, 0)]


def test_a_file_with_an_odd_name_belongs_to_the_windows_that_hold_its_time(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(11, 12))
    odd = log_key(ACCOUNT, REGION, at(11, 12)).replace("_CloudTrail_", "-copy-")
    stores.source.write(odd, log_file(record()))  # its object time is moved to the day's end

    assert [one.unit.day.day for one in planned(stores)] == [11, 12]


def test_a_day_with_nothing_but_hidden_files_is_not_planned(stores: WritableStores) -> None:
    deliver(stores.source, at(11, 12))
    hidden = log_key(ACCOUNT, REGION, at(20, 12)).replace(f"/{ACCOUNT}_", f"/.{ACCOUNT}_")
    stores.source.write(hidden, log_file(record()))

    assert [one.unit.day.day for one in planned(stores)] == [11]


times = st.datetimes(datetime(2026, 1, 5), datetime(2026, 1, 9), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(st.tuples(times, st.booleans()), min_size=1, max_size=6))
def test_the_units_whose_windows_hold_a_file_are_planned_and_no_others(
    files: list[tuple[datetime, bool]],
) -> None:
    source = open_store("memory:///")
    for number, (delivered, odd) in enumerate(files):
        key = log_key(ACCOUNT, REGION, delivered, unique=f"{number:016d}")
        source.write(key.replace("_CloudTrail_", "-") if odd else key, b"x")
    found = discover(source, SETTINGS.folders)

    of = {
        one.unit.day
        for one in plan_units(
            source, Receipts(source, at(31)), found, ALWAYS, "all", PlanOptions.of(SETTINGS)
        )
    }

    trails = found.trails[ACCOUNT, REGION]
    assert of == {
        unit.day
        for unit in units(source, found, SETTINGS.window)
        if window_files(source, trails, unit, SETTINGS.window)
    }


def test_a_folder_of_no_day_is_not_planned(stores: WritableStores) -> None:
    deliver(stores.source, at(11))
    odd = log_key(ACCOUNT, REGION, at(11)).replace("/2026/01/11/", "/2026/02/30/")
    stores.source.write(odd, log_file(record()))

    of = UnitRange(date.min, date.max)

    assert [one.unit.day for one in planned(stores, of)] == [date(2026, 1, 11)]


def test_a_name_that_tells_no_time_hides_no_file_before_it(stores: WritableStores) -> None:
    noon = datetime(2999, 1, 11, 12, tzinfo=UTC)  # its object time counts as the day's beginning
    odd = log_key(ACCOUNT, REGION, noon).replace("T1200Z", "T9999Z")
    stores.source.write(odd, log_file(record()))
    for delivered in (noon, noon.replace(hour=23, minute=50)):
        deliver(stores.source, delivered)

    of = UnitRange(date(2999, 1, 1), date(2999, 1, 31))

    assert date(2999, 1, 12) in [one.unit.day for one in planned(stores, of)]


def test_only_what_is_asked_for_is_planned(stores: WritableStores) -> None:
    for account in ("111111111111", "222222222222"):
        for region in ("us-east-1", "eu-west-1"):
            for day in (10, 12, 14):
                deliver(stores.source, at(day), account=account, region=region)

    of = UnitRange(date(2026, 1, 11), date(2026, 1, 13), frozenset({"222222222222"}))
    assert [one.unit for one in planned(stores, of)] == [
        Unit("222222222222", region, date(2026, 1, 12)) for region in ("eu-west-1", "us-east-1")
    ]
    assert len(planned(stores, of._replace(regions=frozenset({"us-east-1"})))) == 1
    assert len(planned(stores)) == 12


def test_missing_units_are_those_without_a_receipt(stores: WritableStores) -> None:
    for day in (10, 12, 14):
        deliver(stores.source, at(day))
    convert(stores, Unit(ACCOUNT, REGION, date(2026, 1, 12)))

    assert receipt_days(stores.state, Place(ACCOUNT, REGION)) == {date(2026, 1, 12)}
    assert [one.unit.day.day for one in planned(stores, only="missing")] == [10, 14]
    assert [one.unit.day.day for one in planned(stores, only="outdated")] == [10, 14]


def test_a_unit_is_outdated_when_its_log_files_have_changed(stores: WritableStores) -> None:
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    assert planned(stores, only="outdated") == []

    deliver(stores.source, at(10, 13), unique="Z" * 16)

    assert [one.unit.day for one in planned(stores, only="outdated")] == [TENTH]
    assert planned(stores, only="missing") == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"settled": False}, "its window had not passed"),
        ({"settled": False, "schema_version": 0}, "of schema version 0"),
        ({"schema_version": 0}, f"of schema version 0; now it is {SCHEMA_VERSION}"),
        ({"source_fingerprint": "sum:00"}, "log files of its window have changed"),
        ({"source_fingerprint": "00"}, "its receipt does not say which log files it was made of"),
        ({"kept": "gone", "kept_source": "x"}, "log files of its window have changed since it was"),
        ({"quarantined": [Quarantined(key="a", reason="b", retryable=True)]}, "may be readable"),
        ({"settings": {"json_encoding": "json", "redact": [1]}}, "other json_encoding, redact"),
        ({"settings": {"page_rows": 1, "folders": ["A"]}}, "made with other folders"),
    ],
)
def test_a_plan_says_why_a_unit_is_outdated(change: dict[str, Any], why: str) -> None:
    stores = WritableStores(*(open_store("memory:///") for _ in range(3)))
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    put_receipt(stores, **change)

    (one,) = planned(stores, only="outdated")

    assert why in one.why


def put_receipt(stores: WritableStores, **change: Any) -> None:  # noqa: ANN401
    receipt = read_notes(stores.state, Unit(ACCOUNT, REGION, TENTH)).receipt
    assert receipt is not None
    changed = msgspec.structs.replace(receipt, **change)
    stores.state.write(StateKeys.of(receipt.unit).receipt, to_text(changed))


@pytest.mark.parametrize("kept", ["", "gone"])
def test_a_unit_that_is_not_settled_is_due_when_its_log_files_change_or_its_window_has_passed(
    kept: str,
) -> None:
    stores = WritableStores(*(open_store("memory:///") for _ in range(3)))
    deliver(stores.source, at(10))
    unit = convert(stores, Unit(ACCOUNT, REGION, TENTH))
    put_receipt(stores, settled=False, kept=kept, kept_source=unit.source_fingerprint)

    def due(now: datetime) -> list[str]:
        return [one.why for one in planned(stores, only="outdated", now=now)]

    assert due(at(11, 2, 59)) == []  # two hours of the window, and one more
    assert due(at(11, 3)) == ["its window had not passed"]
    deliver(stores.source, at(10, 23), unique="Z" * 16)
    assert len(due(at(11, 2, 59))) == 1


def test_replacing_what_shrank_makes_what_was_kept_and_what_has_no_log_files_due() -> None:
    stores = WritableStores(*(open_store("memory:///") for _ in range(3)))
    for day in (10, 14, 18):
        deliver(stores.source, at(day))
        convert(stores, Unit(ACCOUNT, REGION, date(2026, 1, day)))
    receipt = read_notes(stores.state, Unit(ACCOUNT, REGION, TENTH)).receipt
    assert receipt
    put_receipt(stores, kept="gone", kept_source=receipt.source_fingerprint)
    (second,) = [entry.key for entry in stores.source.files("") if "/14/" in entry.key]
    stores.source.delete([second])
    replacing = replace(SETTINGS, replace_shrunk=True)

    assert planned(stores, only="outdated") == []
    due = planned(stores, only="outdated", settings=replacing)

    assert [(one.unit.day.day, one.files, one.why) for one in due] == [
        (10, 1, "it was kept as it was, and replace_shrunk replaces it"),
        (14, 0, "log files of its window have changed"),
    ]


def test_other_settings_of_files_are_asked_for_by_themselves(stores: WritableStores) -> None:
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    put_receipt(stores, settings={**SETTINGS.shaping(), "compression": "gzip", "sort_by": []})

    (one,) = planned(stores, only="reshaped")

    assert one.why == "its files were made with other compression, sort_by"
    assert planned(stores, only="outdated") == []


def test_a_kept_unit_is_looked_at_again_only_when_its_log_files_change(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10))
    deliver(stores.source, at(10, 13), unique="Z" * 16)
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    stores.source.delete([next(iter(stores.source.files(""))).key])
    kept = convert(stores, Unit(ACCOUNT, REGION, TENTH))
    assert "1 of 2 log files is gone" in kept.kept

    assert planned(stores, only="outdated") == []
    deliver(stores.source, at(10, 14), unique="Y" * 16)
    (one,) = planned(stores, only="outdated")
    assert one.why == "log files of its window have changed since it was kept"


def test_early_files_of_the_next_day_that_come_late_make_both_days_outdated(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10))
    deliver(stores.source, at(11))
    for day in (10, 11):
        convert(stores, Unit(ACCOUNT, REGION, date(2026, 1, day)))
    assert planned(stores, only="outdated") == []

    deliver(stores.source, at(11, 0, 2), unique="Z" * 16)  # with a record of 23:57 the day before

    assert [one.unit.day.day for one in planned(stores, only="outdated")] == [10, 11]


def test_a_part_that_is_gone_or_has_another_size_makes_its_unit_outdated(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    (part,) = stores.dataset.files("")
    data = stores.dataset.read(part.key)
    assert planned(stores, only="outdated", with_parts=True) == []

    stores.dataset.write(part.key, data + b"x")
    (resized,) = planned(stores, only="outdated", with_parts=True)
    stores.dataset.delete([part.key])
    (gone,) = planned(stores, only="outdated", with_parts=True)
    stores.dataset.write(part.key, data)
    stores.dataset.write(part.key.replace("00000", "00001"), data)
    (more,) = planned(stores, only="outdated", with_parts=True)

    assert resized.why == f"{part.key} has {len(data) + 1:,} bytes in place of {len(data):,}"
    assert gone.why == f"{part.key} is gone"
    assert "part-00001.parquet is in no receipt" in more.why
    assert planned(stores, only="outdated") == []  # parts are listed only where that is asked for


def test_parts_without_a_receipt_and_without_log_files_are_found_and_told_of(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10))
    deliver(stores.source, at(20))
    unit = Unit(ACCOUNT, REGION, TENTH)
    convert(stores, unit)
    convert(stores, Unit(ACCOUNT, REGION, date(2026, 1, 20)))
    stores.source.delete([next(iter(stores.source.files(""))).key])
    assert planned(stores, only="outdated", with_parts=True) == []  # expired: nothing to convert

    stores.state.delete([StateKeys.of(unit).receipt])
    (one,) = planned(stores, only="outdated", with_parts=True)
    assert (one.unit, one.why) == (unit, "it has parts, no log files, and no receipt")
    kept = convert(stores, unit)

    assert [part.rows for part in kept.parts] == [1]
    assert kept.kept
    assert planned(stores, only="outdated", with_parts=True) == []


def test_a_unit_whose_replacement_has_not_finished_is_outdated(stores: WritableStores) -> None:
    deliver(stores.source, at(10))
    unit = Unit(ACCOUNT, REGION, TENTH)
    convert(stores, unit)
    stores.state.write(StateKeys.of(unit).intent, b"{}")

    (one,) = planned(stores, only="outdated")
    assert one.why == "a run that was replacing it has not finished"

    for entry in list(stores.source.files("")):
        stores.source.delete([entry.key])
    deliver(stores.source, at(20))
    assert [one.unit.day.day for one in planned(stores, only="outdated")] == [10, 20]


def test_a_damaged_receipt_makes_a_unit_outdated(stores: WritableStores) -> None:
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    (key,) = [entry.key for entry in stores.state.files("receipts/")]
    stores.state.write(key, b"{")

    (one,) = planned(stores, only="outdated")
    assert one.why == "its receipt cannot be read"


def test_an_unfinished_unit_is_planned_though_no_log_file_of_its_region_is_left(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10))
    convert(stores, Unit(ACCOUNT, REGION, TENTH))
    stores.state.write(StateKeys.of(Unit(ACCOUNT, REGION, TENTH)).intent, b"{}")
    for entry in list(stores.source.files("")):
        stores.source.delete([entry.key])
    deliver(stores.source, at(20), region="eu-west-3")

    first, _ = planned(stores, only="outdated")

    assert (first.unit, first.why) == (
        Unit(ACCOUNT, REGION, TENTH),
        "a run that was replacing it has not finished",
    )


# Packing.

sized = st.builds(
    PlannedUnit,
    st.just(Unit(ACCOUNT, REGION, TENTH)),
    st.integers(0, 10_000),
    st.integers(0, 10**9),
)


@given(st.lists(sized, max_size=30), st.integers(1, 300), st.integers(1, 7))
def test_batches_hold_all_units_in_order_and_no_more_than_they_may(
    some: list[PlannedUnit], seconds: int, most: int
) -> None:
    batches = list(pack(some, seconds, most))

    assert [one for batch in batches for one in batch] == some
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or sum(one.seconds for one in batch) <= seconds + 1e-6
    total = sum(one.seconds for one in some)
    assert len(batches) <= len(some)
    assert not some or len(batches) >= total / max(seconds, *(one.seconds for one in some)) - 1e-6


def test_an_estimate_adds_up() -> None:
    small = PlannedUnit(Unit(ACCOUNT, REGION, TENTH), 10, 1_000_000)
    large = PlannedUnit(Unit(ACCOUNT, REGION, date(2026, 1, 11)), 5, 2_000_000_000)

    total = estimate([small] * 30 + [large])

    assert (total.units, total.files) == (31, 305)
    assert total.bytes == 2_030_000_000
    assert total.largest == large.unit.name
    assert total.batches == 2
    assert total.seconds == round(30 * small.seconds + large.seconds, 1)
    assert 0.005 < total.dollars < 0.05
    assert estimate([]).largest is None


# Three hundred accounts.


class Slow:
    """A store of very many accounts, made up as it is listed; counts what is asked of it."""

    uri = "s3://logs"
    tops = ("",)
    parallel = 16
    accounts = 300
    regions = 17
    days = 6

    def __init__(self) -> None:
        self.requests = 0

    def level(self, prefix: str) -> Level:
        self.requests += 1
        match prefix.count("/"):
            case 0:
                names = ["AWSLogs"]
            case 1:
                names = [f"{number:012d}" for number in range(self.accounts)]
            case 2:
                names = ["CloudTrail"]
            case _:
                names = [f"region-{number}" for number in range(self.regions)]
        return Level(names, [])

    def files(self, prefix: str, *_skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        self.requests += 1
        if prefix.startswith(("receipts/", "intents/", "shards/")):
            return
        _, account, _, region, _ = prefix.split("/")
        for day in range(1, self.days + 1):
            for hour in range(3, 21, 6):
                delivered = at(day, hour)
                key = log_key(account, region, delivered)
                if key > after:
                    yield Entry(key, 1000, delivered)


def test_an_organization_is_planned_with_a_request_for_each_region_of_an_account() -> None:
    store = Slow()
    found = discover(store, SETTINGS.folders)  # type: ignore[arg-type]
    of = UnitRange(date(2026, 1, 1), date(2026, 1, 6))

    source: Any = store
    options = PlanOptions.of(SETTINGS)
    total = estimate(plan_units(source, Receipts(source, at(31)), found, of, "missing", options))

    assert total.units == 300 * 17 * 6
    assert total.files == total.units * 3
    assert store.requests < 300 * (17 * 2 + 2) + 100
    assert total.batches >= total.seconds / 240


def test_the_trails_of_an_account_are_found_without_listing_all_accounts(
    stores: WritableStores,
) -> None:
    deliver(stores.source, at(10), prefix="trail/one")
    deliver(stores.source, at(10), organization="o-abcdefghij", prefix="trail/one")
    found = discover(stores.source, SETTINGS.folders)

    accounts = Accounts(stores.source, SETTINGS.folders)
    trails = accounts.trails(Unit(ACCOUNT, REGION, TENTH))

    assert trails == found.trails[ACCOUNT, REGION]


def test_the_roots_of_a_place_that_is_called_awslogs_are_found(tmp_path: Path) -> None:
    deliver(LocalStore(tmp_path), at(10))

    assert account_roots(LocalStore(tmp_path / "AWSLogs")) == {"": [ACCOUNT]}
