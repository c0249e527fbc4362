"""How far a plan has got: a note in the state, so that no attempt at an event begins from nothing.

An event comes again, under the same id, when an invocation of it was killed; see `attempts`, whose
folder the notes are in. A note is named by the event with the plan, the id of the event that began
it. It is replaced on condition that nobody else has replaced it, so of two invocations of an event
only one goes on.
"""

from collections.abc import Iterable
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.function.events import PlanEvent, to_text
from cloudtrail_parquet.planning.listing import SpanSums
from cloudtrail_parquet.state.keys import attempt_key
from cloudtrail_parquet.storage import Store


class TakenOverError(Exception):
    """Another invocation of the same event has taken over."""


class Progress(msgspec.Struct, frozen=True):
    """How far a plan has got.

    Attributes:
        run: The invocation that says so.
        left: What is left of it: the event from where the units have not been sent yet, or the
            slices that are for other invocations.
        is_divided: Whether it is the latter.
        has_logs: Whether a log file was found.
        sums: What was found in the places before that, where units span all of them.
    """

    run: str
    left: tuple[PlanEvent, ...]
    is_divided: bool = False
    has_logs: bool = False
    sums: SpanSums | None = None


class ProgressNote:
    """The note about an event, as this invocation has found or written it.

    Attributes:
        progress: What it says.
    """

    def __init__(self, state: Store, event: PlanEvent, delivery: str) -> None:
        """Read it; without one the event is to be planned from its beginning.

        Args:
            state: The store of the note.
            event: The event.
            delivery: The id of the event, which is that of the plan if it begins one.
        """
        event = replace(event, plan=event.plan or quote(delivery, safe=""))
        self._state, self._key = state, attempt_key(to_text(event))
        self._run, self._version = uuid4().hex, None
        self.progress = Progress(self._run, (event,))
        stored = state.look(self._key)
        if stored is not None:
            self._version = stored.version
            self.progress = _decode(stored.data) or self.progress

    @property
    def is_resumed(self) -> bool:
        """Whether another invocation has begun."""
        return self.progress.run != self._run

    @property
    def has_logs(self) -> bool:
        """Whether a log file was found before."""
        return self.progress.has_logs

    def reach(
        self, event: PlanEvent, sums: SpanSums | None = None, *, has_logs: bool = False
    ) -> None:
        """Note what is left of the event; all units before that have been sent.

        Args:
            event: What is left.
            sums: What has been found for it.
            has_logs: Whether this invocation has found a log file.

        Raises:
            TakenOverError: Another invocation has noted something since this one did.
        """
        has_logs = has_logs or self.has_logs
        self._save(Progress(self._run, (event,), has_logs=has_logs, sums=sums))

    def divide(self, slices: Iterable[PlanEvent]) -> None:
        """Note that what is left is for other invocations: some slices, or nothing.

        Raises:
            TakenOverError: See `reach`.
        """
        self._save(Progress(self._run, tuple(slices), is_divided=True))

    def _save(self, progress: Progress) -> None:
        try:
            self._version = self._state.swap(
                self._key, msgspec.json.encode(progress), self._version
            )
        except StorageError:
            stored = self._state.look(self._key)
            noted = None if stored is None else _decode(stored.data)
            if noted is None or noted.run == self._run:
                raise
            raise TakenOverError from None
        self.progress = progress


def _decode(data: bytes) -> Progress | None:
    try:
        progress = msgspec.json.decode(data, type=Progress)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return progress if progress.is_divided or progress.left else None
