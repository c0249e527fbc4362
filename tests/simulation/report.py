"""What people read of seeds."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.simulation.story import Outcome

_READING = ("GET", "HEAD", "LIST")
_COUNTED = (
    *("seeds", "runs", "rewrites", "kills", "pauses", "faults", "refusals", "deadly"),
    "requests",
)


def lines(outcome: Outcome, *, whole: bool) -> Iterator[str]:
    """A story: all of it, or without the requests that only read."""
    for line in outcome.trace:
        if whole or not line.what.startswith(_READING):
            moment = datetime.fromtimestamp(line.at, UTC)
            yield f"{moment:%m-%d %H:%M:%S.%f}"[:-3] + f"  {line.actor[:50]:50}  {line.what}"
    for finding in outcome.findings:
        yield f"FOUND {finding}"


def summary(counts: Counter[str], failing: list[int], seconds: float) -> str:
    """What many seeds came to."""
    what = ", ".join(f"{counts[name]:,} {name}" for name in _COUNTED)
    numbers = " ".join(map(str, sorted(failing))) or "none"
    return f"{what} in {seconds:,.1f} s; failing: {numbers}"
