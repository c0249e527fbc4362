"""Whether an invocation has the time and the room for a unit, and how it is split if none has."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from cloudtrail_parquet.deliveries import LogFile, Window
from cloudtrail_parquet.errors import NotEnoughTimeError, TooLargeError, UsageError
from cloudtrail_parquet.layout import MAX_SHARDS, WHOLE, Shard, Unit
from cloudtrail_parquet.planning.batches import cut
from cloudtrail_parquet.planning.plan import PlannedUnit
from cloudtrail_parquet.wording import counted

START_S = 10
"""The seconds that an invocation may take before its first unit, mostly for listings."""

MARGIN_S = 20
"""The seconds kept at the end of an invocation to finish a unit and hand back the rest."""

SHARDS_MORE = 2.5
"""How many times more shards than needed a unit is split into: busy hours make larger shards, and a
shard is read again when another one has published one of its records meanwhile."""

ROOM = 0.8
"""The share of the free room for temporary files that the parts of a unit, which wait there until
they are published, may take; they are no larger than the log files as stored."""


@dataclass(frozen=True)
class Admission:
    """Admits units to an invocation.

    Attributes:
        whole_s: The seconds that the invocation had when it began.
        left_s: Returns the seconds that it has left.
        window: The window of a unit.
    """

    whole_s: float
    left_s: Callable[[], float]
    window: Window

    def admit(self, unit: Unit, shard: Shard, files: Sequence[LogFile], others_s: float) -> float:
        """Raise unless there is time and room for the log files of a unit.

        Args:
            unit: The unit.
            shard: The share of it that is converted.
            files: The log files of that; none before they are known.
            others_s: The seconds that others need that are under way.

        Returns:
            The seconds that it needs.

        Raises:
            NotEnoughTimeError: Another invocation would have the time.
            TooLargeError: No invocation would have the time or the room, except for shards of it.
            UsageError: No invocation would have them for this shard.
        """
        size, places = sum(file.size for file in files), len({file.place for file in files})
        needed_s = PlannedUnit(unit, len(files), size, places=places).seconds
        limit_s, left_s = self.whole_s - START_S - MARGIN_S, self.left_s() - MARGIN_S
        room = shutil.disk_usage(tempfile.gettempdir()).free * ROOM
        if needed_s > limit_s:
            what = f"needs about {needed_s:.0f} s; an invocation has {max(limit_s, 0):.0f} s for it"
            hint = "Give the function more time, or convert it with the command line"
            raise self._too_large(what, hint, unit, shard, files, needed_s / max(limit_s, 1e-9))
        if size > room:
            needed = counted(size, "byte")
            what = f"needs up to {needed} for temporary files; there is room for {room:,.0f}"
            hint = "Give the function more ephemeral storage, or use the command line"
            raise self._too_large(what, hint, unit, shard, files, size / max(room, 1))
        if needed_s + others_s > left_s:
            what = f"needs about {needed_s:.0f} s; {max(left_s - others_s, 0):.0f} s are left"
            raise NotEnoughTimeError(what, unit.name, "Another invocation has to convert it")
        return needed_s

    def _too_large(  # noqa: PLR0913, PLR0917
        self,
        what: str,
        hint: str,
        unit: Unit,
        shard: Shard,
        files: Sequence[LogFile],
        times: float,
    ) -> UsageError | TooLargeError:
        """The error for what is so many times too large."""
        if shard != WHOLE or self.whole_s <= START_S + MARGIN_S:
            return UsageError(what, unit.name, hint)
        shards = min(ceil(times * SHARDS_MORE), MAX_SHARDS)
        bounds = () if all(unit.span) else cut(files, shards, self.window, unit.day)
        return TooLargeError(what, unit.name, hint, shards, bounds)
