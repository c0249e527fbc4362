"""Simulated time, and the actors that live in it, of which exactly one runs at any moment.

An actor is a run of the converter in a thread of its own. It goes on until it waits for something
(a request, a pause, a lease); then whoever's moment comes next has the turn. So a story of days is
over in milliseconds and is the same every time.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple


class Killed(BaseException):
    """Ends an actor at once: whatever it does to clean up, no request of it is made any more."""


class Line(NamedTuple):
    """One line of the trace: when, in seconds since 1970, who, and what happened."""

    at: float
    actor: str
    what: str


class Beat:
    """Something that an actor does again and again beside its work."""

    def __init__(self, due: float, act: Callable[[], float | None]) -> None:
        self.due, self.act = due, act


class Actor:
    """A run of the converter, with clocks of its own.

    Attributes:
        name: For the trace.
        clock_off_s: What its wall clock is ahead of the true time.
        deadline: When it is killed, whatever it does.
        version: Of the schema that it writes.
        latency_s: How long a request of it usually takes.
        died: Whether it was killed.
    """

    def __init__(self, scheduler: "Scheduler", name: str, act: Callable[["Actor"], None]) -> None:
        self.scheduler, self.name = scheduler, name
        self.clock_off_s = 0.0
        self.deadline = float("inf")
        self.version: int | None = None
        self.latency_s = 0.02
        self.died = False
        self.beats: list[Beat] = []
        self.turn = threading.Lock()
        self.turn.acquire()
        self.started = False
        self._act = act
        self._stood_still_s = 0.0  # of its monotonic clock
        self._beating = False

    def now(self) -> datetime:
        """The time by its wall clock."""
        return datetime.fromtimestamp(self.scheduler.now + self.clock_off_s, UTC)

    def monotonic(self) -> float:
        """The time by its monotonic clock, which stands still while a machine sleeps."""
        return self.scheduler.now - self._stood_still_s

    def live(self, seconds: float) -> None:
        """Let time pass, with the beats that are due in it."""
        end = self.scheduler.now + seconds
        while self.beats and not self._beating:
            beat = min(self.beats, key=lambda one: one.due)
            if beat.due > end:
                break
            self._wait(beat.due)
            self._beat(beat)
        self._wait(end)

    def stand_still(self, seconds: float, *, asleep: bool) -> None:
        """Let time pass without any sign of life; asleep, its monotonic clock stands still."""
        self._wait(self.scheduler.now + seconds)
        if asleep:
            self._stood_still_s += seconds

    def die(self) -> None:
        """Be killed, here and now."""
        self.died = True
        raise Killed

    def run(self) -> None:
        """Do what there is to do, to the end or to death."""
        try:
            self._act(self)
        except Killed:
            self.died = True

    def end(self, beat: Beat) -> None:
        """Let a beat be no more."""
        if beat in self.beats:
            self.beats.remove(beat)

    def _beat(self, beat: Beat) -> None:
        self._beating = True
        try:
            pause = beat.act()
        finally:
            self._beating = False
        if pause is None:
            self.end(beat)
        else:
            beat.due = self.scheduler.now + pause

    def _wait(self, until: float) -> None:
        if self.died:
            raise Killed
        self.scheduler.wait(self, min(until, max(self.deadline, self.scheduler.now)))
        if self.died:
            raise Killed
        if until >= self.deadline:
            self.scheduler.note(self.name, "KILLED at its time limit")
            self.scheduler.counts["kills"] += 1
            self.die()


class ActorClock:
    """The clock of an actor, as `cloudtrail_parquet.clock.Clock` asks for it."""

    def __init__(self, actor: Actor, random: Random) -> None:
        self._actor, self._random = actor, random

    def now(self) -> datetime:
        """See `Actor.now`."""
        return self._actor.now()

    def monotonic(self) -> float:
        """See `Actor.monotonic`."""
        return self._actor.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, with beats."""
        self._actor.live(seconds)

    def draw(self, low: float, high: float) -> float:
        """A number from a range."""
        return self._random.uniform(low, high)

    def every(self, first_s: float, act: Callable[[], float | None]) -> Callable[[], None]:
        """Have something done beside what the actor does, whenever it is due."""
        beat = Beat(self._actor.scheduler.now + first_s, act)
        self._actor.beats.append(beat)
        return lambda: self._actor.end(beat)


class _Worker:
    """A thread that runs one actor after the other."""

    def __init__(self, scheduler: "Scheduler") -> None:
        self._scheduler = scheduler
        self._work = threading.Lock()
        self._work.acquire()
        self._actor: Actor | None = None
        self._thread = threading.Thread(target=self._run, name="actor", daemon=True)
        self._thread.start()

    def take(self, actor: Actor) -> None:
        self._actor = actor
        self._work.release()

    def end(self) -> None:
        self._actor = None
        self._work.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._work.acquire()
            actor = self._actor
            if actor is None:
                return
            try:
                actor.run()
            except BaseException as error:  # noqa: BLE001 - the main thread raises it again
                self._scheduler.broken = error
            self._scheduler.finished(actor, self)


class Scheduler:
    """The order in which things happen.

    Attributes:
        now: The true time, in seconds since 1970.
        trace: What has happened.
        counts: How often, by kind.
        stopped: Whether nothing more is to happen but the end of all actors.
        broken: What an actor, or what was to happen, failed with that it should not have.
        switched: Is told whose turn it is.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.trace: list[Line] = []
        self.counts: Counter[str] = Counter()
        self.stopped = False
        self.broken: BaseException | None = None
        self.switched: Callable[[Actor], None] = lambda _: None
        self._heap: list[tuple[float, int, Callable[[], None] | Actor]] = []
        self._number = 0
        self._alive: list[Actor] = []
        self._idle: list[_Worker] = []
        self._main = Actor(self, "", lambda _: None)
        self._main.started = True

    @property
    def moment(self) -> datetime:
        """The true time."""
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def busy(self) -> list[Actor]:
        """The actors that have not ended."""
        return self._alive

    def note(self, actor: str, what: str) -> None:
        """Write a line into the trace."""
        self.trace.append(Line(self.now, actor, what))

    def at(self, when: float, what: Callable[[], None] | Actor) -> None:
        """Have something happen at a time, or an actor begin."""
        self._number += 1
        heappush(self._heap, (max(when, self.now), self._number, what))

    def wait(self, me: Actor, until: float) -> None:
        """Give the turn away until a time has come."""
        if self.stopped and me is not self._main:
            me.died = True
            return
        heap = self._heap
        if not heap or heap[0][0] > until:
            self.now = max(until, self.now)
            return
        self.at(until, me)
        following = self._next()
        if following is not me:
            self._resume(following)
            me.turn.acquire()
        self.switched(me)

    def run_until(self, until: float) -> None:
        """Let happen what happens until a time; for the main thread."""
        self.wait(self._main, until)
        self._raise_if_broken()

    def end(self) -> None:
        """Kill all actors there are; for the main thread."""
        self.stopped = True
        for actor in list(self._alive):
            actor.died = True
            actor.turn.release()
            self._main.turn.acquire()
        for worker in self._idle:
            worker.end()
        self._idle.clear()
        self._raise_if_broken()

    def finished(self, actor: Actor, worker: _Worker) -> None:
        """Take the turn back from an actor that has ended."""
        self._alive.remove(actor)
        self._idle.append(worker)
        self.stopped = self.stopped or self.broken is not None
        self._resume(self._next())

    def _raise_if_broken(self) -> None:
        broken, self.broken = self.broken, None
        if broken is not None:
            raise broken

    def _next(self) -> Actor:
        """Let happen what happens until it is somebody's turn."""
        while not self.stopped:
            when, _, what = heappop(self._heap)
            self.now = max(self.now, when)
            if isinstance(what, Actor):
                return what
            try:
                what()
            except Exception as error:  # noqa: BLE001 - the main thread raises it again
                self.broken, self.stopped = error, True
        return self._main

    def _resume(self, actor: Actor) -> None:
        if actor.started:
            actor.turn.release()
            return
        actor.started = True
        self._alive.append(actor)
        self.switched(actor)
        worker = self._idle.pop() if self._idle else _Worker(self)
        worker.take(actor)
