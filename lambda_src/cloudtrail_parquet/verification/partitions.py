"""One partition: its parts against receipts, and its rows as digests."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Place, Unit, owner_of, partition, unit_of
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Entry, ReadStore
from cloudtrail_parquet.verification.findings import Amounts, Finding, Kind
from cloudtrail_parquet.verification.parts import DAMAGE, OpenPart, Row, opened
from cloudtrail_parquet.verification.receipts import StateReader, part_named, rules_of
from cloudtrail_parquet.verification.rules import Masks
from cloudtrail_parquet.verification.tables import RowDigests
from cloudtrail_parquet.wording import counted


class LateRow(NamedTuple):
    """A row of a straggler part: the owner of the part vouches for it.

    Attributes:
        unit: The unit of its partition.
        owner: The unit that owns its part.
    """

    unit: Unit
    owner: Unit
    digest: bytes
    event_id: str
    part: str
    row: int


@dataclass
class PartitionScan:
    """What is in a partition.

    Attributes:
        rows: The digests of its rows, of the places that are looked at.
        keys: The keys of its parts, by the numbers in ``rows``.
        own: The numbers of those that the unit itself owns.
        late: The rows of the others.
        own_rows: How many rows of its own each place has that is looked at.
        damaged: Whether a part of its own could not be read.
        amounts: How much was read.
    """

    rows: RowDigests = field(default_factory=RowDigests)
    keys: list[str] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    late: list[LateRow] = field(default_factory=list)
    own_rows: Counter[Place] = field(default_factory=Counter)
    damaged: bool = False
    amounts: Amounts = field(default_factory=Amounts)


class PartitionReader:
    """Reads the partitions of a dataset."""

    def __init__(
        self,
        dataset: ReadStore,
        receipts: StateReader,
        layout: PartitionLayout,
        masks: Masks,
        holds: Callable[[str, str], bool],
    ) -> None:
        """``holds`` says whether the rows of a place are looked at."""
        self._dataset, self._receipts = dataset, receipts
        self._layout, self._masks, self._holds = layout, masks, holds

    def entries(self, unit: Unit) -> list[Entry]:
        """The objects in the partition of a unit."""
        return list(self._dataset.files(partition(unit, self._layout)))

    def missing(self, unit: Unit, receipt: Receipt, own: list[Entry]) -> Iterator[Finding]:
        """The parts of a receipt that are gone or have another size."""
        sizes = {entry.key: entry.size for entry in own}
        listed = {unit}
        for part in receipt.parts:
            target = unit_of(part.key)
            if target is not None and target not in listed:
                sizes |= {entry.key: entry.size for entry in self.entries(target)}
                listed.add(target)
            size = sizes.get(part.key)
            if size is None:
                what = f"its receipt names it, with {counted(part.rows, 'row')}; it is not there"
                yield Finding(kind=Kind.PART_MISSING, unit=unit.name, part=part.key, what=what)
            elif size != part.bytes and target != unit:  # those of the unit are read
                what = f"it has {counted(size, 'byte')}, and {part.bytes:,} by its receipt"
                yield Finding(kind=Kind.PART_ALTERED, unit=unit.name, part=part.key, what=what)

    def scan(
        self, unit: Unit, receipt: Receipt | None, own: list[Entry], scan: PartitionScan
    ) -> Iterator[Finding]:
        """Read all parts of a partition; what is in them goes to ``scan``."""
        for entry in own:
            owner = owner_of(entry.key, unit.day)
            if owner is None:
                what = "it is not named like a part, and readers read it all the same"
                yield _about(Kind.PART_UNKNOWN, unit, entry, what)
                continue
            is_own = owner.day == unit.day
            by = receipt if is_own else self._of_owner(unit.on(owner.day))
            if by is None and not is_own:
                what = f"it is owned by {unit.on(owner.day).name}, which has no receipt"
                yield _about(Kind.PART_UNKNOWN, unit, entry, what)
            number = len(scan.keys)
            scan.keys.append(entry.key)
            if is_own:
                scan.own.add(number)
            try:
                with opened(self._dataset, entry) as part:
                    yield from _against(by, unit, unit.on(owner.day), entry, part)
                    own_masks = Masks(rules_of(by.settings if by else {}, "redact"))
                    rows = part.rows(unit, self._masks, own_masks)
                    yield from self._rows(unit, unit.on(owner.day), number, entry, rows, scan)
                    scan.amounts.add(Amounts(parts=1, rows=part.count, bytes=part.size))
            except StorageError as error:
                scan.damaged = True
                yield _about(Kind.UNREADABLE, unit, entry, error.what)
            except DAMAGE as error:
                scan.damaged = True
                reason = str(error).partition("\n")[0] or type(error).__name__
                yield _about(Kind.PART_DAMAGED, unit, entry, reason)
                yield from self._altered_bytes(by, unit, entry)

    def _of_owner(self, owner: Unit) -> Receipt | None:
        return self._receipts.noted(owner).receipt

    def _altered_bytes(self, by: Receipt | None, unit: Unit, entry: Entry) -> Iterator[Finding]:
        named = part_named(by, entry.key)
        if by is not None and named is None:
            yield _about(Kind.PART_UNKNOWN, unit, entry, "no receipt names it")

    def _rows(  # noqa: PLR0913, PLR0917
        self,
        unit: Unit,
        owner: Unit,
        number: int,
        entry: Entry,
        rows: Iterable[Row],
        scan: PartitionScan,
    ) -> Iterator[Finding]:
        for row in rows:
            if owner == unit and self._holds(*row.place):
                scan.own_rows[row.place] += 1
            if row.digest and self._holds(*row.place):
                scan.rows.add(row.digest, number, row.number)
                if owner != unit:
                    scan.late.append(
                        LateRow(unit, owner, row.digest, row.event_id, entry.key, row.number)
                    )
            if row.fault or row.unredacted:
                kind = Kind.ROW_MISPLACED if row.is_readable else Kind.ROW_UNREADABLE
                what = row.fault
                if not what:
                    kind = Kind.NOT_REDACTED
                    what = f"{row.unredacted} holds a value that a rule of its settings redacts"
                yield Finding(
                    kind=kind,
                    unit=unit.name,
                    part=entry.key,
                    row=row.number,
                    event_id=row.event_id,
                    what=what,
                )


def _against(
    receipt: Receipt | None, unit: Unit, owner: Unit, entry: Entry, part: OpenPart
) -> Iterator[Finding]:
    """Compare a part with what the receipt of its owner says of it."""
    if part.footer.get("owner") != owner.name:
        what = f"its footer says that it is owned by {part.footer.get('owner') or 'nobody'}"
        yield _about(Kind.PART_ALTERED, unit, entry, what)
    if receipt is None:
        return
    named = part_named(receipt, entry.key)
    if named is None:
        what = f"the receipt of {owner.name} does not name it"
        yield _about(Kind.PART_UNKNOWN, unit, entry, what)
        return
    if part.size != named.bytes:
        what = f"it has {counted(part.size, 'byte')}, and {named.bytes:,} by its receipt"
        yield _about(Kind.PART_ALTERED, unit, entry, what)
    elif not named.sha256:
        what = "its receipt has no SHA-256, as those of older versions and those that were rebuilt"
        yield _about(Kind.UNHASHED, unit, entry, f"{what}; size and rows agree")
    elif part.sha256 != named.sha256:
        what = f"its SHA-256 is {part.sha256}, and {named.sha256} by its receipt"
        yield _about(Kind.PART_ALTERED, unit, entry, what)
    if part.count != named.rows:
        what = f"it has {counted(part.count, 'row')}, and {named.rows:,} by its receipt"
        yield _about(Kind.PART_ALTERED, unit, entry, what)
    if not (receipt.additions or receipt.kept or receipt.rebuilt):
        yield from (
            _about(Kind.PART_ALTERED, unit, entry, what) for what in _footer(receipt, part.footer)
        )


def _footer(receipt: Receipt, footer: dict[str, str]) -> Iterator[str]:
    """How a footer disagrees with the receipt of the run that wrote the part, in words."""
    if footer.get("source_fingerprint") != receipt.source_fingerprint:
        yield "its footer has another fingerprint of the log files than its receipt"
    if footer.get("schema_version") != str(receipt.schema_version):
        yield "its footer has another schema version than its receipt"
    try:
        settings = json.loads(footer.get("settings", ""))
    except ValueError:
        settings = None
    if settings != receipt.settings:
        yield "its footer has other settings than its receipt"


def _about(kind: Kind, unit: Unit, entry: Entry, what: str) -> Finding:
    return Finding(kind=kind, unit=unit.name, part=entry.key, what=what)


def ids_of(dataset: ReadStore, key: str) -> pa.Array:
    """The ``eventID`` of each row of a part."""
    with dataset.open(key) as file:
        return pq.read_table(file, columns=["eventID"])["eventID"].combine_chunks()
