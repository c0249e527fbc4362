"""What of a source is not converted, because nobody can tell where it belongs."""

from typing import NamedTuple

MAX_NAMED = 1000


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
    """Collects what is left out; the first thousand of these are named.

    Attributes:
        named: What is left out.
        count: How many these are in all.
        hidden: How many hidden files are not looked at.
    """

    def __init__(self) -> None:
        self.named: list[LeftOut] = []
        self.count = self.hidden = 0

    def add(self, where: str, reason: str, hint: str) -> None:
        """Add a file, or an element of one."""
        self.count += 1
        if len(self.named) < MAX_NAMED:
            self.named.append(LeftOut(where, reason, hint))

    def lines(self) -> list[str]:
        """What is left out, a line each."""
        found = list(map(str, self.named))
        if more := self.count - len(self.named):
            found.append(f"left out: {more:,} more, which are not named here")
        return found
