"""What of a source is not converted, because nobody can tell where it belongs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_NAMED = 1000
_MAX_ALIKE = 3


class LeftOut(NamedTuple):
    """A file, or an element of one, that is not converted.

    Attributes:
        where: The path of the file in the source; of an element, with its position.
        reason: What is wrong with it.
        hint: What to do about it.
    """

    where: str
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"left out: {self.where}: {self.reason}. {self.hint}"


class Leftovers:
    """Collects what is left out; the first three of each kind are named, a thousand in all.

    Attributes:
        named: What is left out.
        count: How many these are in all.
        hidden: How many hidden files are not looked at.
    """

    def __init__(self) -> None:
        self.named: list[LeftOut] = []
        self.count = self.hidden = 0
        self._alike: Counter[tuple[str, str]] = Counter()

    def add(self, where: str, reason: str, hint: str) -> None:
        """Add a file, or an element of one."""
        self.count += 1
        kind = reason, hint
        if kind in self._alike or len(self._alike) < MAX_NAMED:
            self._alike[kind] += 1
        if self._alike[kind] <= _MAX_ALIKE and len(self.named) < MAX_NAMED:
            self.named.append(LeftOut(where, reason, hint))

    def lines(self) -> Iterator[str]:
        """What is left out, a line each; of many alike how many more these are."""
        named: Counter[tuple[str, str]] = Counter()
        for one in self.named:
            yield str(one)
            kind = one.reason, one.hint
            named[kind] += 1
            more = self._alike[kind] - named[kind]
            if more and named[kind] == _MAX_ALIKE:
                yield f"left out: and {more:,} more like {one.where}: {one.reason}"
        told = sum(self._alike[kind] if n == _MAX_ALIKE else n for kind, n in named.items())
        if rest := self.count - told:
            yield f"left out: {rest:,} more, which are not named here"

    def to_json(self) -> dict[str, Any]:
        """How many are left out, hidden files included by their own number, and what is named."""
        named = [one._asdict() for one in self.named]
        return {"count": self.count, "hidden": self.hidden, "named": named}
