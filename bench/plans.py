"""What it takes to plan years of an organisation in slices, with kills, and its daily run.

    python -m bench.plans --organisation 300x17x60
    python -m bench.plans --organisation 300x17x2191 --layout account/region/year/month/day
    python -m bench.plans --organisation 300x17x60 --daily

Names of log files are made up as they are listed, in pages of 1,000 keys, so the organisation takes
no room. Each request takes 25 ms of a simulated clock, one after the other, or ten times as long
for a tenth of an organisation. An invocation has 900 s of it, and is killed at random moments, and
at the end of its time. A killed event is carried out again, under the same id. CPU is that of this
process: planning, and making up the names, which is also measured alone; that of an S3 client is
not in it.

With ``--daily`` a daily run of an organisation of which all is converted is planned instead.

It fails if a unit is missing or was sent although it is none, if the attempts after kills have
listed 5 % of the keys again, or if the requests differ by more than 10 % from what was estimated.
"""

import argparse
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from math import inf
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    Event,
    PlanEvent,
    UnitRef,
    parse_text,
    to_text,
)
from cloudtrail_parquet.function.plans import Planner
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import Place, span_of
from cloudtrail_parquet.planning.cost import PAGE_KEYS, plan_lists
from cloudtrail_parquet.planning.plan import Only, PlannedUnit, Receipts, UnitRange, plan_units
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.settings.reach import scheduled_days
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state.figures import Records
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.receipt import Made, Read, Rows, receipt_of
from cloudtrail_parquet.state.receipt import to_text as receipt_text
from cloudtrail_parquet.storage import Entry, Level, ObjectStore, Stores, open_store

WHOLE_S = 900.0
REQUEST_S = 0.025
LAST = date(2026, 1, 1)
_FILES = (1,) * 60 + (3,) * 25 + (8,) * 10 + (20,) * 4 + (60,)
"""Log files a day, of a hundred places: 3.55 in the mean, as in an organisation of 300 accounts."""

TWICE = 0.05
OFF = 0.10


class Killed(BaseException):
    """An invocation was ended."""


@dataclass
class Simulation:
    """The time of an invocation, what it spends it on, and when it is killed.

    Attributes:
        draw: Draws the seconds until the next kill.
        request_s: The seconds that a request takes.
        left_s: The seconds that the invocation has left.
        requests: Requests by kind.
        keys: Keys that were listed of the source.
        kills: How often an invocation was killed.
        until_kill_s: The seconds until the next kill.
    """

    draw: Callable[[], float] = lambda: inf
    request_s: float = REQUEST_S
    left_s: float = inf
    requests: Counter[str] = field(default_factory=Counter)
    keys: int = 0
    kills: int = 0
    until_kill_s: float = inf

    def spend(self, kind: str) -> None:
        """Make a request."""
        self.requests[kind] += 1
        self.left_s -= self.request_s
        self.until_kill_s -= self.request_s
        if self.until_kill_s <= 0 or self.left_s <= 0:
            self.until_kill_s = self.draw()
            self.kills += 1
            raise Killed


class Organisation(NamedTuple):
    """Accounts with as many regions each, and days up to `LAST`."""

    accounts: int
    regions: int
    days: int

    @classmethod
    def named(cls, name: str) -> "Organisation":
        """The organisation of a name such as ``300x17x60``."""
        accounts, regions, days = map(int, name.split("x"))
        return cls(accounts, regions, days)

    @property
    def first(self) -> date:
        """The first day with log files."""
        return LAST - timedelta(days=self.days - 1)

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """The accounts and the regions."""
        accounts = [f"{100_000_000_000 + number}" for number in range(self.accounts)]
        return accounts, [f"region-{number:02d}" for number in range(self.regions)]

    @property
    def places(self) -> list[Place]:
        """The places."""
        accounts, regions = self.names
        return [Place(account, region) for account in accounts for region in regions]

    @staticmethod
    def files(place: Place) -> int:
        """The log files of a place each day."""
        return _FILES[crc32(f"{place.account} {place.region}".encode()) % len(_FILES)]


class Sent:
    """The units that were sent: a bit a day, as there may be millions of them.

    Attributes:
        again: Units that were sent again.
    """

    def __init__(self, organisation: Organisation, layout: PartitionLayout) -> None:
        self._first, self._all = organisation.first, (1 << organisation.days) - 1
        self._days = {span_of(place, layout): 0 for place in organisation.places}
        self.again = 0

    def add(self, refs: Iterable[UnitRef]) -> None:
        """Add units, each of which must be one of the organisation."""
        for ref in refs:
            day = 1 << (ref.day - self._first).days
            self.again += self._days[ref.unit.span] & day != 0
            self._days[ref.unit.span] |= day

    @property
    def spans(self) -> int:
        """How many accounts and regions units have."""
        return len(self._days)

    @property
    def missing(self) -> int:
        """How many units were not sent."""
        return sum((self._all ^ days).bit_count() for days in self._days.values())


class MadeUpSource:
    """A source of which each place has as many log files every day, from 00:00 on."""

    uri, parallel, tops = "s3://logs", 1, ("",)

    def __init__(self, organisation: Organisation, simulation: Simulation) -> None:
        self._organisation, self._simulation = organisation, simulation
        self._endings: dict[int, list[str]] = {}
        for number in set(_FILES):
            minutes = (1440 * index // number for index in range(number))
            self._endings[number] = [
                f"{minute // 60:02d}{minute % 60:02d}Z_AbCdEfGh{minute:08d}.json.gz"
                for minute in minutes
            ]

    def folders(self, prefix: str) -> list[str]:
        """See `ReadStore.folders`."""
        return self.level(prefix).folders

    def level(self, prefix: str) -> Level:
        """See `ReadStore.level`."""
        self._simulation.spend("LIST")
        accounts, regions = self._organisation.names
        names = [["AWSLogs"], accounts, ["CloudTrail"], regions][prefix.count("/")]
        return Level(names, [])

    def files(self, prefix: str, *_skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        """See `ReadStore.files`; ``after`` is the folder of a day."""
        self._simulation.spend("LIST")
        _, account, _, region, _ = prefix.split("/")
        place, first, modified = Place(account, region), self._organisation.first, _MODIFIED
        if after:
            year, month, day = map(int, after[len(prefix) :].strip("/").split("/"))
            first = max(first, date(year, month, day))
        endings, listed = self._endings[self._organisation.files(place)], 0
        for number in range((LAST - first).days + 1):
            day_ = first + timedelta(days=number)
            stamp = day_.isoformat()
            name = f"{account}_CloudTrail_{region}_{stamp.replace('-', '')}T"
            usual = f"{prefix}{stamp.replace('-', '/')}/{name}"
            for ending in endings:
                if listed % PAGE_KEYS == 0 and listed:
                    self._simulation.spend("LIST")
                listed += 1
                self._simulation.keys += 1
                yield Entry(usual + ending, 1000, modified)


_MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)


class CountedStore(ObjectStore):
    """A store in memory whose requests are counted and take time."""

    parallel = 1

    def __init__(self, simulation: Simulation) -> None:
        memory: Any = open_store("memory:///")
        super().__init__("memory:///", memory._client)  # noqa: SLF001 - the client of a new store
        self._simulation = simulation

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        """See `ReadStore.files`."""
        self._simulation.spend("LIST")
        return super().files(prefix, *skip, after=after)

    def _ask(self, done: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - as the client's
        if done != "listed":
            self._simulation.spend("PUT" if done in {"written", "deleted"} else "GET")
        return super()._ask(done, *args, **more)


class Invocations:
    """The function and its bus: each event is carried out, again if it was killed.

    Attributes:
        sent: The units that were sent.
        longest_s: The longest invocation, by the simulated clock.
        number: How many invocations there were.
        events: How many plan events there were.
        depth: The longest chain of them.
    """

    def __init__(
        self, organisation: Organisation, layout: PartitionLayout, simulation: Simulation
    ) -> None:
        source: Any = MadeUpSource(organisation, simulation)
        dataset, state = CountedStore(simulation), CountedStore(simulation)
        self._stores = Stores(source, dataset, state)
        self._settings = Settings(partition_layout=layout)
        self._simulation = simulation
        self._waiting = deque[tuple[int, str, PlanEvent]]()
        self._ids, self._depth = count(1), 0
        self.sent = Sent(organisation, layout)
        self.longest_s = 0.0
        self.number = self.events = self.depth = 0

    def send(self, events: Iterable[Event]) -> int:
        """See `Fanout.send`."""
        number = 0
        for number, event in enumerate(map(parse_text, map(to_text, events)), start=1):
            if number % 10 == 1:
                self._simulation.spend("send")
            if isinstance(event, ConvertEvent):
                self.sent.add(event.units)
            elif isinstance(event, PlanEvent):
                self._waiting.append((self._depth + 1, f"{next(self._ids)}", event))
        return number

    def _convert(self, refs: list[UnitRef]) -> dict[str, int]:
        self.sent.add(refs)
        return {"converted": len(refs)}

    def carry(self, event: PlanEvent) -> None:
        """Carry out an event, and all that it leads to."""
        self._waiting.append((1, f"{next(self._ids)}", event))
        while self._waiting:
            self._depth, delivery, event = self._waiting.popleft()
            self.depth, self.number = max(self.depth, self._depth), self.number + 1
            self._simulation.left_s = WHOLE_S
            try:
                self._planner().run(event, delivery)
                self.events += 1
            except Killed:
                self._waiting.appendleft((self._depth, delivery, event))
            self.longest_s = max(self.longest_s, WHOLE_S - self._simulation.left_s)

    def _planner(self) -> Planner:
        return Planner(
            stores=self._stores,
            settings=self._settings,
            fanout=lambda: self,
            telemetry=Telemetry(),
            whole_s=WHOLE_S,
            left_s=lambda: self._simulation.left_s,
            convert=self._convert,
        )


class Planned(NamedTuple):
    """What planning has taken.

    Attributes:
        units: The units that were sent.
        again: Units that were sent again.
        keys: Keys listed.
        twice: The share of the source's keys that were listed again.
        requests: LIST requests.
        estimated: What was estimated of them.
        events: Plan events, the first one and slices.
        depth: The longest chain of them.
        invocations: With those that were killed.
        kills: How many of these.
        longest_s: Simulated seconds of the longest one.
        wall_s: How long it took.
        cpu_s: CPU of that.
        names_s: CPU of making the names up.
    """

    units: int
    again: int
    keys: int
    twice: float
    requests: int
    estimated: int
    events: int
    depth: int
    invocations: int
    kills: int
    longest_s: float
    wall_s: float
    cpu_s: float
    names_s: float

    def faults(self) -> Iterator[str]:
        """What is not as it should be."""
        if self.twice >= TWICE:
            yield f"{self.twice:.1%} of the keys were listed twice"
        if abs(self.estimated / self.requests - 1) > OFF:
            yield f"{self.estimated:,} LIST requests were estimated, and {self.requests:,} made"


def plan(
    organisation: Organisation,
    layout: PartitionLayout,
    *,
    kill_after_s: float = inf,
    request_s: float = REQUEST_S,
    seed: int = 1,
) -> Planned:
    """Plan all days of an organisation.

    Args:
        organisation: The organisation.
        layout: The layout of its dataset.
        kill_after_s: The mean time between kills, in simulated seconds.
        request_s: The simulated seconds of a request.
        seed: Of the moments of kills.

    Raises:
        AssertionError: A unit was not sent.
        LookupError: What was sent is no unit of the organisation.
    """
    random = Random(seed)
    simulation = Simulation(lambda: random.expovariate(1 / kill_after_s), request_s)
    simulation.until_kill_s = simulation.draw()
    invocations = Invocations(organisation, layout, simulation)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    invocations.carry(PlanEvent(organisation.first, LAST, only="missing"))
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if invocations.sent.missing:
        raise AssertionError(f"{invocations.sent.missing} units were not sent")
    places = organisation.places
    keys = sum(map(organisation.files, places)) * organisation.days
    units = invocations.sent.spans * organisation.days
    return Planned(
        units=units,
        again=invocations.sent.again,
        keys=simulation.keys,
        twice=simulation.keys / keys - 1,
        requests=simulation.requests["LIST"],
        estimated=plan_lists(
            accounts=organisation.accounts,
            places=len(places),
            spans=invocations.sent.spans,
            files=keys,
            slices=invocations.number,
        ),
        events=invocations.events,
        depth=invocations.depth,
        invocations=invocations.number,
        kills=simulation.kills,
        longest_s=invocations.longest_s,
        wall_s=wall_s,
        cpu_s=cpu_s,
        names_s=names_s(organisation),
    )


def names_s(organisation: Organisation) -> float:
    """CPU seconds of making up all names of an organisation."""
    simulation = Simulation()
    source: Any = MadeUpSource(organisation, simulation)
    found, cpu_s = discover(source, Settings().folders), time.process_time()
    sample = list(found.trails.values())[:: max(len(found.trails) // 100, 1)]
    for (trail,) in sample:
        deque(source.files(trail), maxlen=0)
    whole = sum(map(organisation.files, organisation.places)) * organisation.days
    return (time.process_time() - cpu_s) * whole / simulation.keys


class Daily(NamedTuple):
    """What planning a daily run has taken.

    Attributes:
        units: The units that it looked at.
        keys: Keys listed.
        requests: LIST requests, of the source and of the state.
        receipts: GET requests.
        cpu_s: CPU of that.
    """

    units: int
    keys: int
    requests: int
    receipts: int
    cpu_s: float


def plan_daily(organisation: Organisation, layout: PartitionLayout) -> Daily:
    """Plan the daily run on the day after the last one, when all days have been converted.

    Raises:
        AssertionError: A unit is found outdated.
    """
    simulation = Simulation()
    source: Any = MadeUpSource(organisation, simulation)
    state, settings = CountedStore(simulation), Settings(partition_layout=layout)
    options, now = PlanOptions.of(settings), _MODIFIED + timedelta(days=2)
    days = UnitRange(*scheduled_days(now.date(), 1, settings))

    def due(only: Only) -> list[PlannedUnit]:
        found = discover(source, settings.folders)
        return list(plan_units(source, Receipts(state, now), found, days, only, options))

    units = due("all")
    for unit in units:
        receipt = receipt_of(
            unit.unit,
            Made(
                converted_at=now,
                schema_version=SCHEMA_VERSION,
                lookbehind_s=settings.lookbehind_s,
                lookahead_s=settings.lookahead_s,
                folders=settings.folders,
                source_fingerprint=unit.fingerprint,
                settings=settings.shaping(),
            ),
            Read(),
            Rows(records=Records()),
            [],
            is_complete=True,
            settled=True,
        )
        state.write(StateKeys.of(unit.unit).receipt, receipt_text(receipt))
    simulation.requests.clear()
    simulation.keys, cpu_s = 0, time.process_time()
    outdated = due("outdated")
    cpu_s = time.process_time() - cpu_s
    if outdated:
        raise AssertionError(f"{len(outdated)} units are outdated: {outdated[0]}")
    requests = simulation.requests
    return Daily(len(units), simulation.keys, requests["LIST"], requests["GET"], cpu_s)


def main() -> None:
    """Print a table, and fail if something is not as it should be."""
    options = argparse.ArgumentParser(description=__doc__)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("--organisation", default="300x17x60", metavar="ACCOUNTSxREGIONSxDAYS")
    options.add_argument("--layout", choices=list(PARTITION_COLUMNS), action="append")
    options.add_argument("--kill-after", type=float, default=300, metavar="SECONDS")
    options.add_argument("--request-ms", type=float, default=REQUEST_S * 1000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--daily", action="store_true", help="plan a daily run")
    asked = options.parse_args()
    logging.disable(logging.INFO)
    layouts: list[PartitionLayout] = asked.layout or [DEFAULT_LAYOUT, "year/month/day"]
    organisation, rows, faults = Organisation.named(asked.organisation), [], list[str]()
    for layout in layouts:
        if asked.daily:
            rows.append([layout, *map(_text, plan_daily(organisation, layout))])
            continue
        planned = plan(
            organisation,
            layout,
            kill_after_s=asked.kill_after,
            request_s=asked.request_ms / 1000,
            seed=asked.seed,
        )
        faults += (f"{layout}: {fault}" for fault in planned.faults())
        rows.append([layout, *map(_text, planned._replace(twice=planned.twice * 100))])
    fields = Daily._fields if asked.daily else Planned._fields
    print(table(["layout", *(f"{name}, %" if name == "twice" else name for name in fields)], rows))
    if faults:
        sys.exit("\n".join(faults))


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


if __name__ == "__main__":
    main()
