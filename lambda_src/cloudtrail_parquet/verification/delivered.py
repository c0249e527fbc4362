"""What was delivered for a unit: its log files against identities, its records as digests."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

from cloudtrail_parquet.errors import StorageError, UnreadableLogError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.printable import writable
from cloudtrail_parquet.state.figures import Quarantined
from cloudtrail_parquet.state.identities import Identities, known_as
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.verification.findings import Amounts, Finding, Kind
from cloudtrail_parquet.verification.logs import Bounds, Delivery, LogTree, fingerprint_of
from cloudtrail_parquet.verification.receipts import is_unread
from cloudtrail_parquet.verification.rules import Discards, Masks
from cloudtrail_parquet.verification.tables import DISCARDED, OPTIONAL, REQUIRED, RecordDigests
from cloudtrail_parquet.verification.values import digest, event_day, id_of, normal
from cloudtrail_parquet.wording import counted, plural_of

_SECOND = timedelta(seconds=1)  # receipts leave fractions of it out


class LateRecord(NamedTuple):
    """A straggler that was delivered on the day of a unit, its owner."""

    owner: Unit
    day: date
    digest: bytes
    event_id: str
    log_file: str
    record: int
    need: int


@dataclass
class Delivered:
    """What was delivered for a unit.

    Attributes:
        records: The digests of the records of its day.
        files: The log files, by their numbers in ``records``.
        late: The stragglers that it owns.
        excused: How many rows may be without a record, since log files are gone or damaged.
        counts: What became of the elements, as receipts count them.
        is_whole: Whether its log files are all those of the receipt, and each could be read.
        amounts: How much was read.
    """

    records: RecordDigests = field(default_factory=RecordDigests)
    files: list[Delivery] = field(default_factory=list)
    late: list[LateRecord] = field(default_factory=list)
    excused: int = 0
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("read", "elsewhere", "quarantined", "discarded"), 0)
    )
    is_whole: bool = True
    amounts: Amounts = field(default_factory=Amounts)


@dataclass(frozen=True)
class Reading:
    """How the log files of a unit are read.

    Attributes:
        unit: The unit.
        receipt: Its receipt; None if it has none.
        known: The log files that its parts were made of; None if that is not known.
        bounds: Its window.
        discards: The discard rules of its settings.
        masks: Mask what rules redact.
        holds: Whether a place is looked at.
    """

    unit: Unit
    receipt: Receipt | None
    known: Identities | None
    bounds: Bounds
    discards: Discards
    masks: Masks
    holds: Callable[[str, str], bool]

    def name_of(self, file: Delivery) -> str:
        """What a log file is known by."""
        return known_as(file.key, None if all(self.unit.span) else file.place)

    def count_of(self, file: Delivery) -> int | None:
        """How many records of a log file the run could read; None if it did not know the file.

        Without identities, those are known that were there before; their counts are not: -1.
        """
        if self.receipt is None:
            return -1
        if self.known is None:
            return -1 if file.modified < self.receipt.converted_at + _SECOND else None
        return self.known.records_of(self.name_of(file))


def take(tree: LogTree, reading: Reading, taken: Delivered) -> Iterator[Finding]:
    """Read the log files of a unit; what they hold goes to ``taken``."""
    files = tree.files(reading.unit, reading.bounds)
    yield from _gone(tree, reading, files, taken)
    changed, names = False, Counter(map(reading.name_of, files))
    for file in files:
        if not reading.holds(*file.place):
            taken.is_whole = False
            continue
        # Of several with one name it is not known which of them was counted.
        count = reading.count_of(file) if names[reading.name_of(file)] == 1 else -1
        if count is None:
            taken.is_whole = False
            yield _unknown(reading, file)
        for finding in _read(tree, reading, file, count, taken):
            changed = changed or finding.kind in {Kind.LOG_CHANGED, Kind.LOG_DAMAGED}
            yield finding
    receipt = reading.receipt
    if receipt is None or changed or receipt.kept or not taken.is_whole:
        return
    if reading.known is not None and receipt.source_fingerprint.startswith("sum:"):
        yield from _fingerprint(reading, receipt, files)


def _gone(
    tree: LogTree, reading: Reading, files: list[Delivery], taken: Delivered
) -> Iterator[Finding]:
    """What the source has lost of the log files that the unit was made of."""
    receipt = reading.receipt
    if receipt is not None and receipt.rebuilt and reading.known is None:
        if _fingerprint_of(reading, files) != receipt.source_fingerprint:
            yield from _perhaps_gone(tree, reading, receipt, taken)
        return
    lost = _lost(reading, files)
    gone, records = len(list(filter(None, lost))), sum(lost)  # nothing is missed of those without
    if lost:
        taken.is_whole = False
        taken.excused += records
    if receipt is None or not records:
        return
    what = f"{gone:,} of {counted(receipt.files.listed, 'log file')} that it was made of, "
    what += f"with {counted(records, 'record')}, {plural_of(gone, 'is', 'are')} not in the source"
    kind = Kind.LOG_GONE
    if receipt.kept:
        kind = Kind.KEPT
        what += f", as its receipt says ({receipt.kept})"
    elif _has_expired(tree, reading, files):
        kind = Kind.EXPIRED
        what += "; none of its account and region is older"
    yield Finding(kind=kind, unit=reading.unit.name, what=what, count=gone)


def _perhaps_gone(
    tree: LogTree, reading: Reading, receipt: Receipt, taken: Delivered
) -> Iterator[Finding]:
    """Where log files have expired, of a unit that no longer tells which ones it was made of."""
    begin, rows = min(reading.bounds.days(reading.unit.day)), 0
    for account, regions in receipt.places.items():
        for region, figures in regions.items():
            if begin < tree.oldest(Place(account, region)):
                rows += sum(figures.records[1:3])  # written, straggled
    if rows:
        taken.is_whole = False
        taken.excused += rows
        what = f"log files that {counted(rows, 'row')} may be of are not in the source; none of "
        what += "its account and region is older"
        yield Finding(kind=Kind.EXPIRED, unit=reading.unit.name, what=what)


def _lost(reading: Reading, files: list[Delivery]) -> list[int]:
    """How many records, for each log file that is gone, it had; or may have had, where unknown."""
    receipt = reading.receipt
    if reading.known is None:
        if receipt is None:
            return []
        there = sum(reading.count_of(file) is not None for file in files)
        gone = max(int(bool(receipt.kept)), receipt.files.listed - there)
        return [receipt.records.read, *[1] * (gone - 1)] if gone > 0 else []
    present = Identities()
    for file in files:
        present.add(reading.name_of(file), 0)
    return [n for number, n in reading.known.counts.items() if number not in present.counts]


def _has_expired(tree: LogTree, reading: Reading, files: list[Delivery]) -> bool:
    """Whether what is gone is older than all log files of its place, as lifecycle rules leave it.

    Log files of the day before expire first: then those of the unit's own day have as many bytes as
    the receipt says. Which places lack some is known of a unit of many only from its counts.
    """
    unit, receipt = reading.unit, reading.receipt
    if receipt is None:
        return False
    before = {unit.span: (receipt.files.listed, receipt.bytes_in)}
    if not all(unit.span):
        before = {
            Place(unit.account or account, unit.region or region): (figures.files, figures.bytes)
            for account, regions in receipt.places.items()
            for region, figures in regions.items()
        }
    now, own = Counter(file.place for file in files), Counter[Place]()
    for file in files:
        own[file.place] += file.size if file.delivered.date() == unit.day else 0
    begin = min(reading.bounds.days(unit.day))
    lacking = [place for place, (count, _) in before.items() if count > now[place]] or [*before]
    return all(
        unit.day < tree.oldest(place)
        or (begin < tree.oldest(place) and own[place] == before[place][1])
        for place in lacking
    )


def _unknown(reading: Reading, file: Delivery) -> Finding:
    receipt = reading.receipt
    is_added = receipt is not None and receipt.settled and not is_unread(receipt, file.place)
    when = f"{receipt.converted_at:%Y-%m-%d %H:%M}" if receipt else ""
    if receipt is not None and receipt.kept:
        kind, what = Kind.PENDING, f"its unit was kept as it was at {when}, without it"
    elif is_added:
        what = f"its unit was settled without it at {when}"
        what += f"; it was delivered at {file.delivered:%Y-%m-%d %H:%M} by its name"
        what += f", and written at {file.modified:%Y-%m-%d %H:%M}"
        kind = Kind.LOG_ADDED
    else:
        kind, what = Kind.PENDING, f"the conversion of {when} did not read it"
    return Finding(kind=kind, unit=reading.unit.name, log_file=writable(file.key), what=what)


def _fingerprint(reading: Reading, receipt: Receipt, files: list[Delivery]) -> Iterator[Finding]:
    said = receipt.source_fingerprint  # empty if it was made of receipts that cannot tell
    if said and _fingerprint_of(reading, files) != said:
        what = "the names of its log files are those of its receipt, their sizes are not"
        yield Finding(kind=Kind.LOG_CHANGED, unit=reading.unit.name, what=what)


def _fingerprint_of(reading: Reading, files: list[Delivery]) -> str:
    return fingerprint_of(
        (reading.name_of(file).encode(errors="surrogateescape"), file.size) for file in files
    )


def _read(
    tree: LogTree, reading: Reading, file: Delivery, count: int | None, taken: Delivered
) -> Iterator[Finding]:
    """Read one log file, of which ``count`` records could be read; see `Reading.count_of`."""
    name = reading.unit.name
    try:
        elements, is_odd = tree.elements(file)
    except (StorageError, UnreadableLogError) as error:
        taken.is_whole = False
        what = error.what
        is_named = count == 0 and _is_quarantined(reading, file.key)
        is_lost = isinstance(error, StorageError) and not is_named
        kind = Kind.UNREADABLE if is_lost else Kind.QUARANTINED
        if count is not None and count > 0:
            taken.excused += count
            is_kept = bool(reading.receipt and reading.receipt.kept)
            kind = Kind.KEPT if is_kept else Kind.LOG_DAMAGED
            what = f"{counted(count, 'record')} could be read when it was converted; now: {what}"
        elif count == 0 and not is_named and not is_lost:
            kind, what = Kind.RECEIPT_FALSE, f"the receipt does not say that it is damaged: {what}"
        yield Finding(kind=kind, unit=name, log_file=writable(file.key), what=what)
        return
    number = len(taken.files)
    taken.files.append(file)
    is_known = count is not None
    was_unread = is_known and count == 0
    records = total = 0
    for position, record in elements:
        total += 1
        records += record is not None
        need = REQUIRED if is_known and not was_unread else OPTIONAL
        _take_record(reading, file, number, position, record, need, taken)
    taken.counts["read"] += total
    odd = int(is_odd)
    taken.amounts.add(Amounts(log_files=1, log_bytes=file.size, records=records, odd=odd))
    if is_odd:  # of what is no record, the reader of shapes alone knows how it is counted
        taken.is_whole = False
    if was_unread and records:
        taken.is_whole = False
        if why := _why_unread(reading, file):
            what = f"{why}; now {counted(records, 'record')} can be read"
            yield Finding(kind=Kind.PENDING, unit=name, log_file=writable(file.key), what=what)
            return
    if count is not None and count >= 0 and count != records:
        taken.is_whole = False
        taken.excused += max(0, count - records)
        what = f"it has {counted(records, 'record')}; {count:,} when it was converted"
        yield Finding(kind=Kind.LOG_CHANGED, unit=name, log_file=writable(file.key), what=what)


def _is_quarantined(reading: Reading, key: str) -> bool:
    receipt = reading.receipt
    return receipt is not None and _quarantined(receipt, key) is not None


def _quarantined(receipt: Receipt, key: str) -> Quarantined | None:
    """What a receipt says of a log file that could not be read; None if it could."""
    named = (bad for bad in receipt.quarantined if bad.record is None)
    more = receipt.files.quarantined > len(receipt.quarantined)  # too many to name
    found = next((bad for bad in named if bad.key == writable(key)), None)
    return found or (Quarantined(key=writable(key), reason="", retryable=True) if more else None)


def _why_unread(reading: Reading, file: Delivery) -> str:
    """Why the records of a log file are in no part, as far as its receipt may be right about that.

    Nobody can have mended one that was written before. What a receipt says of it is false then.
    """
    receipt = reading.receipt
    if receipt is None:
        return ""
    if receipt.kept:
        return f"its unit was kept ({receipt.kept}), without it"
    bad = _quarantined(receipt, file.key)
    is_older = file.modified < receipt.converted_at
    return "" if bad is None or (is_older and not bad.retryable) else "it was quarantined"


def _take_record(  # noqa: PLR0913, PLR0917
    reading: Reading,
    file: Delivery,
    number: int,
    position: int,
    record: dict[str, Any] | None,
    need: int,
    taken: Delivered,
) -> None:
    unit = reading.unit
    is_own_file = file.delivered.date() == unit.day
    day = None if record is None else event_day(record)
    if record is None or day is None:
        taken.counts["quarantined" if is_own_file else "elsewhere"] += 1
        return
    is_late = is_own_file and day != unit.day and not reading.bounds.hold(file.delivered, day)
    if day != unit.day and not is_late:
        taken.counts["elsewhere"] += 1
        return
    if reading.receipt is not None and reading.receipt.is_expired and not is_late:
        need = OPTIONAL
    if reading.discards.match(record):
        taken.counts["discarded"] += 1
        need = DISCARDED
    place = Place(unit.account or file.place.account, unit.region or file.place.region)
    form = digest(place, reading.masks.record(normal(record)))
    if is_late:
        late = LateRecord(unit, day, form, id_of(record), file.key, position, need)
        taken.late.append(late)
    else:
        taken.records.add(form, number, position, need)
