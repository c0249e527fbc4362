"""Each gap that is planted is found with its cause, and no other."""

from datetime import UTC, date, datetime, timedelta

import pytest

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.coverage.verdicts import STATES
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Place, span_of
from tests.unit.coverage.organisation import (
    CLOSED,
    FIRST,
    HOME,
    HONGKONG,
    LAST,
    MAIN,
    OTHER,
    VIRGINIA,
    Organisation,
    march,
    region_event,
    trail_event,
)

Said = dict[tuple[str, str, int], tuple[str, str]]
CONVERTED, QUIET = ("converted", ""), ("empty", "quiet")
STOPPED, EXPIRED = ("empty", "trail stopped"), ("empty", "expired")
NOT_SEEN, REFUSED = ("empty", "region"), ("empty", "refused")
NEVER, DELETED = ("missing", "never converted"), ("missing", "deleted")
PLACES = [Place(account, region) for account in (MAIN, OTHER) for region in (HOME, VIRGINIA)]
LAYOUTS: list[PartitionLayout] = ["account/region/year/month/day", "account/dt", "dt"]


def planted(layout: PartitionLayout) -> tuple[Organisation, Said]:
    """An organisation, and what there is to say of each place and day."""
    world, said = Organisation(layout), Said()
    every = [*PLACES, Place(MAIN, HONGKONG), Place(OTHER, HONGKONG)]
    for place in every:
        for day in range(1, LAST.day + 1):
            said[*place, day] = CONVERTED
            for cause, among in GAPS.items():
                if (*place, day) in among:
                    said[*place, day] = cause
    events = {
        (MAIN, HOME, 9): [trail_event("StopLogging")],
        (MAIN, HOME, 12): [trail_event("StartLogging")],
        (MAIN, VIRGINIA, 7): [region_event("EnableRegion", HONGKONG)],
        (OTHER, VIRGINIA, 20): [trail_event("StopLogging", "own")],
    }
    for (account, region, day), what in said.items():
        if what == CONVERTED:
            world.deliver(
                Place(account, region), march(day), *events.get((account, region, day), ())
            )
    for day in (5, 6):
        world.digests(Place(MAIN, VIRGINIA), march(day))
    gone = world.deliver(Place(OTHER, HOME), march(20))
    world.digests(Place(OTHER, HOME), march(20), [gone])
    world.stores.source.delete([gone])
    world.convert()
    for day in (17, 18):
        world.deliver(Place(OTHER, HOME), march(day))
    world.deliver(Place(CLOSED, HOME), march(10))
    world.refusing.refused.append(f"AWSLogs/{CLOSED}/")
    for day in range(1, LAST.day + 1):
        said[CLOSED, "", day] = REFUSED
    return world, said


GAPS = {
    EXPIRED: [(*place, day) for place in [*PLACES, Place(OTHER, HONGKONG)] for day in (1, 2)],
    QUIET: [(MAIN, VIRGINIA, 5), (MAIN, VIRGINIA, 6), (OTHER, VIRGINIA, 15), (MAIN, HOME, 20)],
    STOPPED: [
        *((MAIN, region, day) for region in (HOME, VIRGINIA, HONGKONG) for day in (10, 11)),
        *((OTHER, VIRGINIA, day) for day in range(21, LAST.day + 1)),
    ],
    NOT_SEEN: [
        *((MAIN, HONGKONG, day) for day in range(1, 8)),
        *((OTHER, HONGKONG, day) for day in range(3, 14)),
    ],
    NEVER: [(OTHER, HOME, 17), (OTHER, HOME, 18)],
    DELETED: [(OTHER, HOME, 20)],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_gap_is_told_with_its_cause_and_no_other(layout: PartitionLayout) -> None:
    world, expected = planted(layout)

    said = world.said()

    assert {key: said.get(key) for key in expected} == expected
    assert said.keys() == expected.keys()


def noon(day: int) -> str:
    return f"2026-03-{day:02d}T12:00:00Z"


def test_what_is_said_rests_on_what_is_named() -> None:
    world, _ = planted("account/region/year/month/day")
    home = f"{MAIN} {HOME}"
    bases = {each.verdict.cause: each.verdict.basis for each in world.cover()}

    assert "StopLogging of own in 222222222222 us-east-1 at 2026-03-20" in bases["trail stopped"]
    told = {
        each.verdict.basis
        for each in world.cover(accounts=[MAIN])
        if each.verdict.cause in {"trail stopped", "region", "quiet"}
    }
    assert told >= {
        f"StopLogging of main in {home} at {noon(9)}; StartLogging of main in {home} at {noon(12)}",
        f"not enabled before EnableRegion of ap-east-1 in {MAIN} {VIRGINIA} at {noon(7)}",
        "no log files are listed, and digest files of all hours say so",
        "no log files are listed",
    }


def test_without_a_source_it_is_not_known_what_has_no_receipt() -> None:
    world, expected = planted("account/region/year/month/day")

    said = world.said(with_source=False)

    told = {key: what for key, what in expected.items() if what in {CONVERTED, STOPPED}}
    assert {key: said[key] for key in told} == told
    assert said[OTHER, VIRGINIA, 15] == said[OTHER, HOME, 17] == ("unknown", "no receipt")


def test_the_worst_comes_first_and_days_are_those_that_were_seen() -> None:
    world, _ = planted("account/region/year/month/day")
    coverage = world.cover(first=date.min, last=date.max)

    order = [STATES.index(each.verdict.state) for each in coverage]
    assert order == sorted(order)
    assert (coverage.first, coverage.last) == (march(3), LAST)
    assert coverage.is_lacking
    assert sum(coverage.counts().values()) == 22 * 7


@pytest.mark.parametrize("with_source", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_selection_is_told_as_it_is_within_the_whole(
    layout: PartitionLayout, *, with_source: bool
) -> None:
    world, _ = planted(layout)
    whole = world.said(with_source=with_source)

    for number in range(FIRST.day, LAST.day + 1):
        day = march(number)
        said = world.said(first=day, last=day, with_source=with_source)
        assert said == {key: what for key, what in whole.items() if key[-1] == number}
    for first, last in ((1, 4), (5, 12), (13, 22)):
        days = march(first), march(last)
        for account, region in PLACES:
            of = {"accounts": [account], "regions": [region]}
            said = world.said(first=days[0], last=days[1], with_source=with_source, **of)
            for number in range(first, last + 1):
                assert said[account, region, number] == whole[account, region, number]


def test_a_stop_is_no_cause_where_there_was_something_after_it() -> None:
    world = Organisation()
    for place in PLACES:
        for day in range(1, 11):
            if place != PLACES[0] or day < 4:
                world.deliver(place, march(day))
    world.deliver(PLACES[0], march(4), trail_event("StopLogging"))
    world.convert()

    said = world.said(first=march(1), last=march(14))

    stopped = {key for key, what in said.items() if what == STOPPED}
    assert stopped == {(*PLACES[0], day) for day in range(5, 15)}
    assert said[*PLACES[2], 14] == QUIET


def test_a_day_whose_records_came_with_other_days_is_not_empty() -> None:
    """CloudTrail could not deliver for two days, and delivers their records on the third."""
    world, place = Organisation(), PLACES[0]
    late = [{"eventTime": f"2026-03-{day:02d}T10:00:00Z"} for day in (4, 5)]
    for day, events in {3: [], 6: late, 8: []}.items():
        world.deliver(place, march(day), *events)
    world.convert()

    said = world.said(first=march(3), last=march(8))

    came_late = ("converted", "late")
    assert [said[*place, day] for day in range(3, 9)] == [
        *(CONVERTED, came_late, came_late, CONVERTED, QUIET, CONVERTED)
    ]
    assert world.said(first=march(5), last=march(5)) == {(*place, 5): came_late}
    gone = world.deliver(place, march(5))
    world.digests(place, march(5), [gone])
    world.stores.source.delete([gone])
    assert world.said(first=march(5), last=march(5)) == {(*place, 5): DELETED}


def test_days_to_come_are_left_out() -> None:
    world = Organisation()
    world.deliver(PLACES[0], march(3))
    world.convert()
    today = world.clock.time.date()

    coverage = world.cover(march(3), today + timedelta(days=40))

    assert coverage.last == today
    assert "of no account there are log files after 2026-03-03" in coverage.remarks
    assert world.cover(today, date.max).last == today
    assert world.cover(march(3), date.max).last == today - timedelta(days=1)
    assert world.cover(march(3), march(3)).remarks == []
    with pytest.raises(UsageError, match="has not come yet"):
        world.cover(today + timedelta(days=1), today + timedelta(days=2))


def test_a_day_on_which_nobody_has_anything_is_told_of_all_the_same() -> None:
    world = Organisation()
    for place in PLACES:
        for day in (1, 4):
            world.deliver(place, march(day))
    world.convert()

    coverage = world.cover(march(2), march(2), with_source=False)

    said = {(place, verdict[:2]) for place, _, verdict in coverage.days()}
    assert said == {(place, ("unknown", "no receipt")) for place in PLACES}
    assert coverage.is_lacking


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_were_never_seen_are_refused(layout: PartitionLayout) -> None:
    world, _ = planted(layout)

    for first in (date.min, march(3)):
        with pytest.raises(UsageError, match=r"of account 999999999999\b.*There are"):
            world.cover(first=first, accounts=["999999999999"])
    with pytest.raises(
        UsageError, match=r"nothing is known of region eu-central-2\b.*eu-central-1"
    ):
        world.cover(regions=["eu-central-2"], accounts=[MAIN], with_source=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_without_a_receipt_are_never_told_as_never_converted(layout: PartitionLayout) -> None:
    world = Organisation(layout)
    for place in PLACES:
        for day in (1, 2, 4):
            world.deliver(place, march(day))
    world.convert()
    world.stores.state.delete([entry.key for entry in world.stores.state.files("receipts/")])

    said = world.said(last=march(4))

    lost = ("outdated", "receipt")
    days = dict.fromkeys((1, 2, 4), lost) | {3: QUIET}
    assert said == {(*place, day): what for place in PLACES for day, what in days.items()}
    spans = {span_of(place, layout) for place in PLACES}
    without = world.said(last=march(4), with_source=False)
    assert {key for key, what in without.items() if what == lost} == {
        (*span, day) for span in spans for day in (1, 2, 4)
    }


def test_states_of_what_was_converted() -> None:
    world = Organisation()
    place = PLACES[0]
    for day in range(1, 8):
        world.deliver(place, march(day), number=2)
    world.clock.time = datetime(2026, 3, 7, 23, tzinfo=UTC)
    world.convert()
    world.clock.time += timedelta(hours=2)
    world.deliver(place, march(2), hour=20)
    (part,) = [e.key for e in world.stores.dataset.files("") if "day=03" in e.key]
    world.stores.dataset.delete([part])
    (receipt,) = [e.key for e in world.stores.state.files("receipts/") if "day=04" in e.key]
    world.stores.state.write(receipt, b"{")
    (receipt,) = [e.key for e in world.stores.state.files("receipts/") if "day=05" in e.key]
    world.stores.state.delete([receipt])

    said = {key[-1]: what for key, what in world.said(last=march(7)).items()}

    assert said == {
        1: CONVERTED,
        2: ("outdated", "files"),
        3: ("outdated", "parts"),
        4: ("outdated", "receipt"),
        5: ("outdated", "receipt"),
        6: CONVERTED,
        7: ("provisional", "window"),
    }
    world.clock.time += timedelta(days=1)
    assert world.said(last=march(7))[*place, 7] == ("outdated", "window")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_could_not_be_read_is_told_of_its_place_only(layout: PartitionLayout) -> None:
    world = Organisation(layout)
    for place in PLACES:
        world.deliver(place, march(3))
    damaged = world.deliver(PLACES[0], march(3), hour=13)
    world.stores.source.write(damaged, b"no gzip")
    world.deliver(PLACES[2], march(3), {"eventTime": None})
    world.deliver(Place(CLOSED, HOME), march(3))
    world.refusing.refused.append(f"AWSLogs/{CLOSED}/")
    world.convert()

    said = world.said(first=march(3), last=march(3))

    partial = ("partial", "quarantined")
    expected = dict.fromkeys(((*place, 3) for place in PLACES), CONVERTED)
    expected |= {(*PLACES[0], 3): partial, (*PLACES[2], 3): partial}
    refused = ("partial", "refused") if layout == "dt" else REFUSED
    assert said == {**expected, (CLOSED, "", 3): refused}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_places_whose_log_files_have_changed_are_outdated(layout: PartitionLayout) -> None:
    world = Organisation(layout)
    logs = {
        place: [world.deliver(place, march(3), hour=hour) for hour in (9, 10)] for place in PLACES
    }
    world.convert()
    world.stores.source.delete([*logs[PLACES[0]], logs[PLACES[1]][0]])
    world.deliver(PLACES[2], march(3), hour=11)

    said = world.said(first=march(3), last=march(3))

    changed = ("outdated", "files")
    states = [CONVERTED, changed, changed, CONVERTED]  # the log files of the first have expired
    assert said == {(*place, 3): state for place, state in zip(PLACES, states, strict=True)}


def test_days_before_the_first_one_and_a_dataset_without_anything() -> None:
    world = Organisation()
    coverage = world.cover(first=date.min, last=date.max, with_source=False)

    assert (coverage.first, list(coverage), coverage.is_lacking) == (None, [], True)
    assert FIRST < LAST


def test_a_stop_after_which_a_place_has_records_does_not_explain_a_later_gap() -> None:
    world = Organisation()
    place = Place(MAIN, HOME)
    for day in (*range(1, 8), *range(12, 15)):
        stopped = [trail_event("StopLogging")] if day == 6 else []
        world.deliver(place, march(day), *stopped)
    world.convert()

    said = world.said(first=march(1), last=march(14))

    assert {said[MAIN, HOME, day] for day in range(8, 12)} == {("empty", "quiet")}


def test_a_receipt_without_records_is_no_delivery_on_the_last_day_of_a_stop() -> None:
    world = Organisation()
    for region in (HOME, VIRGINIA):
        for day in (*range(1, 6), *range(13, 15)):
            world.deliver(Place(MAIN, region), march(day))
    world.deliver(Place(MAIN, HOME), march(5), trail_event("StopLogging"), hour=20)
    world.deliver(Place(MAIN, HOME), march(13), trail_event("StartLogging"), hour=0)
    world.convert()

    said = world.said(first=march(1), last=march(14))

    assert said[MAIN, HOME, 12] == ("converted", ""), "its window holds a log file of the 13th"
    assert said[MAIN, VIRGINIA, 12] == ("empty", "trail stopped")


def test_the_newest_days_have_not_expired_where_all_log_files_of_a_place_are_gone() -> None:
    world = Organisation()
    for account in (MAIN, OTHER):
        for day in range(1, 6):
            world.deliver(Place(account, HOME), march(day))
    world.convert()
    for entry in list(world.stores.source.files(f"AWSLogs/{OTHER}/")):
        world.stores.source.delete([entry.key])
    for day in range(6, 11):
        world.deliver(Place(MAIN, HOME), march(day))

    said = world.said(first=march(1), last=march(10))

    assert {said[OTHER, HOME, day] for day in range(6, 11)} == {("empty", "quiet")}
