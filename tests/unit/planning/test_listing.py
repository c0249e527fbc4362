"""Plans of layouts whose units span accounts or regions, against plans of the default layout."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.conversion.task import task_of
from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.layout import WHOLE, Place, Unit, part_key, span_of
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import ConversionOptions, DatasetOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.source.discover import Discovery, discover
from cloudtrail_parquet.state.figures import (
    Files,
    Part,
    PlaceFigures,
    PlaceTable,
    Records,
    by_place,
)
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of, to_text
from cloudtrail_parquet.storage import Entry, Level, ObjectStore, open_store
from tests.builders import WritableStores, log_key

ACCOUNTS, REGIONS = ("111111111111", "222222222222", "333333333333"), ("eu-west-1", "us-east-1")
LAYOUTS = get_args(PartitionLayout)
FOLDED: PartitionLayout = "year/month/day"
JANUARY = UnitRange(date(2026, 1, 1), date(2026, 1, 31))
TENTH = date(2026, 1, 10)

Delivery = tuple[str, str, datetime]


class Source(ObjectStore):
    """A source in memory of which some accounts may not be listed, and which tells what is read."""

    def __init__(self, deliveries: Collection[Delivery]) -> None:
        memory: Any = open_store("memory:///")
        super().__init__("memory:///", memory._client)  # noqa: SLF001
        self.refused: set[str] = set()
        for number, delivery in enumerate(deliveries):
            self.deliver(*delivery, unique=f"{number:016d}")

    def deliver(self, account: str, region: str, delivered: datetime, unique: str) -> None:
        key = log_key(account, region, delivered, unique=unique)
        self.write(key, b"x" * (len(unique.lstrip("0")) + 1))

    def level(self, prefix: str) -> Level:
        if self.refused.intersection(prefix.split("/")):
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return super().level(prefix)


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC)


def settings_of(layout: PartitionLayout) -> Settings:
    return Settings(partition_layout=layout)


def stores_over(source: Source) -> WritableStores:
    return WritableStores(source, open_store("memory:///"), open_store("memory:///"))


def planned(
    stores: WritableStores,
    layout: PartitionLayout,
    wanted: UnitRange = JANUARY,
    only: Only = "all",
) -> list[PlannedUnit]:
    options, found = PlanOptions.of(settings_of(layout)), discovered(stores)
    receipts = Receipts(stores.state, stores.now(), stores.dataset)
    return list(plan_units(stores.source, receipts, found, wanted, only, options))


def discovered(stores: WritableStores) -> Discovery:
    return discover(stores.source, Settings().folders)


def note_as_converted(
    stores: WritableStores,
    layout: PartitionLayout,
    unit: PlannedUnit,
    **change: Any,  # noqa: ANN401
) -> Receipt:
    """Write a part, and the receipt that a conversion of a planned unit would have written."""
    key = part_key(unit.unit, 0, layout)
    stores.dataset.write(key, b"parquet")
    made = Made(
        converted_at=at(31),
        schema_version=SCHEMA_VERSION,
        lookbehind_s=Settings().lookbehind_s,
        lookahead_s=Settings().lookahead_s,
        folders=Settings().folders,
        source_fingerprint=unit.fingerprint,
        settings=settings_of(layout).shaping(),
        run="run",
    )
    files = Files(listed=unit.files, read=unit.files, quarantined=0)
    parts = [Part(key=key, bytes=7, rows=1)]
    receipt = receipt_of(
        unit.unit,
        made,
        Read(files=files),
        Rows(records=Records()),
        parts,
        is_complete=True,
        settled=True,
    )
    receipt = msgspec.structs.replace(receipt, **change)
    stores.state.write(StateKeys.of(unit.unit).receipt, to_text(receipt))
    return receipt


# All layouts of one source.

deliveries = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.sampled_from(REGIONS),
        st.datetimes(datetime(2026, 1, 8), datetime(2026, 1, 12), timezones=st.just(UTC)),  # noqa: DTZ001
    ),
    min_size=1,
    max_size=12,
)


@given(deliveries, st.sampled_from(LAYOUTS))
def test_units_of_each_layout_are_sums_of_those_of_places(
    delivered: list[Delivery], layout: PartitionLayout
) -> None:
    stores = stores_over(Source(delivered))
    sums = defaultdict[Unit, list[PlannedUnit]](list)
    for one in planned(stores, DEFAULT_LAYOUT):
        sums[Unit(*span_of(Place(*one.unit[:2]), layout), one.unit.day)].append(one)

    units = planned(stores, layout)

    assert [one.unit for one in units] == sorted(sums)
    for one in units:
        assert one.files == sum(part.files for part in sums[one.unit])
        assert one.bytes == sum(part.bytes for part in sums[one.unit])
        assert one.places == len(sums[one.unit])


@given(deliveries, st.sampled_from(LAYOUTS))
def test_the_fingerprint_of_a_plan_is_that_of_a_conversion(
    delivered: list[Delivery], layout: PartitionLayout
) -> None:
    stores = stores_over(Source(delivered))
    found, options = discovered(stores), ConversionOptions.of(settings_of(layout))

    for one in planned(stores, layout):
        task = task_of(one.unit, found.trails_of(one.unit), stores, options, WHOLE)
        assert one.fingerprint == task.fingerprint


@given(deliveries, st.sampled_from(LAYOUTS))
def test_a_unit_that_is_only_named_has_the_places_that_a_plan_finds(
    delivered: list[Delivery], layout: PartitionLayout
) -> None:
    stores = stores_over(Source(delivered))
    found, accounts = discovered(stores), Accounts(stores.source, Settings().folders)

    for one in planned(stores, layout):
        assert sorted(accounts.trails(one.unit)) == sorted(found.trails_of(one.unit))


@given(deliveries, st.sampled_from(LAYOUTS), st.sets(st.sampled_from(ACCOUNTS), min_size=1))
def test_a_selection_chooses_units_and_never_what_is_read_of_them(
    delivered: list[Delivery], layout: PartitionLayout, accounts: set[str]
) -> None:
    stores = stores_over(Source(delivered))
    chosen = JANUARY._replace(accounts=frozenset(accounts))
    touched = {one.unit for one in planned(stores, DEFAULT_LAYOUT, chosen)}

    units = planned(stores, layout, chosen)

    assert {one.unit for one in units} == {
        Unit(*span_of(Place(*unit[:2]), layout), unit.day) for unit in touched
    }
    assert set(units) <= set(planned(stores, layout))


@given(deliveries, st.sampled_from(LAYOUTS))
def test_a_conversion_of_all_finds_every_unit_that_a_plan_finds(
    delivered: list[Delivery], layout: PartitionLayout
) -> None:
    stores = stores_over(Source(delivered))
    selection = Selection(JANUARY, stores.source, discovered(stores))

    units = selection.units(DatasetOptions.of(settings_of(layout)))

    assert {one.unit for one in planned(stores, layout)} <= set(units)
    assert units == sorted(set(units))


# What is due.


def org(days: Collection[int] = (10, 12)) -> WritableStores:
    """Three accounts with two regions each, on some days."""
    return stores_over(
        Source(
            [
                (account, region, at(day))
                for account in ACCOUNTS
                for region in REGIONS
                for day in days
            ]
        )
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_unit_of_any_layout_is_outdated_when_a_log_file_of_any_of_its_places_is_new(
    layout: PartitionLayout,
) -> None:
    stores = org()
    for one in planned(stores, layout, only="missing"):
        note_as_converted(stores, layout, one)
    assert planned(stores, layout, only="outdated") == []

    stores.source.deliver(ACCOUNTS[1], REGIONS[1], at(12, 13), "Z" * 16)  # type: ignore[attr-defined]

    (one,) = planned(stores, layout, only="outdated")
    span = span_of(Place(ACCOUNTS[1], REGIONS[1]), layout)
    assert (one.unit, one.why) == (
        Unit(*span, date(2026, 1, 12)),
        "log files of its window have changed",
    )


def test_a_part_of_a_folded_unit_that_is_gone_resized_or_unknown_makes_it_outdated() -> None:
    stores = org()
    (first, second) = planned(stores, FOLDED, only="missing")
    receipts = [note_as_converted(stores, FOLDED, one) for one in (first, second)]
    keys = [receipt.parts[0].key for receipt in receipts]

    stores.dataset.write(keys[0], b"x")
    stores.dataset.write(part_key(second.unit, 1, FOLDED), b"x")
    resized, more = planned(stores, FOLDED, only="outdated")
    stores.dataset.delete(keys)
    gone, _ = planned(stores, FOLDED, only="outdated")

    assert resized.why == f"{keys[0]} has 1 byte in place of 7"
    assert "part-00001.parquet is in no receipt" in more.why
    assert gone.why == f"{keys[0]} is gone"


def test_a_straggler_outside_of_the_range_is_looked_for_where_it_is() -> None:
    stores = org()
    _, second = planned(stores, FOLDED, only="missing")
    key = "year=2026/month=01/day=10/straggler-20260112-00000.parquet"
    parts = [
        Part(key=key, rows=1, bytes=7),
        Part(key=part_key(second.unit, 0, FOLDED), rows=1, bytes=7),
    ]
    note_as_converted(stores, FOLDED, second, parts=parts)
    only_second = JANUARY._replace(first=second.unit.day)

    (without,) = planned(stores, FOLDED, only_second, "outdated")
    stores.dataset.write(key, b"parquet")

    assert without.why == f"{key} is gone"
    assert planned(stores, FOLDED, only_second, "outdated") == []


def test_a_folded_unit_that_is_not_finished_is_planned_with_its_logs_or_without() -> None:
    stores = org()
    for one in planned(stores, FOLDED, only="missing"):
        note_as_converted(stores, FOLDED, one)
    for day in (10, 20):
        stores.state.write(StateKeys.of(Unit("", "", date(2026, 1, day))).intent, b"{}")

    first, other = planned(stores, FOLDED, only="outdated")

    assert (first.unit.day.day, first.files, first.why) == (
        10,
        6,
        "a run that was replacing it has not finished",
    )
    assert (other.unit.day.day, other.files, other.why) == (
        20,
        0,
        "it has parts, no log files, and no receipt",
    )


def test_an_open_unit_of_another_layout_is_not_planned() -> None:
    stores = org()
    for span in (Place("", ""), Place(ACCOUNTS[0], "")):
        stores.state.write(StateKeys.of(Unit(*span, TENTH)).intent, b"{}")

    spans = {one.unit.span for one in planned(stores, DEFAULT_LAYOUT, only="outdated")}

    assert spans == {Place(account, region) for account in ACCOUNTS for region in REGIONS}


def test_a_refused_account_makes_units_outdated_only_when_it_can_be_listed_again() -> None:
    stores = org()
    stores.source.refused = {ACCOUNTS[2]}  # type: ignore[attr-defined]
    units = planned(stores, FOLDED, only="missing")
    assert [(one.files, one.places) for one in units] == [(4, 4), (4, 4)]

    for one in units:
        note_as_converted(stores, FOLDED, one)
    assert planned(stores, FOLDED, only="outdated") == []

    stores.source.refused = set()  # type: ignore[attr-defined]
    assert [(one.files, one.why) for one in planned(stores, FOLDED, only="outdated")] == [
        (6, "log files of its window have changed")
    ] * 2


def test_an_account_that_was_read_and_is_refused_now_makes_no_unit_outdated() -> None:
    stores = org()
    for one in planned(stores, FOLDED, only="missing"):
        note_as_converted(stores, FOLDED, one, places=tables(stores, one.unit))
    assert planned(stores, FOLDED, only="outdated") == []

    stores.source.refused = {ACCOUNTS[0], ACCOUNTS[2]}  # type: ignore[attr-defined]
    assert planned(stores, FOLDED, only="outdated") == []

    stores.source.deliver(ACCOUNTS[1], REGIONS[1], at(12, 13), "Z" * 16)  # type: ignore[attr-defined]
    assert [one.unit.day.day for one in planned(stores, FOLDED, only="outdated")] == [12]


def tables(stores: WritableStores, unit: Unit) -> PlaceTable:
    found, options = discovered(stores), ConversionOptions.of(settings_of(FOLDED))
    task = task_of(unit, found.trails_of(unit), stores, options, WHOLE)
    return by_place(
        {
            place: PlaceFigures("read", fingerprint=fingerprint.short)
            for place, fingerprint in task.fingerprints.items()
        }
    )


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, FOLDED])
def test_a_region_that_may_not_be_listed_stops_only_units_of_its_own(
    layout: PartitionLayout,
) -> None:
    stores = org()
    files = stores.source.files

    def some(prefix: str, *skip: Any, **after: Any) -> Iterator[Entry]:  # noqa: ANN401
        if f"{ACCOUNTS[0]}/CloudTrail/{REGIONS[1]}" in prefix:
            raise RefusedError("cannot be listed", prefix, "Allow it")
        return files(prefix, *skip, **after)

    vars(stores.source)["files"] = some
    found, options = discovered(stores), PlanOptions.of(settings_of(layout))
    receipts = Receipts(stores.state, stores.now())
    plan = plan_units(stores.source, receipts, found, JANUARY, "all", options)

    units = list(plan)
    assert set(found.refused) == {ACCOUNTS[0]}
    if layout == DEFAULT_LAYOUT:
        assert (ACCOUNTS[0], REGIONS[1]) not in {one.unit.span for one in units}
        assert {account for account, _, _ in (one.unit for one in units)} == set(ACCOUNTS)
    else:
        assert [one.files for one in units] == [5, 5]


def test_an_account_without_log_files_is_said_to_be_refused_no_longer_than_it_is() -> None:
    deliveries = [
        (account, REGIONS[0], at(day)) for account, day in zip(ACCOUNTS, (10, 20, 20), strict=True)
    ]
    stores, wanted = stores_over(Source(deliveries)), UnitRange(TENTH, TENTH)
    (unit,) = planned(stores, FOLDED, wanted)
    note_as_converted(stores, FOLDED, unit, places={ACCOUNTS[1]: {"": PlaceFigures("refused")}})

    stores.source.refused = {ACCOUNTS[1]}  # type: ignore[attr-defined]
    assert planned(stores, FOLDED, wanted, "outdated") == []

    stores.source.refused = set()  # type: ignore[attr-defined]
    (outdated,) = planned(stores, FOLDED, wanted, "outdated")
    assert outdated.why == f"account {ACCOUNTS[1]} can be listed again"


# What it takes.


class Listed(ObjectStore):
    """A store in memory that counts the entries and the receipts that it hands out."""

    def __init__(self) -> None:
        memory: Any = open_store("memory:///")
        super().__init__("memory:///", memory._client)  # noqa: SLF001
        self.entries = self.reads = 0

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        for entry in super().files(prefix, *skip, after=after):
            self.entries += 1
            yield entry

    def read_if_there(self, key: str) -> bytes | None:
        self.reads += 1
        return super().read_if_there(key)


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, FOLDED])
def test_only_receipts_and_parts_of_the_days_in_question_are_listed(
    layout: PartitionLayout,
) -> None:
    source = Source([(ACCOUNTS[0], REGIONS[0], at(day)) for day in range(1, 29)])
    stores = replace(stores_over(source), state=Listed(), dataset=Listed())
    for one in planned(stores, layout, only="missing"):
        note_as_converted(stores, layout, one)
    stores.state.entries = stores.state.reads = stores.dataset.entries = 0  # type: ignore[attr-defined]

    wanted = JANUARY._replace(first=date(2026, 1, 20), last=date(2026, 1, 22))
    assert planned(stores, layout, wanted, "outdated") == []

    assert stores.state.reads == 3  # type: ignore[attr-defined]
    listed = stores.state.entries, stores.dataset.entries  # type: ignore[attr-defined]
    assert listed == (4, 4)  # three days, and the one that ends the listing


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("days", [3, 20])
def test_a_few_receipts_are_asked_for_without_listing_them(
    layout: PartitionLayout, days: int
) -> None:
    source = Source([(ACCOUNTS[0], REGIONS[0], at(day)) for day in range(1, days + 1)])
    stores = replace(stores_over(source), state=Listed())
    for one in planned(stores, layout, only="missing")[1:]:
        note_as_converted(stores, layout, one)
    stores.state.entries = stores.state.reads = 0  # type: ignore[attr-defined]

    options, found = PlanOptions.of(settings_of(layout)), discovered(stores)
    receipts = Receipts(stores.state, stores.now())
    due = list(plan_units(source, receipts, found, JANUARY, "outdated", options))

    assert [(one.unit.day.day, one.why) for one in due] == [(1, "never converted")]
    asked = stores.state.entries, stores.state.reads  # type: ignore[attr-defined]
    assert asked == ((0, 3) if days == 3 else (19, 19))


class Answers(Source):
    """A source that counts what the client's listings hand out, whether it is used or not."""

    entries = 0

    def _listed(self, prefix: str, after: str) -> Iterator[Entry]:
        for entry in super()._listed(prefix, after):
            self.entries += 1
            yield entry


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_place_is_listed_from_the_first_day_in_question_on(layout: PartitionLayout) -> None:
    source = Answers([(ACCOUNTS[0], REGIONS[0], at(day)) for day in range(1, 29)])

    wanted = JANUARY._replace(first=date(2026, 1, 20), last=date(2026, 1, 22))
    days = [one.unit.day.day for one in planned(stores_over(source), layout, wanted)]

    assert days == [20, 21, 22]
    assert source.entries == 6  # of the day before and the one after as well, and one to end it
