"""Records of which only the content tells where they belong, sorted out into log files.

Each goes to the account and the region that it names itself, or else what is around it, or else
somebody who knows; and to the day of its event, since nobody knows when it was delivered.
"""

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from cloudtrail_parquet.envelopes.foreign import (
    S3_NOTIFICATION,
    SET_ASIDE,
    hint_of,
    is_s3_notification,
)
from cloudtrail_parquet.envelopes.shapes import Enclosed, enclosed_records
from cloudtrail_parquet.errors import StorageError, UnreadableLogError, of_system
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.eventtime import day_of, parse_time
from cloudtrail_parquet.intake.arranged import Arranged
from cloudtrail_parquet.intake.left_out import Leftovers
from cloudtrail_parquet.intake.streamed import text_in
from cloudtrail_parquet.layout import ACCOUNT, Place
from cloudtrail_parquet.source.delivered_tree import DeliveredTree
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.wording import counted

_REGION = re.compile(r"(?=.{1,32}\Z)[a-z]{2,}(?:-[a-z0-9]+)+")
_ACCOUNT_DIGITS = 12
_ARTICLES = {"account": "an account", "region": "a region"}
_FORMS = {"account": "not twelve digits", "region": "not a region code"}
_NO_DAY = "Give it an eventTime as CloudTrail writes it, or set it aside"
_NO_RECORD = "Mend it, or set it aside"
_NAMED_CHARS = 40


class _Labels(msgspec.Struct, rename="camel", gc=False):
    """What of a record tells where it belongs; aggregated ones have an account and a window."""

    event_time: Any = None
    recipient_account_id: Any = None
    account_id: Any = None
    aws_region: Any = None
    time_window: Any = None
    event_source: Any = None

    @property
    def time(self) -> object:
        """When it happened, as it is written; None if it does not say."""
        window = self.time_window if isinstance(self.time_window, dict) else {}
        return window.get("windowStart") if self.event_time is None else self.event_time

    @property
    def account(self) -> object:
        """The account that it was delivered for, as it is written."""
        return self.account_id if _is_none(self.recipient_account_id) else self.recipient_account_id


_LABELS = msgspec.json.Decoder(_Labels)


class Transcription:
    """Sorts out the records of files.

    Attributes:
        records: How many records have a place and a day.
        bytes: What they take in the scratch folder.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        store: ReadStore,
        scratch: Path,
        folder: str,
        known: Place,
        max_inflated_bytes: int,
        left: Leftovers,
    ) -> None:
        """Prepare for the files of a store.

        Args:
            store: The store.
            scratch: Receives log files.
            folder: The folder of logs that they are for.
            known: The account and the region of records that lack them; "" if nobody knows.
            max_inflated_bytes: See the setting.
            left: Receives what is left out.
        """
        self.records = self.bytes = 0
        self._store, self._scratch, self._folder, self._known = store, scratch, folder, known
        self._max_inflated_bytes, self._left = max_inflated_bytes, left
        self._numbers = count(1)

    def transcribe(self, entry: Entry) -> list[Arranged]:
        """Sort out the records of a file.

        Returns:
            The log files that hold them, at their arranged keys.
        """
        made: list[Arranged] = []

        def write(key: str, stored: bytes) -> None:
            copy = f"{next(self._numbers)}.json.gz"
            self._write(copy, stored)
            folder, _, name = key.rpartition("/")
            arranged = f"{folder}/{entry.key}/{name}"
            made.append(Arranged(arranged, len(stored), entry.modified, copy))

        tree, records = DeliveredTree(write, self._folder), 0
        try:
            for element in self._elements(entry):
                belongs = self._belongs(entry.key, element)
                if belongs:
                    tree.add(*belongs, element.raw)
                    records += 1
        except UnreadableLogError as error:
            what, _, hint = error.args
            self._left.add(entry.key, what, hint)
            return []
        tree.finish()
        self.records += records
        return made

    def _elements(self, entry: Entry) -> Iterator[Enclosed]:
        try:
            text = text_in(self._store, entry, entry.key, self._max_inflated_bytes)
            yield from enclosed_records(text, entry.key)
        except StorageError as error:
            raise UnreadableLogError(error.what, entry.key, error.args[2]) from error

    def _belongs(self, name: str, element: Enclosed) -> tuple[Place, date] | None:
        """The place and the day of a record; None for an element that is left out."""
        if element.is_expected:
            return None
        where, fault = f"{name} {element.position}".rstrip(), element.fault
        try:
            labels = _Labels() if fault else _labels(element.raw)
        except ValueError as error:
            labels, fault = _Labels(), str(error)
        if not fault and is_s3_notification(labels.event_source):
            fault = f"it is {S3_NOTIFICATION.what}"
        if fault:
            self._left.add(where, fault, _hint_of(fault))
            return None
        day = _day(labels.time)
        if day is None:
            what = "it has no eventTime" if labels.time is None else "its eventTime is no time"
            self._left.add(where, what, _NO_DAY)
            return None
        around, known = element.place, self._known
        try:
            place = Place(
                _account(labels.account) or _account(around.account) or known.account,
                _region(labels.aws_region) or _region(around.region) or known.region,
            )
        except ValueError as error:
            self._left.add(where, str(error), _NO_RECORD)
            return None
        if all(place):
            return place, day
        kinds = [kind for kind, value in place._asdict().items() if not value]
        names = " and ".join(_ARTICLES[kind] for kind in kinds)
        options = " and ".join(f"--{kind}" for kind in kinds)
        self._left.add(where, f"it does not name {names}", f"Say which with {options}")
        return None

    def _write(self, copy: str, stored: bytes) -> None:
        try:
            (self._scratch / copy).write_bytes(stored)
        except OSError as error:
            written = counted(self.bytes, "byte")
            what = f"cannot be written ({error.strerror}) after {written}"
            hint = (
                "Records are sorted out there, gzipped: "
                "set TMPDIR to a folder with room for a third of their JSON text"
            )
            error_type = type(of_system("written", self._scratch, error))
            raise error_type(what, str(self._scratch), hint) from error
        self.bytes += len(stored)


def _hint_of(fault: str) -> str:
    """What to do about an element with a fault: what suits its kind, if it is of one."""
    hint = hint_of(fault)
    return _NO_RECORD if hint == SET_ASIDE else hint


def _labels(raw: bytes) -> _Labels:
    """What tells where a record belongs.

    Raises:
        ValueError: It is not a JSON object.
    """
    try:
        return _LABELS.decode(raw)
    except jsontext.FAILURES:
        members = jsontext.members(raw)
    fields = msgspec.structs.fields(_Labels)
    known = {field.name: members.get(field.encode_name, jsontext.NULL) for field in fields}
    return _Labels(**{name: _value(raw) for name, raw in known.items()})


def _value(raw: bytes) -> Any:  # noqa: ANN401
    """The value of a member; its text where it has none."""
    try:
        return msgspec.json.decode(raw)
    except jsontext.FAILURES:
        text = jsontext.string(raw)[0]
        return raw.decode(errors="replace") if text is None else text


@lru_cache(4096)  # records of a second follow one another
def _day_of_text(text: str) -> date | None:
    time_us = parse_time(text)
    return None if time_us is None else day_of(time_us)


def _day(value: object) -> date | None:
    is_time = isinstance(value, str | int | float) and not isinstance(value, bool)
    return _day_of_text(str(value)) if is_time else None


def _account(value: object) -> str:
    """An account's twelve digits; as a number it may have lost zeros in front.

    Returns:
        The account; "" if none is named.

    Raises:
        ValueError: What is named is no account: nobody else may say which it is then.
    """
    if type(value) is int:
        value = f"{value:0{_ACCOUNT_DIGITS}d}"
    return _named("account", ACCOUNT, value)


def _region(value: object) -> str:
    """A region code; as `_account` is."""
    return _named("region", _REGION, value)


def _named(kind: str, form: re.Pattern[str], value: object) -> str:
    if _is_none(value):
        return ""
    if isinstance(value, str) and form.fullmatch(value):
        return value
    text = repr(value)
    if len(text) > _NAMED_CHARS:
        text = f"{text[:_NAMED_CHARS]}..."
    raise ValueError(f"it names the {kind} {text}, which is {_FORMS[kind]}")


def _is_none(value: object) -> bool:
    """Whether a value names nothing."""
    return value is None or value == ""
