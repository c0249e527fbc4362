"""What starts runs: Lambda with its retries, EventBridge, SQS with a dead-letter queue, laptops.

Sources: Lambda Developer Guide, "Asynchronous invocation" (two more attempts, after one and two
minutes; events may come twice); SQS Developer Guide, "Visibility timeout" and "At-least-once
delivery".
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from io import SEEK_END, BytesIO
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, cast

import msgspec

from cloudtrail_parquet.batch.workers import convert_all, jobs_of
from cloudtrail_parquet.errors import CloudTrailParquetError, ReconciliationError, StorageError
from cloudtrail_parquet.function.events import Event, parse, parse_text, to_text
from cloudtrail_parquet.function.service import Function
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import Unit, span_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.storage import ObjectStore, Stores
from cloudtrail_parquet.storage.locations import Locations
from tests.simulation.faults import Faults
from tests.simulation.program import rebuild_receipts, update_ledger
from tests.simulation.s3 import Bucket, Buckets, Client
from tests.simulation.scheduler import Actor, ActorClock, Scheduler

_RETRIES_AFTER_S = {2: 60, 1: 120}  # by how many attempts are left
_RECEIVED_AT_MOST = 3
_A_DEFECT = "failed with "  # how the function words an error that it does not know


class SimulatedStore(ObjectStore):
    """An object store that asks for one thing after the other."""

    parallel = 1

    def open(self, key: str) -> BinaryIO:
        """An object as a file; its ends are asked for one after the other, as readers do.

        But here and now: a reader asks in threads that all runs share, and one that stands still
        there would stop the others.
        """
        with super().open(key) as file:
            middle = file.seek(0, SEEK_END) // 2
            file.seek(middle)
            end = file.read()
            file.seek(0)
            return BytesIO(file.read(middle) + end)


@dataclass(frozen=True)
class Program:
    """What is deployed at a time: settings, and the version of the schema."""

    settings: Settings
    version: int


@dataclass
class Services:
    """Starts runs, and lets them start others.

    Attributes:
        scheduler: Tells the time.
        random: Draws delays, and what comes twice.
        faults: What befalls requests.
        buckets: Where logs, parts and receipts are.
        scratch: Where parts wait.
        program: What runs that begin now are made of.
        whole_s: How long an invocation may take.
        latencies_s: How long requests may take; one of them for each run.
        clocks_off_s: By how much clocks may be wrong.
        visibility_s: After how long a message that was not done comes again.
        double: The share of events that come twice.
        fanned_out: Whether the function sends batches on.
        defects: Failures that no run may have, as found so far.
    """

    scheduler: Scheduler
    random: Random
    faults: Faults
    buckets: Buckets
    scratch: Path
    program: Program
    whole_s: float = 900
    latencies_s: tuple[float, ...] = (0.02,)
    clocks_off_s: float = 0
    visibility_s: float = 5400
    double: float = 0
    fanned_out: bool = True
    defects: list[str] = field(default_factory=list)
    _number: int = 0
    _deliveries: int = 0

    # What starts runs.

    def invoke(self, raw: dict[str, Any]) -> None:
        """An event for the function, as its schedule or a rule of the bus sends it."""
        delivery = self._next_delivery()
        self._attempt(raw, delivery, more=2)
        if self.random.random() < self.double:
            self._later(self._twice_after(), lambda: self._attempt(raw, delivery, more=2))

    def send(self, text: str) -> None:
        """A message for the queue, from which the function takes it."""
        delay_s, delivery = self.random.uniform(0, 20), self._next_delivery()
        self._later(delay_s, lambda: self._receive(text, delivery, received=1))
        if self.random.random() < self.double:
            again_s = delay_s + 20 * self._twice_after()
            self._later(again_s, lambda: self._receive(text, delivery, received=2))

    def laptop(self, first: date, last: date) -> None:
        """A conversion of some days by the command line."""
        program = self.program

        def work(actor: Actor) -> None:
            stores = self.stores(actor)
            found = discover(stores.source, program.settings.folders)
            window, layout = program.settings.window, program.settings.partition_layout
            of_places = units(stores.source, found, window, first, last)
            wanted = sorted({Unit(*span_of(one.span, layout), one.day) for one in of_places})
            locations = cast("Locations", _Opened(stores))
            for outcome in convert_all(jobs_of(wanted, found), locations, program.settings, 1):
                if outcome.error is not None:
                    self._failed(actor, outcome.error)

        self._start(f"laptop {first} to {last}", self._guarded(work), program)

    def status(self, *, rebuilds: bool = False) -> None:
        """The command `status`, as far as it writes; or `status --rebuild`."""
        settings = self.program.settings

        def work(actor: Actor) -> None:
            stores = self.stores(actor)
            if rebuilds:
                rebuild_receipts(stores, settings)
            else:
                update_ledger(stores)

        self._start("rebuild" if rebuilds else "status", self._guarded(work), self.program)

    def _next_delivery(self) -> str:
        """What an event has that comes again."""
        self._deliveries += 1
        return f"delivery {self._deliveries}"

    def _twice_after(self) -> float:
        return self.random.choice([0, 1, 30]) * self.random.random()

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self.scheduler.at(self.scheduler.now + delay_s, act)

    # What runs are.

    def stores(self, actor: Actor, faults: Faults | None = None) -> Stores:
        """The three stores, as an actor reaches them."""
        clock = ActorClock(actor, self.random)

        def store(bucket: Bucket) -> ObjectStore:
            return SimulatedStore(
                f"s3://{bucket.name}",
                Client(bucket, actor, faults or self.faults),
                scratch=self.scratch,
                remove_if=Client.delete_if,
                clock=clock,
            )

        return Stores(*map(store, self.buckets), clock=clock)

    def _attempt(self, raw: dict[str, Any], delivery: str, more: int) -> None:
        def ended(*, well: bool) -> None:
            if not well and more:
                again_s = _RETRIES_AFTER_S[more]
                self._later(again_s, lambda: self._attempt(raw, delivery, more - 1))

        event = msgspec.json.encode(raw.get("detail", raw)).decode()
        self._function(f"lambda {event}", delivery, lambda: parse(raw), self._put_event, ended)

    def _put_event(self, text: str) -> None:
        event = {"detail-type": "cloudtrail-parquet", "detail": msgspec.json.decode(text)}
        self._later(self.random.uniform(0, 5), lambda: self.invoke(event))

    def _receive(self, text: str, delivery: str, received: int) -> None:
        def ended(*, well: bool) -> None:
            if not well and received < _RECEIVED_AT_MOST:
                self._later(self.visibility_s, lambda: self._receive(text, delivery, received + 1))

        self._function(f"sqs {text}", delivery, lambda: parse_text(text), self.send, ended)

    def _function(
        self,
        name: str,
        delivery: str,
        read: Callable[[], Event],
        send: Callable[[str], None],
        ended: Callable[..., None],
    ) -> None:
        program, scheduler, well = self.program, self.scheduler, False

        def work(actor: Actor) -> None:
            nonlocal well
            began = scheduler.now
            actor.deadline = began + self.whole_s
            function = Function(
                self.stores(actor),
                program.settings,
                (lambda: _Fanout(self, actor, send)) if self.fanned_out else None,
                cast("Telemetry", _Telemetry(lambda error: self._failed(actor, error))),
                whole_s=self.whole_s,
                left_s=lambda: max(began + self.whole_s - scheduler.now, 0),
                delivery=delivery,
            )
            function.run(read())
            well = True

        guarded = self._guarded(work)

        def invocation(actor: Actor) -> None:
            try:
                guarded(actor)
            finally:
                if not scheduler.stopped:
                    ended(well=well)

        self._start(name, invocation, program)

    def _start(self, name: str, act: Callable[[Actor], None], program: Program) -> None:
        self._number += 1
        actor = Actor(self.scheduler, f"#{self._number} {name}", act)
        actor.version = program.version
        actor.latency_s = self.random.choice(self.latencies_s)
        if self.random.random() < 0.5:
            actor.clock_off_s = self.random.uniform(-self.clocks_off_s, self.clocks_off_s)
        self.scheduler.counts["runs"] += 1
        about = f"version {program.version}, clock {actor.clock_off_s:+.0f} s"
        self.scheduler.note(actor.name, f"begins ({about})")
        self.scheduler.at(self.scheduler.now, actor)

    def _guarded(self, work: Callable[[Actor], None]) -> Callable[[Actor], None]:
        def guarded(actor: Actor) -> None:
            try:
                work(actor)
            except CloudTrailParquetError as error:
                self._failed(actor, error)
            self.scheduler.note(actor.name, "ends")

        return guarded

    def _failed(self, actor: Actor, error: CloudTrailParquetError) -> None:
        self.scheduler.note(actor.name, f"failed: {error}")
        if isinstance(error, ReconciliationError) or error.what.startswith(_A_DEFECT):
            self.defects.append(f"{actor.name}: {error}")


class _Telemetry:
    """Hears what a function tells, and passes on what failed."""

    def __init__(self, failed: Callable[[CloudTrailParquetError], None]) -> None:
        self._failed = failed

    def failed(self, unit: Unit, error: CloudTrailParquetError) -> None:
        del unit
        self._failed(error)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class _Opened:
    """Locations that are open already."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def open(self) -> Stores:
        return self._stores

    def tidied(self) -> nullcontext[None]:
        return nullcontext()


@dataclass
class _Fanout:
    """Sends events on, ten with a request, which may fail."""

    services: Services
    actor: Actor
    put: Callable[[str], None]

    def send(self, events: Iterable[Event]) -> int:
        """See `cloudtrail_parquet.function.fanout.Fanout`."""
        services, count = self.services, 0
        for event in events:
            if count % 10 == 0:
                self.actor.live(self.actor.latency_s)
                if services.faults.fate("fan-out") is not None:
                    services.scheduler.counts["faults"] += 1
                    services.scheduler.note(self.actor.name, "fan-out REFUSED")
                    raise StorageError("events were not taken", "bus", "Run it again")
            text = to_text(event)
            services.scheduler.note(self.actor.name, f"sends {text}")
            self.put(text)
            count += 1
        return count
