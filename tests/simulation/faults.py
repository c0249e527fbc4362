"""What may befall a request, and how often."""

from dataclasses import dataclass
from enum import Enum
from random import Random

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0


class Fate(Enum):
    """What befalls a request; the values are for the trace."""

    REFUSED = "503 for"
    LOST_UNDONE = "LOST, not done:"
    LOST_DONE = "LOST ANSWER to"
    TWICE = "SENT TWICE:"
    KILLED_BEFORE = "KILLED before"
    KILLED_AFTER = "KILLED after"
    KILLED_IN_FLIGHT = "KILLED with under way"
    PAUSED_BEFORE = "PAUSED before"
    PAUSED_AFTER = "PAUSED after"


_READING = (Fate.REFUSED, Fate.KILLED_BEFORE, Fate.PAUSED_BEFORE)
_WRITING = (
    Fate.REFUSED,
    Fate.LOST_UNDONE,
    Fate.LOST_DONE,
    Fate.KILLED_BEFORE,
    Fate.KILLED_AFTER,
    Fate.KILLED_IN_FLIGHT,
    Fate.PAUSED_BEFORE,
    Fate.PAUSED_AFTER,
)
_REPEATED = "PUT"  # what the client sends again by itself: without a condition


@dataclass
class Faults:
    """Draws the fates of requests.

    Attributes:
        random: Whence.
        writes: The share of requests that change something that something befalls.
        reads: The same of all others.
        kinds: What happens in this world at all.
        quiet: Whether nothing happens any more.
    """

    random: Random
    writes: float = 0
    reads: float = 0
    kinds: frozenset[Fate] = frozenset(Fate)
    quiet: bool = False

    def fate(self, kind: str) -> Fate | None:
        """What befalls a request; nothing, mostly."""
        if self.quiet:
            return None
        writing = kind.startswith(("PUT", "DELETE"))
        if self.random.random() >= (self.writes if writing else self.reads):
            return None
        fates = [one for one in (_WRITING if writing else _READING) if one in self.kinds]
        if kind == _REPEATED and Fate.TWICE in self.kinds:
            fates.append(Fate.TWICE)
        return self.random.choice(fates) if fates else None

    def pause(self) -> float:
        """How long an actor stands still, in seconds."""
        low, high = self.random.choice(
            [(1, _MINUTE), (_MINUTE, 5 * _MINUTE), (5 * _MINUTE, 2 * _HOUR), (_HOUR, 3 * _DAY)]
        )
        return self.random.uniform(low, high)
