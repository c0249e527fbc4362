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

from cloudtrail_parquet.errors import CloudTrailParquetError, StorageError
from cloudtrail_parquet.state.keys import ATTEMPTS, attempt_key
from cloudtrail_parquet.storage import Store, Stores

KEPT_DAYS = 15
"""A day longer than a queue keeps a message: after that nobody is given the event again."""


class _Note(msgspec.Struct, frozen=True):
    """How many attempts were begun and have not come to an end."""

    begun: int


class Attempts:
    """The attempts at an event."""

    def __init__(self, state: Store, delivery: str) -> None:
        """Make no request yet.

        Args:
            state: The store of the state.
            delivery: What is the same whenever the event is delivered; empty if nothing is.
        """
        self._state, self._key = state, attempt_key(delivery) if delivery else ""
        self._ended, self._is_noted = 0, False

    def ended(self) -> int:
        """How many attempts before this one were ended."""
        text = self._state.read_if_there(self._key) if self._key else None
        if text is not None:
            try:
                self._ended = msgspec.json.decode(text, type=_Note).begun
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._ended = 1
            self._is_noted = True
        return self._ended

    def begin(self) -> None:
        """Note this attempt, for good if it is ended."""
        self._write(self._ended + 1)

    @contextmanager
    def coming_to_an_end(self) -> Iterator[None]:
        """Forget all attempts if this one succeeds, and this one alone if it fails."""
        try:
            yield
        except CloudTrailParquetError:
            if self._ended:
                with suppress(StorageError):
                    self._write(self._ended)
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


def forget_old(stores: Stores) -> None:
    """Remove the notes of events that nobody is given any more."""
    last = stores.now() - timedelta(days=KEPT_DAYS)
    old = [entry.key for entry in stores.state.files(ATTEMPTS) if entry.modified < last]
    if old:
        stores.state.delete(old)
