"""The function's rewriting and expiring: few units here, many by way of others, within the time."""

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.contract import expire_event
from cloudtrail_parquet.errors import CloudTrailParquetError, ProcessEndedError, UsageError
from cloudtrail_parquet.function.events import Event, RewriteEvent, UnitRef, parse_text, to_text
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.function.upkeep import expiring, rewriting
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import WritableStores
from tests.unit.deliveries import START, memory
from tests.unit.mortal import Killed, KilledError
from tests.unit.rewriting.datasets import (
    convert,
    filled,
    is_true,
    parts,
    plan,
    receipt_of,
    rows,
    some,
    units,
)

PLAIN, GZIP = Settings(), make_settings(compression="gzip")


@dataclass
class Invocations:
    """A function in memory, and the events that it sends to itself.

    Attributes:
        stores: Dataset and state; the source is not there.
        settings: The function's settings.
        times: The seconds that the next invocations have; after these, all have enough.
        sent: All events that were sent, as they were sent.
    """

    stores: WritableStores
    settings: Settings = GZIP
    times: deque[Callable[[], float]] = field(default_factory=deque)
    sent: list[Event] = field(default_factory=list)
    is_alone: bool = False

    def send(self, events: Iterable[Event]) -> int:
        texts = [to_text(event) for event in events]
        self.sent += map(parse_text, texts)
        return len(texts)

    def run(self, event: Event, delivery: str = "") -> dict[str, int]:
        left_s = self.times.popleft() if self.times else lambda: 900.0
        function = Function(
            self.stores,
            self.settings,
            None if self.is_alone else lambda: self,
            Telemetry(),
            900,
            left_s,
            delivery,
        )
        return function.run(event)

    def run_all(self, event: Event) -> int:
        """Run an event and those that it leads to; returns how many invocations that took."""
        waiting, count = deque([event]), 0
        while waiting:
            before = len(self.sent)
            self.run(waiting.popleft())
            waiting += self.sent[before:]
            count += 1
            assert count < 50
        return count


def converted() -> WritableStores:
    """A dataset whose log files are gone."""
    stores = some()
    convert(stores, PLAIN)
    stores.source.delete([entry.key for entry in stores.source.files("")])
    return stores


def of_units(some_units: Iterable[Unit], only: Any = "outdated") -> RewriteEvent:  # noqa: ANN401
    return RewriteEvent(units=tuple(map(UnitRef.of, some_units)), only=only)


def wanted() -> WritableStores:
    stores = some()
    convert(stores, GZIP)
    return stores


def test_a_small_range_is_rewritten_at_once() -> None:
    function = Invocations(converted())

    counts = function.run(RewriteEvent())

    assert counts == {"rewritten": len(units(function.stores)), "handed_back": 0}
    assert parts(function.stores) == parts(wanted())
    assert function.sent == []
    assert function.run(RewriteEvent()) == {"rewritten": 0, "handed_back": 0}


def test_a_large_range_is_sent_on_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "BATCH_S", 2.5)  # two units a message
    function = Invocations(converted())
    number = len(units(function.stores))

    counts = function.run(RewriteEvent())

    assert counts == {"planned": number, "batches": -(-number // 2)}
    assert [ref.unit for event in function.sent for ref in event.units] == units(function.stores)  # type: ignore[union-attr]
    for event in list(function.sent):
        assert function.run(event)["handed_back"] == 0
    assert parts(function.stores) == parts(wanted())


def test_what_of_a_range_there_is_no_time_for_goes_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rewriting, "_LOOK_AT", 1)
    function = Invocations(converted())
    seconds = iter([900, *[100] * 99])
    function.times.append(lambda: next(seconds))

    assert function.run_all(RewriteEvent()) > 2

    rest = function.sent[1]
    assert isinstance(rest, RewriteEvent)
    assert rest.after == UnitRef.of(units(function.stores)[0])
    assert parts(function.stores) == parts(wanted())


def test_a_range_is_of_some_days_accounts_and_regions() -> None:
    function, first = Invocations(converted()), START.date()
    chosen = [each for each in units(function.stores) if each.day == first]

    function.run(RewriteEvent(first=first, last=first, regions=("eu-central-1",)))

    rewritten = [
        each
        for each in units(function.stores)
        if receipt_of(function.stores, each).settings["compression"] == "gzip"
    ]
    assert rewritten == [each for each in chosen if each.region == "eu-central-1"] != chosen
    with pytest.raises(UsageError, match="no unit of the range"):
        function.run(RewriteEvent(accounts=("999999999999",)))
    with pytest.raises(UsageError, match="availability zone"):
        function.run(RewriteEvent(regions=("eu-central-1a",)))


def test_units_without_time_are_handed_back_and_the_others_are_done() -> None:
    function = Invocations(converted())
    all_units, done = units(function.stores), iter(range(99))
    function.times.append(lambda: 900 if next(done) < 5 else 0)  # some two units

    counts = function.run(of_units(all_units))

    assert 0 < counts["rewritten"] < len(all_units)
    assert counts["rewritten"] + counts["handed_back"] == len(all_units)
    left = {ref.unit for event in function.sent for ref in event.units}  # type: ignore[union-attr]
    assert left == {
        unit
        for unit in all_units
        if receipt_of(function.stores, unit).settings["compression"] != "gzip"
    }
    for event in list(function.sent):
        function.run(event)
    assert parts(function.stores) == parts(wanted())


def test_an_event_of_which_nothing_is_done_fails() -> None:
    function = Invocations(converted())
    function.times.append(lambda: 10)

    with pytest.raises(CloudTrailParquetError, match="s are left"):
        function.run(of_units(units(function.stores)))

    assert function.sent == []


def test_a_unit_that_fails_is_handed_back_alone() -> None:
    function = Invocations(converted())
    damaged = filled(function.stores)[0]
    others = [unit for unit in units(function.stores) if unit != damaged]
    key = receipt_of(function.stores, damaged).parts[0].key
    function.stores.dataset.write(key, b"PAR1 and no more PAR1")

    counts = function.run(of_units([damaged, *others]))

    assert counts == {"rewritten": len(others), "handed_back": 1}
    assert function.sent == [of_units([damaged])]
    with pytest.raises(CloudTrailParquetError):
        function.run(function.sent[0])


def test_a_unit_too_large_for_any_invocation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    function = Invocations(converted())
    monkeypatch.setattr(rewriting, "rewrite_seconds", lambda _: 1000.0)

    with pytest.raises(UsageError, match="needs about 1000 s; an invocation has 870 s"):
        function.run(of_units(units(function.stores)))


def test_units_of_an_attempt_that_was_ended_are_tried_alone() -> None:
    function = Invocations(converted())
    event, original = of_units(units(function.stores)), function.stores
    function.stores = Killed(original, 4).stores
    with pytest.raises(KilledError):
        function.run(event, delivery="a")
    function.stores = original

    counts = function.run(event, delivery="a")

    assert counts == {"rewritten": 0, "handed_back": len(event.units)}
    assert function.sent == [of_units([ref.unit]) for ref in event.units]
    for each in list(function.sent):
        function.run(each, delivery="b")
    assert parts(function.stores) == parts(wanted())
    assert all(is_true(original, unit) for unit in units(original))


def test_a_unit_that_ends_each_process_is_given_up() -> None:
    function = Invocations(converted())
    event, original = of_units(filled(function.stores)[:1]), function.stores
    for _ in range(2):
        function.stores = Killed(original, 2).stores
        with pytest.raises(KilledError):
            function.run(event, delivery="a")
    function.stores = original

    with pytest.raises(ProcessEndedError, match="2 invocations that read this were ended"):
        function.run(event, delivery="a")


def test_all_are_made_anew_only_if_that_is_asked_for() -> None:
    function = Invocations(converted(), PLAIN)
    runs = [receipt_of(function.stores, unit).run for unit in units(function.stores)]

    assert function.run(RewriteEvent())["rewritten"] == 0
    assert function.run(RewriteEvent(only="all"))["rewritten"] == len(runs)

    assert runs != [receipt_of(function.stores, unit).run for unit in units(function.stores)]
    assert rows(function.stores) == rows(converted())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (make_settings(partition_layout="dt"), "cannot become dt in place"),
        (make_settings(lookahead_s=60), "lookahead_s = 7200"),
    ],
)
def test_what_only_log_files_could_change_is_refused(settings: Settings, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Invocations(converted(), settings).run(RewriteEvent())


# Expiring.


def keep_from(day: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "first_kept", lambda *_: day)


def test_old_days_are_removed_and_not_converted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    function, kept = Invocations(some(), PLAIN), START.date().replace(day=START.day + 1)
    convert(function.stores, PLAIN)
    keep_from(kept, monkeypatch)

    counts = function.run(parse_text(expire_event("7y")))

    assert counts["expired"] > 0
    assert counts["handed_back"] == 0
    assert not any(f"day={START.day:02d}" in key for key in parts(function.stores))
    assert plan(function.stores, PLAIN) == []
    assert function.run(parse_text(expire_event("7y"))) == {"expired": 0, "handed_back": 0}


def test_what_has_expired_and_there_is_no_time_for_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function, event = Invocations(converted(), PLAIN), parse_text(expire_event("7y"))
    keep_from(date.max, monkeypatch)
    seconds = iter([900, 900, *[10] * 99])
    function.times.append(lambda: next(seconds))

    counts = function.run(event)

    assert 0 < counts["expired"] <= 2
    assert function.sent == [event]
    function.run(function.sent[0])
    assert parts(function.stores) == {}
    alone = replace(function, is_alone=True, stores=converted(), times=deque([lambda: 10.0]))
    with pytest.raises(CloudTrailParquetError, match="no time left"):
        alone.run(event)


def test_a_dataset_that_is_not_there_yet_has_nothing_to_expire() -> None:
    assert Invocations(memory()).run(parse_text(expire_event("7y")))["expired"] == 0


@pytest.mark.parametrize("age", ["7", "seven", "29d"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(UsageError, match="older_than"):
        Invocations(converted()).run(parse_text(json.dumps({"kind": "expire", "older_than": age})))
