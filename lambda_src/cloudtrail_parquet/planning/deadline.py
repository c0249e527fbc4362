"""How long a plan may go on: when it begins nothing more, and when it gives up."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from cloudtrail_parquet.errors import NotEnoughTimeError


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time of an invocation that is left to a plan.

    Attributes:
        left_s: Returns the seconds that are left.
        begin_s: With so many seconds left no further span is begun.
        end_s: With so many seconds left what is under way is given up.
    """

    left_s: Callable[[], float]
    begin_s: float
    end_s: float

    def goes_on(self) -> bool:
        """Whether there is time to begin another span."""
        return self.left_s() > self.begin_s

    def check(self) -> None:
        """Make sure that there is time to go on.

        Raises:
            NotEnoughTimeError: There is not.
        """
        if self.left_s() <= self.end_s:
            raise NotEnoughTimeError("not planned to its end", "plan", "Another invocation has to")


NO_DEADLINE = Deadline(lambda: inf, 0, 0)
"""Of a plan that may take as long as it takes."""
