"""Converting the units of an event as far as there is time, and handing on the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from traceback import walk_tb

from cloudtrail_parquet.batch.days import Staged, Stretch, by_days
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.deliveries import LogFile, memory_of
from cloudtrail_parquet.errors import (
    CloudTrailParquetError,
    NotEnoughTimeError,
    ProcessEndedError,
    StorageError,
    SupersededError,
    TooLargeError,
    UsageError,
)
from cloudtrail_parquet.function.admission import MARGIN_S, START_S, Admission
from cloudtrail_parquet.function.attempts import Attempts, process_ended
from cloudtrail_parquet.function.events import ConvertEvent, UnitRef
from cloudtrail_parquet.function.fanout import Fanout
from cloudtrail_parquet.function.handing_on import Undone
from cloudtrail_parquet.function.telemetry import Telemetry
from cloudtrail_parquet.layout import WHOLE, Bound, Shard, Unit, check_unit
from cloudtrail_parquet.planning.batches import cut_closer
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.accounts import Accounts
from cloudtrail_parquet.state.cuts import note_cut
from cloudtrail_parquet.state.keys import split_units
from cloudtrail_parquet.state.marks import Marks
from cloudtrail_parquet.state.notes import read_notes, shard_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.together import Budget, at_a_time

LEASE_WAIT_S = 60
"""The longest wait for another run of a unit: a waiting invocation is paid for."""

SHARD_WAIT_S = 300
"""The same for a shard: shards are ready together and published one after the other."""

_EXPIRY_S = 10
"""How long after its expiry a lease may be left alone, as clocks differ a little."""

_ENDED = 2
"""The attempts at a unit that may be ended, one perhaps by chance, before it is set aside."""


@dataclass(frozen=True)
class Invocation:
    """What an invocation works with.

    Attributes:
        stores: Source, dataset and state.
        settings: Conversion settings.
        fanout: Opens the fan-out for planned batches; None to convert these in the same invocation.
        telemetry: Receives metrics and log lines.
        whole_s: The seconds that the invocation had when it began.
        left_s: Returns the seconds that it has left.
        delivery: What is the same whenever its event is delivered; empty if that is not known.
    """

    stores: Stores
    settings: Settings
    fanout: Callable[[], Fanout] | None
    telemetry: Telemetry
    whole_s: float = 0
    left_s: Callable[[], float] = lambda: 0
    delivery: str = ""


def convert_units(invocation: Invocation, units: Sequence[UnitRef]) -> dict[str, int]:
    """Convert units; those left over go to other invocations if this one made progress.

    So this ends: events become shorter, and an event without any progress fails. If an attempt at
    the event was ended, its units are handed on, each alone, so that only the one that is to blame
    is ended again.

    Returns:
        How many units were converted, and how many handed back.

    Raises:
        CloudTrailParquetError: Nothing was done that would not have to be repeated.
    """
    if not units:
        return {"converted": 0, "handed_back": 0}
    stores, settings = invocation.stores, invocation.settings
    attempts = Attempts(stores.state, invocation.delivery)
    ended = attempts.ended()
    undone = Undone(ConvertEvent, invocation.fanout, invocation.telemetry)
    if undone.divide(units, attempts):
        return {"converted": 0, "handed_back": len(units)}
    attempts.begin()
    with attempts.coming_to_an_end():
        record_properties(stores, DatasetOptions.of(settings), LeaseOptions.of(settings))
        batch = _Batch(invocation, undone, ended, is_single=len(units) == 1)
        if not ended:  # else what was read with the one that is to blame would be lost again
            batch.join(units)
        # With nobody to hand them to: from both ends by turns, up to the one that is to blame.
        ordered = units[::-1] if ended % 2 else units
        at_once = 1 if ended else at_a_time(stores.parallel)
        results = by_days(batch.attempt, ordered, batch.days_of, at_once)
        for unit, result in zip(ordered, results, strict=True):
            batch.take(unit, result)
        return batch.hand_on()


class _Batch:
    """The units of an event, and what has become of them so far."""

    def __init__(
        self, invocation: Invocation, undone: Undone, ended: int, *, is_single: bool
    ) -> None:
        """``ended`` is how many attempts were at the event, ``is_single`` if it has one unit."""
        self._invocation, self._undone, self._is_single = invocation, undone, is_single
        self._ended = ended if is_single else 0
        self._stores, self._settings = invocation.stores, invocation.settings
        self._telemetry, self._fanout = invocation.telemetry, invocation.fanout
        self._late = invocation.whole_s - invocation.left_s() > START_S  # by other work
        self._accounts = Accounts(self._stores.source, self._settings.folders)
        self._splits = split_units(self._stores.state)  # when the invocation began
        self._marks = Marks(self._stores.state, self._stores.clock)
        self._days: dict[Unit, Stretch] = {}
        self._budget = Budget()
        self._under_way: dict[UnitRef, float] = {}  # with the seconds that each needs
        self._is_late: NotEnoughTimeError | None = None  # why no further unit is begun
        self._converted = 0

    def join(self, units: Iterable[UnitRef]) -> None:
        """Have consecutive days among some units converted together."""
        whole = (ref.unit for ref in units if ref.one == WHOLE)
        self._days = Stretch.of(whole, self._stores, self._splits)

    def days_of(self, ref: UnitRef) -> Stretch | None:
        """The days that are converted together with a unit."""
        return self._days.get(ref.unit) if ref.one == WHOLE else None

    # One unit.

    def attempt(self, ref: UnitRef) -> Receipt | Staged | CloudTrailParquetError | None:
        """Convert a unit, or return why that failed; once time is short, none is begun."""
        days = self.days_of(ref)
        if days is not None and (receipt := days.receipt(ref.unit)) is not None:
            return receipt
        if self._is_late is not None:
            return self._is_late
        try:
            return self._convert(ref)
        except NotEnoughTimeError as error:
            self._is_late = error
            return error
        except TooLargeError as error:
            return self._cut(ref, error)
        except CloudTrailParquetError as error:
            return error

    def _cut(self, ref: UnitRef, error: TooLargeError) -> CloudTrailParquetError:
        """Note the bounds at which a unit is cut before its shards are sent on."""
        if not error.bounds or self._fanout is None:
            return error
        bounds = tuple(Bound(*bound) for bound in error.bounds)
        try:
            note_cut(self._stores.state, ref.unit, bounds, ref.one)
        except CloudTrailParquetError as failed:
            return failed
        return error

    def _convert(self, ref: UnitRef) -> Receipt | Staged | None:
        """Convert a unit or a shard of it, or read a unit that is published with others.

        Raises:
            UsageError: It is not a unit of the layout; or the source has no logs for it, and it
                was never converted.
        """
        unit, shard, left_s = ref.unit, ref.one, self._invocation.left_s
        check_unit(unit, self._settings.partition_layout)
        if self._ended > _ENDED:  # the last one did no more than list what there is
            raise self._process_ended(unit)
        admission = Admission(self._invocation.whole_s, left_s, self._settings.window)
        admission.admit(unit, shard, [], self._seconds)
        holds_logs, receipt = False, None  # type: bool, Receipt | Staged | None

        def admit(files: list[LogFile]) -> str:
            nonlocal holds_logs
            holds_logs = True  # called only when there is something to convert
            self._marks.mark(unit.day)
            if self._ended >= _ENDED:
                return self._set_aside(unit, shard, files)
            self._under_way[ref] = admission.admit(unit, shard, files, self._seconds)
            take(memory_of(files))
            return ""

        settings = replace(self._settings, lease_wait_s=self._lease_wait_s(shard))
        try:
            with translated_errors(unit.name), self._budget.share() as take:
                trails, days = self._trails(unit), self.days_of(ref)
                if days is not None:
                    receipt = days.convert(unit, trails, settings, admit)
                else:
                    refused, splits = self._accounts.refused(unit), self._splits
                    receipt = convert_unit(
                        unit,
                        trails,
                        self._stores,
                        settings,
                        admit,
                        shard,
                        refused,
                        splits,
                        is_late=True,
                    )
                if receipt is None and not holds_logs:
                    raise self._accounts.no_logs(unit)
        finally:
            self._under_way.pop(ref, None)
        return receipt

    def _lease_wait_s(self, shard: Shard) -> int:
        """How long to wait for leases: also for that of an attempt that was ended to expire.

        A single unit may be one at which such an attempt was, perhaps at another event, of which it
        was one of many. Were each of its own to fail at that lease, nobody would learn that it ends
        those who read it.
        """
        longest_s = LEASE_WAIT_S if shard == WHOLE else SHARD_WAIT_S
        wait_s = min(self._settings.lease_wait_s, longest_s)
        if self._is_single:
            wait_s = max(wait_s, self._settings.lease_s + _EXPIRY_S)
        return min(wait_s, int(self._invocation.left_s() - MARGIN_S))

    def _set_aside(self, unit: Unit, shard: Shard, files: Sequence[LogFile]) -> str:
        """Why the log files of a shard are not read, which has ended each process that read them.

        Raises:
            TooLargeError: It has several places, between which it is cut.
            ProcessEndedError: It is not a part of a folded unit.
        """
        error = self._process_ended(unit)
        bounds = () if all(unit.span) else cut_closer(shard, files)
        if bounds and self._fanout is not None:
            what, where, hint = error.args
            raise TooLargeError(what, where, hint, bounds=bounds)
        if shard.cut:
            return error.what
        raise error

    def _process_ended(self, unit: Unit) -> ProcessEndedError:
        return process_ended(self._ended, unit, "convert it with the command line")

    @property
    def _seconds(self) -> float:
        """What the units under way need together."""
        return sum(list(self._under_way.values()))

    def _trails(self, unit: Unit) -> list[str]:
        """The prefixes that hold a unit's logs; none if it was converted and its logs are gone."""
        try:
            return self._accounts.trails(unit)
        except UsageError:
            state = self._stores.state
            if read_notes(state, unit).is_void and not shard_notes(state, unit):
                raise
            return []

    # All of them.

    def take(self, ref: UnitRef, result: Receipt | CloudTrailParquetError | None) -> None:
        """Take what came of a unit: report it, send shards on, or keep it to be handed back."""
        match result:
            case NotEnoughTimeError():
                self._undone.left.append(ref)
                self._undone.errors.append(result)
            case TooLargeError() if self._fanout is not None:
                shards = ref.split(result.shards, result.bounds)
                self._fanout().send(ConvertEvent((shard,)) for shard in shards)
                self._telemetry.handed_back(len(shards))
                self._undone.done += 1
            case SupersededError():
                self._telemetry.superseded(ref.unit, str(ref.one))
                self._undone.done += 1
            case CloudTrailParquetError():
                self._telemetry.failed(ref.unit, result)
                self._undone.failed.append(ref)
                self._undone.errors.append(result)
            case _:
                self._undone.done += 1
                if result is not None:
                    self._telemetry.converted(result)
                    self._converted += 1

    def hand_on(self) -> dict[str, int]:
        """Hand what is undone to other invocations; see `Undone.hand_on`."""
        handed_back = self._undone.hand_on(is_late=self._late)
        return {"converted": self._converted, "handed_back": handed_back}


@contextmanager
def translated_errors(where: str) -> Iterator[None]:
    """Turn errors of others into ours, without their text, which may quote a record."""
    try:
        yield
    except CloudTrailParquetError:
        raise
    except Exception as error:
        frames = [(frame.f_globals["__name__"], no) for frame, no in walk_tb(error.__traceback__)]
        *_, at = (f"{name}:{no}" for name, no in frames if name.startswith("cloudtrail_parquet"))
        what = f"failed with {type(error).__name__} at {at}"
        if isinstance(error, OSError):  # mostly a full /tmp
            what += f" ({error.strerror})"
        hint = "It is tried again. If that does not help, please report this line"
        raise StorageError(what, where, hint) from error
