"""Attempts that Lambda has ended, at the limit of time or of memory.

A process that is ended tells nobody. So while the units of an event are converted a note of that
lies in the state, under what stays the same when the event is delivered again. An attempt that
finds a note knows that the one before was ended, and not that it failed.

Sources: Lambda Developer Guide, "Asynchronous invocation" (an event that is tried again keeps its
request id); SQS Developer Guide, "Message ID" (a message keeps its id whenever it is received).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import msgspec

from cloudtrail_parquet.errors import CloudTrailParquetError, ProcessEndedError, StorageError
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.state.keys import ATTEMPTS, attempt_key
from cloudtrail_parquet.storage import Store, Stores
from cloudtrail_parquet.wording import counted, plural_of

KEPT_DAYS = 15
"""A day longer than a queue keeps a message: after that nobody is given the event again."""


class _Note(msgspec.Struct, frozen=True):
    """How many attempts were begun and have not come to an end."""

    begun: int


class Attempts:
    """The attempts at an event.

    Attributes:
        count: How many before this one were ended, once that was asked.
    """

    def __init__(self, state: Store, delivery: str) -> None:
        """Make no request yet.

        Args:
            state: The store of the state.
            delivery: What is the same whenever the event is delivered; empty if nothing is.
        """
        self._state, self._key = state, attempt_key(delivery) if delivery else ""
        self.count, self._is_noted = 0, False

    def ended(self) -> int:
        """How many attempts before this one were ended."""
        text = self._state.read_if_there(self._key) if self._key else None
        if text is not None:
            try:
                self.count = msgspec.json.decode(text, type=_Note).begun
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.count = 1
            self._is_noted = True
        return self.count

    def begin(self) -> None:
        """Note this attempt, for good if it is ended."""
        self._write(self.count + 1)

    @contextmanager
    def coming_to_an_end(self) -> Iterator[None]:
        """Forget all attempts if this one succeeds, and this one alone if it fails."""
        try:
            yield
        except CloudTrailParquetError:
            if self.count:
                with suppress(StorageError):
                    self._write(self.count)
            else:
                self.forget()
            raise
        self.forget()

    def forget(self) -> None:
        """Forget the attempts: the next one begins as the first."""
        if self._is_noted:
            with suppress(StorageError):  # then it begins as one after an attempt that was ended
                self._state.delete([self._key])

    def _write(self, begun: int) -> None:
        if self._key:
            self._state.write(self._key, msgspec.json.encode(_Note(begun)))
            self._is_noted = True


def process_ended(ended: int, unit: Unit, instead: str) -> ProcessEndedError:
    """The error for a unit at which so many invocations were ended."""
    were = f"{plural_of(ended, 'was', 'were')} ended, at a limit of time or memory"
    what = f"{counted(ended, 'invocation')} that read this {were}"
    hint = f"Give the function more memory or time, or {instead}"
    return ProcessEndedError(what, unit.name, hint)


def forget_old(stores: Stores) -> None:
    """Remove the notes of events that nobody is given any more."""
    last = stores.now() - timedelta(days=KEPT_DAYS)
    old = [entry.key for entry in stores.state.files(ATTEMPTS) if entry.modified < last]
    if old:
        stores.state.delete(old)
