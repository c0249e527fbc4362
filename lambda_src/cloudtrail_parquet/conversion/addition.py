"""Additions: log files that are new to a unit are read alone, and no part is touched.

An addition starts from a true receipt and from the identities of the log files that its parts were
made of. It reads the others, leaves out what the unit's own parts hold already, and writes further
parts; the receipts add up. It is what a provisional hour, a late log file, or a new account of a
folded unit needs, and all that can be done where the source no longer holds what was read before.

When the day is settled, or after `MAX_ADDITIONS`, the unit is converted as a whole again, if
nothing is gone from the source.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from cloudtrail_parquet.conversion.guard import keys_in
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit, part_number, shard_of, unit_of
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.settings import SettingSource, settings_of
from cloudtrail_parquet.state.figures import Part
from cloudtrail_parquet.state.identities import Fingerprint, Identities, fingerprint_of, known_as
from cloudtrail_parquet.state.notes import Notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, ReadStore

MAX_ADDITIONS = 8
"""So many parts of additions a unit may have: readers open each of them."""


def name_in(unit: Unit, file: LogFile) -> str:
    """What a log file of a unit is known by in the unit's fingerprint and identities."""
    return known_as(file.key, None if all(unit.span) else file.place)


@dataclass(frozen=True)
class Addition:
    """What an addition starts from.

    Attributes:
        before: The receipt of the parts that stay.
        known: The identities of the log files that these were made of; None if they are lost.
        files: The log files of the window to read, in order: those that are not known, and some
            of which nothing could be read.
        again: The latter.
        gone: What the source has lost of what is known, in words; empty if nothing.
        fingerprint: The fingerprint of all log files, those that are gone and the new ones.
        options: How they are converted: as the parts that stay were.
    """

    before: Receipt
    known: Identities | None
    files: list[LogFile]
    again: tuple[LogFile, ...]
    gone: str
    fingerprint: str
    options: ConversionOptions

    @property
    def kept(self) -> frozenset[str]:
        """The keys of the parts that stay."""
        return frozenset(part.key for part in self.before.parts)

    @property
    def shard(self) -> Shard:
        """The shard that new parts are named after: one of those of which the parts that stay are.

        A unit that was split and then rewritten is a whole, but its parts have their names still.
        """
        return max(map(shard_of, self.kept), key=lambda shard: shard.number, default=WHOLE)

    def is_in_place(self, entries: Callable[[date], Iterable[Entry]]) -> bool:
        """Whether the parts that stay are there, by the entries of each partition."""
        sizes = {part.key: part.bytes for part in self.before.parts}
        days = {day for day in map(day_of_part, sizes) if day}
        there = {entry.key: entry.size for day in days for entry in entries(day)}
        return all(there.get(key) == size for key, size in sizes.items())

    def keys(self, dataset: ReadStore, day: date) -> pa.Array:
        """The keys of the rows that stay in the partition of a day: int64."""
        return keys_in(dataset, sorted(key for key in self.kept if day_of_part(key) == day))


def first_number(unit: Unit, keys: Iterable[str]) -> int:
    """The number after those of the parts, among some, that lie in a unit's partition."""
    numbers = (part_number(key) for key in keys if unit_of(key) == unit)
    return max(numbers, default=-1) + 1


def apart(
    new: Sequence[Part],
    old: Collection[str],
    digests: Mapping[str, str],
    is_alike: Callable[[str], bool],
) -> list[str]:
    """The keys of new parts among old ones of the same owner in the same partition.

    They are as they are if at most one of them is that of an old part with other rows. Else the
    parts get the first numbers in a row for which there is none. If they are those that stand, they
    keep the numbers of these.

    Args:
        new: The new parts, numbered from 0.
        old: The keys of the old ones.
        digests: What is known of their SHA-256, by key.
        is_alike: Whether another old one is there, and was made of the same log files in the same
            way, so that it is what a new one with its key would be.
    """
    there = sorted(old, key=part_number)
    if [digests.get(key, "") for key in there] == [part.sha256 for part in new]:
        return there

    def clashes(names: Iterable[str]) -> int:
        pairs = zip(names, new, strict=True)
        known = ((key, digests.get(key), part.sha256) for key, part in pairs if key in old)
        return sum(not (is_alike(key) if one is None else one == two) for key, one, two in known)

    names, first = [part.key for part in new], 0
    if clashes(names) <= 1:
        return names
    while clashes(names):
        first += 1
        names = [_with_number(part.key, first + number) for number, part in enumerate(new)]
    return names


def _with_number(key: str, number: int) -> str:
    """The key of a part of ours with another number."""
    return f"{key.rpartition('-')[0]}-{number:05d}.parquet"


def addition_of(  # noqa: PLR0913
    unit: Unit,
    notes: Notes[Receipt],
    known: Identities | None,
    window: list[LogFile],
    options: ConversionOptions,
    *,
    is_settled: bool,
) -> Addition | None:
    """What can be added to a unit; None if it has to be converted as a whole, or kept.

    Args:
        unit: The unit.
        notes: What the state says about it.
        known: The identities of the log files of the parts that its receipt names.
        window: All log files of the unit that there are now.
        options: How they would be converted.
        is_settled: Whether the unit would be settled.
    """
    before, names = notes.receipt, {name_in(unit, file): file for file in window}
    if before is None or may_retry(before):
        return None
    if len(names) < len(window):  # of those with one name it is not known which are new
        return None
    is_alike = is_made_alike(before, options)
    if known is None:  # all are read again where the parts had to be kept without
        may_add = before.kept and is_alike
        return Addition(before, None, window, (), before.kept, "", options) if may_add else None
    new = {name for name in names if known.records_of(name) is None}
    gone = known.missing_among(names)
    again = {name for name in names if gone and known.records_of(name) == 0}
    own = options if is_alike else options_of(before, options)
    if own is None or not (is_alike or gone) or not (new or again):
        return None
    fingerprint = fingerprint_of(before.source_fingerprint)
    for name in new:
        fingerprint.add(name, names[name].size)
    if not gone and not _is_due(before, names, str(fingerprint), is_settled=is_settled):
        return None
    files = [file for name, file in names.items() if name in new | again]
    read_again = tuple(names[name] for name in sorted(again))
    return Addition(before, known, files, read_again, gone, str(fingerprint), own)


def _is_due(
    before: Receipt, names: dict[str, LogFile], fingerprint: str, *, is_settled: bool
) -> bool:
    """Whether log files are added although the unit could be converted as a whole.

    ``fingerprint`` is that of the known ones and the new ones. It is not that of all if one was
    replaced by another of its name.
    """
    is_settling = is_settled and not before.settled
    if is_settling or before.additions >= MAX_ADDITIONS or before.kept:
        return False
    now = Fingerprint()
    for name, file in names.items():
        now.add(name, file.size)
    return str(now) == fingerprint


def is_made_alike(before: Receipt, options: ConversionOptions) -> bool:
    """Whether a receipt is about rows like those that would be made today."""
    window = options.dataset.window
    made = before.lookbehind_s, before.lookahead_s, before.schema_version, before.folders
    today = window.lookbehind_s, window.lookahead_s, SCHEMA_VERSION, options.dataset.folders
    return made == today and all(
        before.settings.get(name) == value for name, value in options.row_shaping.items()
    )


def options_of(before: Receipt, options: ConversionOptions) -> ConversionOptions | None:
    """The options with which log files can join the parts of a receipt, made by other rules.

    As parts have to stay, what joins them gets the rules and the encoding that they have, so that
    the receipt is true of all rows. It may be of a later schema, as its footer says.

    Args:
        before: The receipt.
        options: The options of today.

    Returns:
        None if they have another window or other folders, if today's rules redact more, or if it is
        not known how the parts were made.
    """
    window = options.dataset.window
    ownership = before.lookbehind_s, before.lookahead_s, before.folders
    is_later = before.schema_version > SCHEMA_VERSION
    if is_later or ownership != (window.lookbehind_s, window.lookahead_s, options.dataset.folders):
        return None
    if not options.row_shaping.keys() <= before.settings.keys():
        return None
    try:
        own = ConversionOptions.of(settings_of(SettingSource("receipt", before.settings)))
    except UsageError:  # of a version that had others
        return None
    is_other = own.dataset.layout != options.dataset.layout
    if is_other or not set(options.rows.redact) <= set(own.rows.redact):
        return None
    return options._replace(
        rows=options.rows._replace(discard=own.rows.discard, redact=own.rows.redact),
        writer=options.writer._replace(json_encoding=own.writer.json_encoding),
        shaping={**options.shaping, **own.row_shaping},
        row_shaping=own.row_shaping,
    )


def may_retry(before: Receipt) -> bool:
    """Whether something that could not be read may be readable now."""
    return any(bad.retryable for bad in before.quarantined)


def day_of_part(key: str) -> date | None:
    """The day of the partition that a part is in."""
    unit = unit_of(key)
    return unit and unit.day
