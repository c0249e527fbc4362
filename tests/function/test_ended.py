"""Units that end the process that converts them, for lack of memory or time."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    ProcessEndedError,
    SupersededError,
    UsageError,
)
from cloudtrail_parquet.function.attempts import KEPT_DAYS, forget_old
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    Event,
    PlanEvent,
    UnitRef,
    parse_text,
    to_text,
)
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import WHOLE, Bound, Place, Shard, Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.cuts import note_cut
from cloudtrail_parquet.state.keys import ATTEMPTS, StateKeys
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import open_store
from tests.builders import REGION, WritableStores, at, log_file, log_key, record
from tests.function.deployment import ATTEMPTS as AT_MOST
from tests.function.deployment import Deployment
from tests.function.runtime import SOURCE_TREE
from tests.s3.faults import Fault, Request

DAY = date(2026, 1, 10)


class Ended(BaseException):
    """The process is no more."""


class Delivery(NamedTuple):
    """An event on its way to the function."""

    event: Event
    number: int
    link: int
    attempt: int = 1


@dataclass
class Cloud:
    """The function in this process, with a queue that tries three times, and deadly log files.

    Attributes:
        deadly: The places whose log files end the process that reads one.
        ended: How many processes were ended.
        failed: The units of events that failed at the last attempt, with the reason.
        links: How far the longest chain of events went.
    """

    places: list[Place]
    layout: PartitionLayout = DEFAULT_LAYOUT
    deadly: set[Place] = field(default_factory=set)
    ended: int = 0
    failed: list[tuple[tuple[UnitRef, ...], CloudTrailParquetError]] = field(default_factory=list)
    links: int = 0
    inline: bool = False
    lease_wait_s: int = 900

    def __post_init__(self) -> None:
        source, dataset, state = (open_store("memory:///") for _ in range(3))
        for store in (source, dataset, state):
            store.parallel = 1
        self.stores = WritableStores(source, dataset, state)
        self.keys = dict[str, Place]()
        for number, place in enumerate(self.places):
            happened = f"{DAY}T11:00:00Z"
            key = log_key(*place, at(DAY, 12))
            self.keys[key] = place
            source.write(key, log_file(record(eventTime=happened, eventID=f"id-{number}")))
        read = source.read

        def read_or_end(key: str) -> bytes:
            if self.keys[key] in self.deadly:
                self.ended += 1
                raise Ended
            return read(key)

        source.read = read_or_end  # type: ignore[method-assign]
        self._waiting, self._sent = deque[Delivery](), 0

    def send(self, event: Event, link: int = 1) -> None:
        self._sent += 1
        self._waiting.append(Delivery(event, self._sent, link))

    def carry(self, event: Event) -> None:
        """Carry an event and all that follows from it."""
        self.send(event)
        while self._waiting:
            one = self._waiting.popleft()
            self.links = max(self.links, one.link)
            try:
                self.work(one)
            except Ended:
                failure = None
            except CloudTrailParquetError as error:
                failure = error
            else:
                continue
            if one.attempt < AT_MOST:
                self._waiting.append(one._replace(attempt=one.attempt + 1))
            elif isinstance(one.event, ConvertEvent):
                assert failure is not None, "nobody knows why"
                self.failed.append((one.event.units, failure))

    def work(self, one: Delivery) -> dict[str, int]:
        cloud = self

        class Onward:
            def send(self, events: Iterable[Event]) -> int:
                sent = [parse_text(to_text(event)) for event in events]
                for event in sent:
                    cloud.send(event, one.link + 1)
                return len(sent)

        settings = Settings(partition_layout=self.layout, lease_wait_s=self.lease_wait_s)
        telemetry = Telemetry()
        function = Function(
            self.stores,
            settings,
            None if self.inline else Onward,
            telemetry,
            900,
            lambda: 900,
            f"delivery-{one.number}",
        )
        return function.run(one.event)

    def receipt(self, unit: Unit) -> Receipt:
        receipt = read_notes(self.stores.state, unit).receipt
        assert receipt is not None
        return receipt

    @property
    def ids(self) -> list[str]:
        """The ids of all rows that there are."""
        dataset = self.stores.dataset
        found = [
            pq.ParquetFile(dataset.open(entry.key)).read(["eventID"])["eventID"].to_pylist()
            for entry in dataset.files("")
        ]
        return sorted(name for names in found for name in names)

    @property
    def notes(self) -> list[str]:
        """Notes about attempts."""
        return [entry.key for entry in self.stores.state.files(ATTEMPTS)]


def places(number: int) -> list[Place]:
    return [Place(f"{n:012d}", REGION) for n in range(number)]


def all_ids(cloud: Cloud) -> list[str]:
    return sorted(f"id-{n}" for n, place in enumerate(cloud.places) if place not in cloud.deadly)


@pytest.mark.parametrize("planned", [False, True])
def test_a_unit_that_ends_its_process_fails_alone_and_all_others_are_converted(
    *, planned: bool
) -> None:
    cloud = Cloud(places(12), deadly={places(12)[4], places(12)[7]})
    units = [Unit(*place, DAY) for place in cloud.places]

    cloud.carry(PlanEvent(DAY, DAY) if planned else ConvertEvent.of(units))

    assert cloud.ids == all_ids(cloud)
    assert [[ref.unit for ref in refs] for refs, _ in cloud.failed] == [[units[4]], [units[7]]]
    for _, error in cloud.failed:
        assert isinstance(error, ProcessEndedError)
        assert "2 invocations that read this were ended" in error.what
    assert (cloud.ended, cloud.links) == (5, 2)  # all of them once; two each, alone


def test_a_unit_that_cannot_even_be_listed_fails_with_the_reason() -> None:
    cloud = Cloud(places(3), "dt")
    event, source = Delivery(ConvertEvent.of([Unit("", "", DAY)]), 1, 1), cloud.stores.source

    def end(*_: object, **__: object) -> NoReturn:
        raise Ended

    source.files = end  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(Ended):
            cloud.work(event)
    for _ in range(2):
        with pytest.raises(ProcessEndedError, match="3 invocations that read this were ended"):
            cloud.work(event)


def test_with_nobody_to_send_units_to_all_but_the_one_to_blame_are_converted() -> None:
    cloud = Cloud(places(5), inline=True)
    cloud.deadly = {cloud.places[2]}
    event = Delivery(ConvertEvent.of([Unit(*place, DAY) for place in cloud.places]), 1, 1)

    for attempt in range(AT_MOST):
        with pytest.raises(Ended):
            cloud.work(event)
        assert len(cloud.ids) == (2 if attempt == 0 else 4)

    assert cloud.ids == all_ids(cloud)


def test_a_unit_that_was_ended_by_chance_is_converted_by_the_next_attempt() -> None:
    cloud = Cloud(places(3))
    cloud.deadly = {cloud.places[1]}
    units = [Unit(*cloud.places[1], DAY)]
    with pytest.raises(Ended):
        cloud.work(Delivery(ConvertEvent.of(units), 1, 1))
    assert len(cloud.notes) == 1
    cloud.deadly = set()

    cloud.carry(ConvertEvent.of(units))

    assert cloud.ids == ["id-1"]
    assert not cloud.notes
    assert not cloud.failed


def test_a_single_unit_waits_for_the_lease_of_a_process_that_was_ended() -> None:
    """Else it uses up its attempts at it, and is not known to have ended the one after that."""
    cloud = Cloud(places(2), "dt", lease_wait_s=0)
    unit = Unit("", "", DAY)
    expired = datetime.now(UTC) - timedelta(seconds=4)  # by clocks that may differ by five
    lease = {"holder": "dead", "expires": expired.isoformat(), "seconds": -4}
    cloud.stores.state.write(StateKeys.of(unit).lease, json.dumps(lease).encode())

    cloud.work(Delivery(ConvertEvent.of([unit]), 1, 1))

    assert cloud.ids == all_ids(cloud)


@pytest.mark.parametrize("number", [2, 40])
def test_a_folded_unit_that_ends_its_process_is_cut_until_one_place_is_set_aside(
    number: int,
) -> None:
    cloud = Cloud(places(number), "dt")
    cloud.deadly = {cloud.places[number // 2]}
    unit = Unit("", "", DAY)

    cloud.carry(ConvertEvent.of([unit]))

    receipt, (deadly,) = cloud.receipt(unit), cloud.deadly
    states = {account: regions[REGION].state for account, regions in receipt.places.items()}
    assert not cloud.notes
    assert not cloud.failed
    assert cloud.ids == all_ids(cloud)
    assert receipt.status == "partial"
    assert {account for account, state in states.items() if state != "read"} == {deadly.account}
    assert states[deadly.account] == "aside"
    assert set(states) == {place.account for place in cloud.places}
    (bad,) = receipt.quarantined
    assert cloud.keys[bad.key] == deadly
    assert bad.reason == "2 invocations that read this were ended, at a limit of time or memory"
    assert cloud.links <= 4
    assert receipt.files.listed == number

    cloud.deadly = set()
    cloud.carry(PlanEvent(DAY, DAY, only="outdated"))

    assert cloud.ids == all_ids(cloud)
    assert cloud.receipt(unit).status == "complete"


def test_several_deadly_places_of_a_folded_unit_are_set_aside_one_after_the_other() -> None:
    cloud = Cloud(places(36), "dt")
    cloud.deadly = {cloud.places[n] for n in (0, 18, 35)}
    unit = Unit("", "", DAY)

    cloud.carry(ConvertEvent.of([unit]))

    states = [regions[REGION].state for regions in cloud.receipt(unit).places.values()]
    assert cloud.ids == all_ids(cloud)
    assert (states.count("aside"), states.count("read")) == (3, 33)
    assert cloud.failed == []
    assert cloud.links < 16


def test_shards_of_a_cut_that_another_has_replaced_publish_nothing() -> None:
    cloud = Cloud(places(6), "dt")
    unit, first = Unit("", "", DAY), Shard.between(1, (Bound(*cloud.places[2], 0),))
    newer = (Bound(*cloud.places[1], 0), Bound(*cloud.places[4], 0))
    old, new = (UnitRef.of(unit).split(0, bounds) for bounds in (first.bounds, newer))
    note_cut(cloud.stores.state, unit, first.bounds, WHOLE)
    cloud.carry(ConvertEvent(tuple(old[:1])))
    assert cloud.ids == ["id-0", "id-1"]

    note_cut(cloud.stores.state, unit, newer, first)
    cloud.carry(ConvertEvent(tuple(new)))
    assert cloud.ids == all_ids(cloud)
    cloud.carry(ConvertEvent(tuple(old)))

    assert cloud.ids == all_ids(cloud)
    assert cloud.failed == []
    assert len(cloud.receipt(unit).parts) == 3
    with pytest.raises(SupersededError, match=r"1 of 2 is of a cut that another one has replaced"):
        note_cut(cloud.stores.state, unit, first.bounds, first)


def test_an_attempt_that_fails_is_not_taken_for_one_that_was_ended() -> None:
    cloud = Cloud(places(3))
    units = [Unit(*place, DAY) for place in (*cloud.places, Place("9" * 12, REGION))]
    nowhere = Delivery(ConvertEvent.of(units[3:]), 1, 1)

    for _ in range(AT_MOST):
        with pytest.raises(UsageError, match="999999999999"):
            cloud.work(nowhere)
        assert cloud.notes == []
    assert cloud.work(Delivery(ConvertEvent.of(units[:3]), 2, 1))["converted"] == 3
    assert cloud.notes == []


def test_notes_of_attempts_are_kept_as_long_as_their_event_may_come_again() -> None:
    cloud = Cloud(places(1))
    cloud.deadly = {cloud.places[0]}
    cloud.carry(ConvertEvent.of([Unit(*cloud.places[0], DAY)]))
    assert len(cloud.failed) == len(cloud.notes) == 1
    today = cloud.stores.clock.now()

    for days, left in ((KEPT_DAYS - 1, 1), (KEPT_DAYS + 1, 0)):
        clock = Later(cloud.stores.clock, today + timedelta(days=days))
        forget_old(replace(cloud.stores, clock=clock))
        assert len(cloud.notes) == left


class Later:
    """A clock that tells another time."""

    def __init__(self, clock: object, now: datetime) -> None:
        self._clock, self._now = clock, now

    def now(self) -> datetime:
        return self._now

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._clock, name)


class Deadly:
    """A deployment in which a log file of one of some places kills the process that reads it."""

    def __init__(self, deployed: Deployment, some: list[Place], **environment: str) -> None:
        happened = f"{DAY}T11:00:00Z"
        for number, place in enumerate(some):
            body = log_file(record(eventTime=happened, eventID=f"id-{number}"))
            key = f"org/{log_key(*place, at(DAY, 12))}"
            deployed.s3.put_object(Bucket=deployed.buckets["logs"], Key=key, Body=body)
        self.place, self.box = some[1], deployed.start(SOURCE_TREE, **environment)
        path = f"{self.place.account}_.*gz"
        deployed.proxy.add(Fault(method="GET", path=path, when=self._kill))

    def _kill(self, _: Request) -> bool:
        self.box.kill()
        return False


@pytest.mark.parametrize("by_queue", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_costs_its_own_unit_alone(
    deployed: Deployment, *, by_queue: bool
) -> None:
    some = places(3)
    deadly = Deadly(deployed, some)
    box = deadly.box
    units = [{"account": one.account, "region": one.region, "day": str(DAY)} for one in some]
    event = {"kind": "convert", "units": units}

    if by_queue:
        deployed.send_messages(event)
        deployed.map_queue(box.invoke)
        (text,) = deployed.dead_letters()
        failed = json.loads(text)
    else:
        deployed.invoke_asynchronously(box.invoke, event)
        carried = deployed.carry_events(box.invoke)
        (whole,) = deployed.failed
        failed = whole["detail"]
        (reason,) = (one.outcomes[-1].payload for one in carried if not one.outcomes[-1].ok)
        assert reason["errorType"] == "ProcessEndedError"
        assert "invocations that read this were ended" in reason["errorMessage"]

    assert failed == {"kind": "convert", "units": [units[1]]}
    assert {one.account for one in deployed.receipts()} == {some[0].account, some[2].account}
    (said,) = {line["error"] for line in box.lines("unit_failed")}
    assert said.startswith(f"{deadly.place.account} {REGION} {DAY}: 2 invocations that read this")
    assert {line["attempts"] for line in box.lines("attempts_ended")} == {1, 2}


@pytest.mark.slow
def test_a_place_whose_log_file_kills_the_process_is_set_aside(deployed: Deployment) -> None:
    some = places(3)
    deadly = Deadly(
        deployed,
        some,
        CLOUDTRAIL_PARQUET_PARTITION_LAYOUT="dt",
        CLOUDTRAIL_PARQUET_LEASE_S="10",  # which is waited for after each process that is killed
    )
    unit = {"day": str(DAY)}

    deployed.invoke_asynchronously(deadly.box.invoke, {"kind": "convert", "units": [unit]})
    while deployed.carry_events(deadly.box.invoke):
        pass

    (receipt,) = deployed.receipts()
    states = {account: regions[REGION].state for account, regions in receipt.places.items()}
    assert states == {one.account: "aside" if one == deadly.place else "read" for one in some}
    assert (receipt.status, receipt.records.written) == ("partial", 2)
    assert len(deployed.objects("lake")) == 2
    assert deployed.failed == []
    assert deployed.objects("state", "attempts/") == {}
