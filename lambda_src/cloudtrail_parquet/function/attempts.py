"""Attempts at an event that Lambda has ended, at the limit of time or of memory.

A process that is ended tells nobody. So while the units of an event are converted, a note of that
lies in the state; whoever is given the event again and finds the note knows that the attempt before
was ended, and not that it failed.

Sources: Lambda Developer Guide, "Asynchronous invocation" (an event that is tried again keeps its
request id); SQS Developer Guide, "Message ID" (a message keeps its id whenever it is received).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import msgspec

from cloudtrail_parquet.errors import CloudTrailParquetError, ProcessEndedError, StorageError
from cloudtrail_parquet.state.keys import ATTEMPTS, attempt_key
from cloudtrail_parquet.storage import Store, Stores

KEPT_DAYS = 15
"""A day longer than a queue keeps a message: after that nobody is given the event again."""


class _Note(msgspec.Struct, frozen=True):
    """How many attempts were begun, the present one included."""

    begun: int


class Attempts:
    """The attempts at an event.

    Attributes:
        ended: How many were ended before this one.
    """

    def __init__(self, state: Store, delivery: str) -> None:
        """Ask for those before.

        Args:
            state: The store of the state.
            delivery: What is the same whenever the event is delivered; empty if nothing is.
        """
        self._state, self._key = state, attempt_key(delivery) if delivery else ""
        self.ended = self._begun() if delivery else 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Note this attempt while in the context, and for good if it is ended there.

        An error ends the attempt as well, but for `ProcessEndedError`: the next one is to know.
        """
        if not self._key:
            yield
            return
        self._state.write(self._key, msgspec.json.encode(_Note(self.ended + 1)))
        try:
            yield
        except ProcessEndedError:
            raise
        except CloudTrailParquetError:
            self.forget()
            raise
        self.forget()

    def forget(self) -> None:
        """Forget the attempts: the next one begins as the first."""
        if self._key:
            with suppress(StorageError):  # then it begins as one after an attempt that was ended
                self._state.delete([self._key])

    def _begun(self) -> int:
        text = self._state.read_if_there(self._key)
        if text is None:
            return 0
        try:
            return msgspec.json.decode(text, type=_Note).begun
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 1


def forget_old(stores: Stores) -> None:
    """Remove the notes of events that nobody is given any more."""
    last = stores.now() - timedelta(days=KEPT_DAYS)
    old = [entry.key for entry in stores.state.files(ATTEMPTS) if entry.modified < last]
    if old:
        stores.state.delete(old)
