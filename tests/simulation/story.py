"""One seed: a world is drawn, things happen in it for some days, and the oracle judges."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from cloudtrail_parquet.storage import Stores
from tests.simulation import program
from tests.simulation.deliveries import DAY_S, HOUR_S, Deliveries, Place, days_from, midnight
from tests.simulation.faults import Faults
from tests.simulation.keys import Unit, span_of
from tests.simulation.oracle import Verdict
from tests.simulation.s3 import Bucket, Buckets
from tests.simulation.sabotage import Saboteur
from tests.simulation.scheduler import Actor, Line, Scheduler
from tests.simulation.services import Program
from tests.simulation.verified import faults
from tests.simulation.watch import Watch
from tests.simulation.world import World

_DAILY_S = 3 * HOUR_S + 15 * 60  # cron(15 3 * * ? *)
_FIRST_DAYS = (date(2026, 1, 9), date(2025, 12, 29), date(2026, 2, 25))
_SABOTAGED = 0.2
_REWRITTEN = 0.4


@dataclass(frozen=True)
class Outcome:
    """What came of a seed.

    Attributes:
        seed: Its number.
        findings: What is wrong; nothing, it is to be hoped.
        counts: What has happened, by kind.
        trace: All that has happened.
    """

    seed: int
    findings: list[str]
    counts: Counter[str]
    trace: list[Line]

    def without_trace(self) -> "Outcome":
        """The same, but for its trace."""
        return replace(self, trace=[])


class _Observer(Actor):
    """Looks at the stores without anybody noticing, and without taking time."""

    def live(self, seconds: float) -> None:
        del seconds


class Story:
    """A world and what happens in it."""

    def __init__(self, seed: int, scratch: Path, days: int = 0) -> None:
        """``days`` is how long it goes on; as the seed says when 0."""
        self.seed, self.findings = seed, list[str]()
        self.world = world = World(seed)
        self.random, self.is_damaged = world.random, False
        self._asks = Random(seed)  # of its own, so that other draws stay as they are
        self._rewrites = Random(f"rewrite/{seed}")  # likewise
        length = self.random.randint(3, 6)
        self.days = days or length
        self.calendar = days_from(self.random.choice(_FIRST_DAYS), self.days)
        self.end = midnight(self.calendar[-1]) + DAY_S
        self.scheduler = scheduler = Scheduler(midnight(self.calendar[0]))
        self.watch = Watch(self._fail, self._is_outdated, self._has_source, world.layout)
        by_content, page = self.random.random() < 0.7, self.random.choice([1000, 1000, 3])
        names = "logs", "lake", "state"
        buckets = Buckets(*(Bucket(name, scheduler, by_content, page) for name in names))
        self.source, self.dataset, self.state = buckets
        self.dataset.watch, self.state.watch = self.watch.dataset, self.watch.state
        habits = world.habits()
        self.places = list(habits.layouts)
        self.spans = list(dict.fromkeys(span_of(place, world.layout) for place in self.places))
        self.deliveries = Deliveries(scheduler, self.source, self.random, habits, self.end)
        self.faults, self.deadly = world.faults(), set[Place]()
        self.programs = [world.program()]
        self.services = world.services(scheduler, self.faults, buckets, scratch, self.programs[0])
        scheduler.switched = lambda actor: program.install(actor.version)

    # What happens.

    def play(self) -> Outcome:
        """Let it all happen, and judge it."""
        scheduler = self.scheduler
        program.name_in_receipts(self.world.few)
        try:
            self.deliveries.schedule(self.calendar)
            self._schedule_refusals()
            self._schedule_deadly()
            often = self.deliveries.habits.repeated > 0.5
            deployed = self.random.choice([0, 0, 2, *[self.days - 1] * (4 if often else 1)])
            if self.world.crowd is not None:
                deployed = self.days - 1
                scheduler.at(midnight(self.calendar[-1]) + _DAILY_S, self._crowd)
            for day in self.calendar[deployed:]:
                self._schedule_runs(day)
                if self._asks.random() < 0.5:
                    asked = midnight(day) + self._asks.uniform(0, DAY_S)
                    scheduler.at(asked, self.services.status)
            self._schedule_rewrites(self.calendar[deployed:])
            if (
                deployed and self.world.crowd is None
            ):  # and what was delivered before is converted then
                scheduler.at(midnight(self.calendar[deployed]) + _DAILY_S, self._begin)
            for _ in range(self.random.choice([0, 1, 2, 3])):
                when = midnight(self.calendar[0]) + self.random.uniform(1, self.days) * DAY_S
                scheduler.at(when, self._change_program)
            if not self.world.calm and self.random.random() < _SABOTAGED:
                when = midnight(self.calendar[0]) + self.random.uniform(1.2, self.days) * DAY_S
                scheduler.at(when, self._sabotage)
            scheduler.run_until(self.end)
            self._end_noise()
            self._be_quiet()
        finally:
            scheduler.end()
            program.forget()
            program.install(None)
        self.findings[:0] = self.services.defects
        return Outcome(self.seed, self.findings, scheduler.counts, scheduler.trace)

    def _schedule_refusals(self) -> None:
        scheduler, refused = self.scheduler, self.source.refused
        start, accounts = midnight(self.calendar[0]), {place.account for place in self.places}

        def refuse(account: str) -> None:
            refused.add(account)
            scheduler.counts["refusals"] += 1
            scheduler.note("operator", f"{account} may not be listed")

        def allow(account: str) -> None:
            refused.discard(account)
            scheduler.note("operator", f"{account} may be listed")

        for account, begin, end in self.world.refusals(accounts, self.days):
            scheduler.at(start + begin, partial(refuse, account))
            scheduler.at(min(start + end, self.end), partial(allow, account))

    def _schedule_deadly(self) -> None:
        """Places whose log files end processes, while there is too little memory for them."""
        scheduler, deadly, start = self.scheduler, self.source.deadly, midnight(self.calendar[0])

        def begin(place: Place) -> None:
            deadly.add(_folder(place))
            scheduler.counts["deadly"] += 1
            scheduler.note("operator", f"log files of {place} end whoever reads them")

        for place, begins, ends in self.world.deadly(self.places, self.days):
            self.deadly.add(place)
            scheduler.at(start + begins, partial(begin, place))
            if not self.world.calm:  # there they stay so until all others are done
                scheduler.at(min(start + ends, self.end), partial(self._spare, place))

    def _spare(self, place: Place) -> None:
        self.source.deadly.discard(_folder(place))
        self.scheduler.note("operator", f"log files of {place} can be read")

    def _schedule_runs(self, day: date) -> None:
        random, scheduler, services = self.random, self.scheduler, self.services
        daily = midnight(day) + _DAILY_S
        if random.random() < 0.95:
            scheduler.at(daily, lambda: services.invoke({"kind": "daily"}))
        for _ in range(random.choice([0, 0, 1, 3])):
            hourly = midnight(day) + random.randint(1, 23) * HOUR_S
            scheduler.at(hourly, lambda: self._invoke(day))
        for _ in range(random.choice([0, 0, 1, 2])):
            near = daily + random.choice([0, 1, 5, 30]) * random.random()
            when = random.choice([near, midnight(day) + random.uniform(0, DAY_S)])
            acts = self._backfill, self._laptop, self._shards, self._several, self._burst
            scheduler.at(when, random.choice(acts))

    def _schedule_rewrites(self, days: list[date]) -> None:
        """Parts are made anew of parts, now and then; in most stories never."""
        random, scheduler = self._rewrites, self.scheduler
        for day in days if random.random() < _REWRITTEN else ():
            for _ in range(random.choice([0, 1, 1, 2])):
                near = _DAILY_S + random.choice([0, 1, 5, 30]) * random.random()
                when = random.choice([near, random.uniform(0, DAY_S)])
                scheduler.at(midnight(day) + when, self._rewrite)

    def _rewrite(self) -> None:
        """A dataset is rewritten, or some days, or a single unit."""
        random, today = self._rewrites, self.scheduler.moment.date()
        first = today - timedelta(days=random.randint(0, 4))
        span = {name: value for name, value in random.choice(self.spans)._asdict().items() if value}
        event: dict[str, object] = {
            "kind": "rewrite",
            "only": random.choice(["outdated", "all"]),
            **random.choice([{}, {"from": str(first)}, {"units": [{**span, "day": str(first)}]}]),
        }
        self.scheduler.counts["rewrites"] += 1
        if random.random() < 0.5:
            self.services.invoke(event)
        else:
            self.services.send(msgspec.json.encode(event).decode())

    def _past_days(self) -> tuple[date, date]:
        """Some days up to the present one."""
        last = self.scheduler.moment.date() - timedelta(days=self.random.choice([0, 1, 1, 2]))
        return last - timedelta(days=self.random.choice([0, 0, 1, 3])), last

    def _backfill(self) -> None:
        first, last = self._past_days()
        only = self.random.choice(["missing", "outdated", "all"])
        event = {"kind": "plan", "from": str(first), "to": str(last), "only": only}
        if self.random.random() < 0.5:
            self.services.invoke(event)
        else:
            self.services.send(msgspec.json.encode(event).decode())

    def _laptop(self) -> None:
        self.services.laptop(*self._past_days())

    def _several(self) -> None:
        """The same unit more than once."""
        _, day = self._past_days()
        for _ in range(self.random.randint(1, 2)):
            self._invoke(day)

    def _begin(self) -> None:
        """All that was delivered before there was a function, as soon as it may be listed."""
        if self.source.refused:
            self.scheduler.at(self.scheduler.now + HOUR_S, self._begin)
            return
        first, last = self.calendar[0] - timedelta(days=1), self.scheduler.moment.date()
        if self.random.random() < 0.5:
            self.services.invoke({"kind": "plan", "from": str(first), "to": str(last)})
        for day in days_from(first, (last - first).days):
            for span in self.spans:
                self._invoke(day, span)

    def _crowd(self) -> None:
        """Several runs at once, of all days together and of some alone."""
        crowd, scheduler = self.world.crowd or self.random, self.scheduler
        first, last = self.calendar[0] - timedelta(days=1), scheduler.moment.date()
        plan = {"kind": "plan", "from": str(first), "to": str(last)}
        days = days_from(first, (last - first).days + 1)
        acts = [
            lambda: self.services.invoke(plan),
            lambda: self.services.laptop(first, last),
            lambda: self._invoke(crowd.choice(days), crowd.choice(self.spans)),
        ]
        for act in (acts[0], *crowd.choices(acts, k=crowd.randint(1, 4))):
            scheduler.at(scheduler.now + crowd.choice([0, 0.1, 1, 5]) * crowd.random(), act)

    def _burst(self) -> None:
        """Several days at once, each for itself."""
        today = self.scheduler.moment.date()
        for days in range(self.random.randint(2, 5)):
            self._invoke(today - timedelta(days=days))

    def _shards(self) -> None:
        """A unit in shards, of which one may not come."""
        _, day = self._past_days()
        of = self.random.choice([2, 3])
        numbers = self.random.sample(range(1, of + 1), of)
        if self.random.random() < 0.2:
            numbers.pop()
        for number in numbers:
            self._invoke(day, shard=[number, of])

    def _invoke(self, day: date, span: Place | None = None, **more: object) -> None:
        span = span or self.random.choice(self.spans)
        named = {name: value for name, value in span._asdict().items() if value}
        unit = {**named, "day": str(day), **more}
        self.services.invoke({"kind": "convert", "units": [unit]})

    def _change_program(self) -> None:
        """Other settings, rules or another version from now on."""
        before, change = self.services.program, self.world.change()
        following = Program(replace(before.settings, **change), before.version + (not change))
        self.programs.append(following)
        self.services.program = following
        self.scheduler.note("operator", f"version {following.version}, {change}")

    def _sabotage(self) -> None:
        """Damage something, as soon as no run is under way."""
        if self.scheduler.busy:
            self.scheduler.at(self.scheduler.now + HOUR_S / 2, self._sabotage)
            return
        saboteur = Saboteur(
            self.random,
            self.dataset,
            self.state,
            lambda what: self.scheduler.note("SABOTAGE", what),
            may_lose_parts=self.deliveries.habits.expire_days is None,
        )
        saboteur.strike()
        self.is_damaged = True
        if self._asks.random() < 0.5:
            self.services.status(rebuilds=True)

    # The end.

    def _end_noise(self) -> None:
        """Let runs end that are under way or stand still, and messages that come again."""
        scheduler, self.faults.quiet, self.services.double = self.scheduler, True, 0
        self.services.clocks_off_s, self.services.latencies_s = 0, (0.01,)
        for _ in range(20):
            scheduler.run_until(scheduler.now + 6 * HOUR_S)
            if not scheduler.busy:
                break
        self.services.whole_s = 900

    def _be_quiet(self) -> None:
        """Daily runs alone, and a weekly one; then an operator's plan over all days."""
        scheduler, settings = self.scheduler, self.services.program.settings
        quiet_days = 2 - (-(settings.lookahead_s + settings.settle_margin_s) // DAY_S)
        for day in days_from(scheduler.moment.date() + timedelta(days=1), quiet_days):
            scheduler.run_until(midnight(day) + _DAILY_S)
            self.services.invoke({"kind": "daily"})
        scheduler.run_until(scheduler.now + HOUR_S)
        if self.deadly:  # the search for them may outlast the reach of daily runs
            self.services.invoke({"kind": "daily", "days": 35})
            scheduler.run_until(scheduler.now + HOUR_S)
        # Without anywhere to send them to, units between two deadly ones, and shards, are not done.
        most = len(self.places) if self.services.fanned_out else int(not self.world.is_folded)
        if self.world.calm and len(self.deadly) <= most:
            self._judge("after quiet days", lambda verdict: list(verdict.lost(self.deadly)))
        for place in self.deadly:
            self._spare(place)
        first = self.calendar[0] - timedelta(days=45)
        last = scheduler.moment.date() - timedelta(days=1)
        event = {"kind": "plan", "from": str(first), "to": str(last), "only": "outdated"}
        if not self.findings:
            self.services.invoke(event)
        scheduler.run_until(scheduler.now + 2 * HOUR_S)
        self._judge("at the end", lambda verdict: list(verdict.problems()))
        if not self.findings:
            past = [one.settings for one in self.programs]
            buckets = self.dataset, self.state, self.source
            expires = self.deliveries.habits.expire_days is not None
            self.findings += faults(*buckets, past, is_damaged=self.is_damaged, expires=expires)
        if not self.findings and not self._observed(program.ledger_is_true):
            self.findings.append("at the end: the ledger is not what receipts say")

    def _judge(self, when: str, problems: Callable[[Verdict], list[str]]) -> None:
        if not self.findings:
            past = [one.settings for one in self.programs]
            verdict = Verdict(
                self.deliveries,
                self.watch,
                self.dataset,
                self.state,
                past,
                self.scheduler.moment,
                is_damaged=self.is_damaged,
            )
            self.findings += [f"{when}: {problem}" for problem in problems(verdict)]

    def _fail(self, what: str) -> None:
        self.scheduler.note("ORACLE", what)
        self.findings.append(what)
        self.scheduler.stopped = True

    def _has_source(self, unit: Unit) -> bool:
        settings = self.services.program.settings
        window = settings.lookbehind_s, settings.lookahead_s
        return any(
            unit.holds(file.place) and file.is_of(unit.day, *window) and not file.gone
            for file in self.deliveries.files.values()
        )

    def _is_outdated(self, unit: Unit) -> bool:
        """Whether a plan of today, made in no time, finds a unit, or will when all is listed."""
        settings = self.services.program.settings
        return self._observed(
            lambda stores: program.outdated(stores, settings, *unit.span, unit.day)
        )

    def _observed(self, look: Callable[[Stores], bool]) -> bool:
        """What somebody sees who looks at everything in no time, and leaves no trace."""
        scheduler, now = self.scheduler, self.services.program
        version, refused = program.installed(), self.source.refused
        requests, length = scheduler.counts["requests"], len(scheduler.trace)
        observer = _Observer(scheduler, "observer", lambda _: None)
        stores = self.services.stores(observer, Faults(Random(0), quiet=True))
        program.install(now.version)
        self.source.refused = set()
        try:
            return look(stores)
        finally:
            program.install(version)
            self.source.refused = refused
            scheduler.counts["requests"] = requests
            del scheduler.trace[length:]


def _folder(place: Place) -> str:
    return f"/{place.account}/CloudTrail/{place.region}/"
