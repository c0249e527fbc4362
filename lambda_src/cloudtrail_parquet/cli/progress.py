"""How far a command is: a bar on a terminal, else a line now and then; both on stderr.

    with progress("exporting", Amount(total_bytes, parts), "part") as meter:
        for part in ...:
            meter.add(size=part.size, items=1)

Nothing is shown of a run that is over before the first line is due, and nothing stays of a bar.
Whoever writes results to the same terminal in another way than by `print`, such as in bytes to
``sys.stdout.buffer``, passes ``shown=False``.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import exp
from typing import Annotated, NamedTuple, Self, TypeVar

import typer
from rich.live import Live
from rich.text import Text

from cloudtrail_parquet.cli.output import STDERR, note
from cloudtrail_parquet.wording import counted, duration_of, size_of

LINE_EVERY_S = 15
"""Seconds between two lines where there is no terminal, and until the first of them."""

_FORGET_S = 60
"""What is older counts for little in the rate; units finish in bursts."""

_SURE_S = 2
"""Before that, a rate is of what a start happens to have brought."""

_GLYPHS, _ASCII_GLYPHS = "━─", "#-"  # they differ where there is no colour, too

_BAR_CELLS = (8, 40)  # the narrowest bar that says something, the widest

N = TypeVar("N", int, float)


class Amount(NamedTuple):
    """How much is done, or is to be done; zero for what is not known.

    Attributes:
        size: Bytes.
        items: Units, parts, or whatever is counted.
        work: In any measure that grows evenly with time, if neither of the others does; by
            default items.
    """

    size: int = 0
    items: int = 0
    work: float = 0.0

    def __add__(self, other: object) -> Self:
        """Both together."""
        if not isinstance(other, Amount):
            return NotImplemented
        size, items = self.size + other.size, self.items + other.items
        return type(self)(size, items, self.work + other.work)


class _Shown:
    """Whether progress is wanted."""

    wanted = True


def _hide(*, hidden: bool) -> None:
    _Shown.wanted = not hidden


NoProgress = Annotated[
    bool, typer.Option("--no-progress", callback=_hide, help="Do not show progress.")
]
"""The option of a command that shows progress; its callback uses it."""


class Rate:
    """What is done in a second, by the last minute above all."""

    def __init__(self, now: float) -> None:
        self._seen_at, self._seen = now, 0.0
        self._done = self._seconds = 0.0

    def see(self, now: float, done: float) -> None:
        """Take note of how much is done by now."""
        passed = now - self._seen_at
        fading = exp(-passed / _FORGET_S)
        self._done = self._done * fading + done - self._seen
        self._seconds = self._seconds * fading + passed
        self._seen_at, self._seen = now, done

    @property
    def per_second(self) -> float:
        """The rate; zero if it is not known yet."""
        return self._done / self._seconds if self._seconds >= _SURE_S else 0.0


class Meter:
    """What is done of something, how quickly, and how long the rest takes."""

    def __init__(
        self,
        what: str,
        goal: Amount,
        noun: str,
        look: Callable[[], Amount] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to measure.

        Args:
            what: The verb, such as ``converting``.
            goal: What there is to do, as far as it is known.
            noun: What the items are, in the singular.
            look: What is done that nobody adds, if that is known by looking.
            monotonic: The clock.
        """
        self.what, self.goal, self._noun = what, goal, noun
        self._look, self._monotonic = look, monotonic
        self._added, self._done = Amount(), Amount()
        self._sizes, self._works = Rate(monotonic()), Rate(monotonic())

    def add(self, size: int = 0, items: int = 0) -> None:
        """Add bytes and items that have been done since; by one thread only."""
        self._added += Amount(size, items, items)

    def see(self) -> None:
        """Look how much is done. It never becomes less, nor more than there is."""
        seen = self._added + self._look() if self._look else self._added
        done, goal = self._done, self.goal
        self._done = Amount(
            _within(done.size, seen.size, goal.size),
            _within(done.items, seen.items, goal.items),
            _within(done.work, seen.work, goal.work),
        )
        now = self._monotonic()
        self._sizes.see(now, self._done.size)
        self._works.see(now, self._work(self._done))

    def _work(self, amount: Amount) -> float:
        """The measure of time: work, or else bytes, or items, whichever of it has a goal."""
        goal = self.goal
        return amount.work if goal.work else float(amount.size if goal.size else amount.items)

    @property
    def share(self) -> float | None:
        """The share that is done; None if it is not known what there is to do."""
        goal = self._work(self.goal)
        return min(self._work(self._done) / goal, 1.0) if goal else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes; None if that is not known yet."""
        rate, goal = self._works.per_second, self._work(self.goal)
        return max(goal - self._work(self._done), 0) / rate if rate and goal else None

    @property
    def facts(self) -> str:
        """Bytes, rate, items and the time left, in words."""
        done, goal = self._done, self.goal
        facts = list[str]()
        if goal.size:
            facts.append(f"{size_of(done.size)} of {size_of(goal.size)}")
        elif done.size:
            facts.append(size_of(done.size))
        if done.size and self._sizes.per_second:
            facts.append(f"{size_of(self._sizes.per_second)}/s")
        if goal.items:
            facts.append(f"{done.items:,} of {counted(goal.items, self._noun)}")
        elif done.items:
            facts.append(counted(done.items, self._noun))
        if (left := self.seconds_left) is not None:
            facts.append(f"{duration_of(left)} left")
        return ", ".join(facts)

    def bar(self, width: int, glyphs: str = _GLYPHS) -> Text:
        """A line that is not wider than that: a bar if there is room for it, and the facts.

        Args:
            width: Of the terminal, in cells.
            glyphs: A cell of what is done, and one of the rest.
        """
        facts = self.facts
        narrowest, widest = _BAR_CELLS
        cells = min(width - len(self.what) - len(facts) - 3, widest)
        line = Text(self.what, no_wrap=True, end="")
        if self.share is not None and cells >= narrowest:
            full = round(self.share * cells)
            line.append(" ")
            line.append(glyphs[0] * full, "bar.complete")
            line.append(glyphs[1] * (cells - full), "bar.back")
        line.append(f" {facts}")
        line.truncate(width - 1)
        return line


def _within(before: N, seen: N, goal: N) -> N:
    """What is done by now, which is not less than before, nor more than there is."""
    return max(min(seen, goal) if goal else seen, before)


@contextmanager
def progress(
    what: str,
    goal: Amount,
    noun: str,
    *,
    look: Callable[[], Amount] | None = None,
    shown: bool = True,
) -> Iterator[Meter]:
    """Show how far something is while in the context; see `Meter` for the arguments.

    Args:
        what: The verb.
        goal: What there is to do.
        noun: What the items are.
        look: What is done that nobody adds; called by another thread.
        shown: Whether to show anything.
    """
    meter = Meter(what, goal, noun, look)
    if not (shown and _Shown.wanted):
        yield meter
    elif _is_lively():
        with Live(
            get_renderable=lambda: _rendered(meter),
            console=STDERR,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=sys.stdout.isatty(),  # else results would go to the terminal as well
        ):
            yield meter
    else:
        over = threading.Event()
        thread = threading.Thread(target=tell, args=(meter, over.wait), daemon=True)
        thread.start()
        try:
            yield meter
        finally:
            over.set()
            thread.join()


def _is_lively() -> bool:
    """Whether stderr is a terminal on which a line can be drawn again."""
    return sys.stderr.isatty() and not STDERR.is_dumb_terminal


def _rendered(meter: Meter) -> Text:
    meter.see()
    is_unicode = STDERR.encoding.startswith("utf")
    return meter.bar(STDERR.width, _GLYPHS if is_unicode else _ASCII_GLYPHS)


def tell(meter: Meter, wait: Callable[[float], bool]) -> None:
    """Print a line now and then.

    Args:
        meter: What there is to tell.
        wait: Waits so many seconds, or until it is over; says whether it is.
    """
    while not wait(LINE_EVERY_S):
        meter.see()
        note(f"{meter.what}: {meter.facts}" if meter.facts else meter.what)
