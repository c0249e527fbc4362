"""Judges what stands, from what was delivered; it asks nothing of the converter.

At every change of the dataset or the state: where a receipt says that a unit is final and nothing
marks the unit as being replaced, the unit's parts are those of the receipt, or a plan finds it; and
what a run has written is not touched by an older run of the same unit. At the end: each record
stands once in its day, the receipts are true, and nothing is left over.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from cloudtrail_parquet.settings.settings import Settings
from tests.simulation.deliveries import SECRET, Deliveries, LogFile, Place, Record
from tests.simulation.s3 import Bucket, Change
from tests.simulation.scheduler import Actor

_FOLDER = (
    r"account=(?P<account>\d{12})/region=(?P<region>[a-z0-9-]+)"
    r"/year=(?P<year>\d{4})/month=(?P<month>\d\d)/day=(?P<day>\d\d)"
)
_PART = re.compile(_FOLDER + r"/(?:part|straggler-(?P<owner>\d{8}))-(?:\d\dof\d\d-)?\d{5}\.parquet")
_STATE = re.compile(r"(?P<kind>[a-z/]+)/" + _FOLDER + r"(?P<rest>[./].*)")

Json = dict[str, Any]


class Unit(NamedTuple):
    """An account, a region and a day, as the oracle reads them from keys."""

    place: Place
    day: date

    def __str__(self) -> str:
        return f"{self.place} {self.day}"


class PartName(NamedTuple):
    """What the key of a part says: in whose partition it lies, and whose it is."""

    target: Unit
    owner: Unit


@lru_cache(10_000)
def part_name(key: str) -> PartName | None:
    """What the key of a part says; None for any other key."""
    match = _PART.fullmatch(key)
    if match is None:
        return None
    target, owner = _unit(match), match["owner"]
    own = date(int(owner[:4]), int(owner[4:6]), int(owner[6:])) if owner else target.day
    return PartName(target, target._replace(day=own))


@lru_cache(10_000)
def state_name(key: str) -> tuple[str, Unit, str] | None:
    """The kind, the unit and the end of a key of the state; None for one of another form."""
    match = _STATE.fullmatch(key)
    return (match["kind"], _unit(match), match["rest"]) if match else None


def _unit(match: re.Match[str]) -> Unit:
    day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    return Unit(Place(match["account"], match["region"]), day)


def _parsed(text: bytes) -> Json | None:
    """A receipt, if it is one: somebody may have damaged it."""
    try:
        receipt: Json = json.loads(text)
    except ValueError:
        return None
    return receipt if "settled" in receipt else None


@lru_cache(5_000)
def rows_in(data: bytes) -> int:
    """How many rows a part has, by its footer."""
    rows: int = pq.read_metadata(BytesIO(data)).num_rows
    return rows


@lru_cache(2_000)
def read_rows(data: bytes) -> list[tuple[int, bool]]:
    """The rows of a part: their records' serials, and whether these are redacted."""
    table = pq.read_table(BytesIO(data), columns=["userAgent", "requestParameters"])
    agents, texts = (column.to_pylist() for column in table.columns)
    return [
        (int(agent.partition("/")[2]), "password" in text and SECRET not in text)
        for agent, text in zip(agents, texts, strict=True)
    ]


def _is_same(change: Change) -> bool:
    """Whether an object was replaced by the same bytes."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.data == after.data


class _Terms:
    """Who held the lease of a unit's partition when: a term ends when somebody else takes it."""

    def __init__(self) -> None:
        self._holders: dict[Unit, Actor | None] = {}
        self._numbers: Counter[Unit] = Counter()
        self._last: dict[tuple[Unit, Actor | None], int] = {}
        self._written_in: dict[str, int] = {}

    def see(self, unit: Unit, change: Change) -> None:
        """Look at a change of a unit's lease."""
        if change.after is None:
            return
        if self._holders.get(unit) is not change.actor:
            self._holders[unit] = change.actor
            self._numbers[unit] += 1
        self._last[unit, change.actor] = self._numbers[unit]

    def is_too_late(self, unit: Unit, change: Change) -> bool:
        """Whether a part that goes was written in a later term than that of who takes it away."""
        term, written = self._last.get((unit, change.actor), 0), self._written_in
        late = change.before is not None and written.get(change.key, 0) > term
        if change.after is None:
            written.pop(change.key, None)
        elif not (late and _is_same(change)):
            written[change.key] = term
        if change.actor is None or _is_same(change):  # it was not a run, or nobody can tell
            return False
        return late


@dataclass
class Watch:
    """Looks at every change.

    Attributes:
        fail: Is told what is wrong.
        is_outdated: Says whether a plan finds a unit.
        history: All parts that have ever been put: their keys and bytes.
        receipts: Those that there are.
    """

    fail: Callable[[str], None]
    is_outdated: Callable[[Unit], bool]
    history: list[tuple[str, bytes]] = field(default_factory=list)
    receipts: dict[Unit, Json] = field(default_factory=dict)
    _parts: dict[Unit, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    _markers: dict[Unit, set[str]] = field(default_factory=lambda: defaultdict(set))
    _terms: _Terms = field(default_factory=_Terms)

    def dataset(self, change: Change) -> None:
        """Look at a change of the dataset."""
        name = part_name(change.key)
        if name is None:
            self.fail(f"{change.key} is not the key of a part")
            return
        if self._terms.is_too_late(name.owner, change):
            who = change.actor.name if change.actor else ""
            act = "overwritten" if change.after else "removed"
            self.fail(f"{change.key} of a newer run of {name.owner} was {act} by {who}")
        parts = self._parts[name.owner]
        if change.after is None:
            parts.pop(change.key, None)
        else:
            parts[change.key] = change.after.data
            self.history.append((change.key, change.after.data))
        self._check(name.owner)

    def state(self, change: Change) -> None:
        """Look at a change of the state."""
        found = state_name(change.key)
        if found is None:
            return
        kind, unit, rest = found
        match kind:
            case "leases/partitions":
                self._terms.see(unit, change)
            case "receipts":
                receipt = _parsed(change.after.data) if change.after else None
                self.receipts.pop(unit, None)
                if receipt is not None:
                    self.receipts[unit] = receipt
            case "intents" | "shards" if kind == "intents" or rest.endswith(".intent"):
                act = self._markers[unit].add if change.after else self._markers[unit].discard
                act(change.key)
        self._check(unit)

    def _check(self, unit: Unit) -> None:
        """Compare a receipt that says that its unit is final with what stands."""
        receipt = self.receipts.get(unit)
        if receipt is None or self._markers[unit]:
            return
        if not receipt["settled"] or receipt["status"] != "complete":
            return
        wrong = "; ".join(self.differences(unit, receipt))
        if wrong and not self.is_outdated(unit):
            self.fail(f"UNSEEN: {unit} is final by its receipt and found by no plan, but {wrong}")

    def differences(self, unit: Unit, receipt: Json) -> Iterator[str]:
        """What a receipt says of parts that is not so."""
        standing = self._parts[unit]
        named = {part["key"]: part for part in receipt["parts"]}
        for key, part in named.items():
            if key not in standing:
                yield f"{key} is missing"
            elif len(standing[key]) != part["bytes"]:
                yield f"{key} has {len(standing[key])} bytes and not {part['bytes']}"
            elif rows_in(standing[key]) != part["rows"]:
                yield f"{key} has {rows_in(standing[key])} rows and not {part['rows']}"
        yield from (f"{key} is not in the receipt" for key in standing.keys() - named.keys())


class Row(NamedTuple):
    """A row that stands: in which part, whose that is, and whether its password is redacted."""

    part: str
    owner: Unit
    redacted: bool


class Verdict:
    """What is wrong at the end of a story."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        deliveries: Deliveries,
        watch: Watch,
        dataset: Bucket,
        state: Bucket,
        past: list[Settings],
        now: datetime,
        *,
        is_damaged: bool,
    ) -> None:
        """Judge.

        Args:
            deliveries: What was delivered.
            watch: What has been seen.
            dataset: Where the parts are.
            state: Where the receipts are.
            past: All settings that ever were in force, the present ones last.
            now: The time.
            is_damaged: Whether somebody has damaged the state. Then what has no log files any more
                may be without a receipt: nothing can make one.
        """
        self._is_damaged = is_damaged
        self._deliveries, self._watch = deliveries, watch
        self._dataset, self._state = dataset, state
        self._past, self._settings, self._now = past, past[-1], now
        self._standing: dict[Place, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
        self._sourced = dict[Unit, bool]()
        self._kept = {unit for unit, receipt in watch.receipts.items() if receipt.get("kept")}

    def problems(self) -> Iterator[str]:
        """All that is wrong."""
        yield from self._rows()
        for place in self._deliveries.habits.layouts:
            yield from self._lost(place, lambda _: True)
            yield from self._lost_again(place)
            for serial, rows in self._standing[place].items():
                yield from self._copies(self._deliveries.records[serial], rows)
        for unit, receipt in self._watch.receipts.items():
            yield from (f"RECEIPT of {unit}: {what}" for what in self._receipt(unit, receipt))
        yield from self._left_over()

    def lost(self) -> Iterator[str]:
        """What daily runs alone should have done: all that came when its name says it did."""
        yield from self._rows()
        for unit, receipt in self._watch.receipts.items():
            if not receipt["settled"] and self._has_source(unit):
                yield f"RECEIPT of {unit}: not settled"
        for place in self._deliveries.habits.layouts:
            yield from self._lost(place, lambda file: file.in_time)

    # Records.

    def _rows(self) -> Iterator[str]:
        """Read all rows; those that are in no right place are wrong."""
        delivered: dict[Place, set[int]] = defaultdict(set)
        for file in self._deliveries.files.values():
            delivered[file.place].update(record.serial for record in file.records)
        for key, held in self._dataset.objects.items():
            name = part_name(key)
            if name is None:
                continue  # `_left_over` tells
            for serial, redacted in read_rows(held.data):
                if serial not in delivered[name.target.place]:
                    yield f"INVENTED: {key} has record {serial}, which never came there"
                    continue
                day = self._deliveries.records[serial].day
                if day != name.target.day:
                    yield f"WRONG DAY: {key} has record {serial} of {day}"
                row = Row(key, name.owner, redacted)
                self._standing[name.target.place][serial].append(row)

    def _lost(self, place: Place, counts: Callable[[LogFile], bool]) -> Iterator[str]:
        """Records of some log files that stand nowhere."""
        wanted = {
            record.serial: record
            for file in filter(counts, self._deliveries.readable(place))
            for record in file.records
            if self._owner(file, record) not in self._kept
        }
        for serial, record in wanted.items():
            if serial not in self._standing[place] and not _is_discarded(record, self._settings):
                yield f"LOST: {place} record {serial} of {record.day}"

    def _lost_again(self, place: Place) -> Iterator[str]:
        """Records whose log files have gone, and that stood before, but do no more."""
        missing = {
            record.serial: record
            for file in self._deliveries.files.values()
            if file.place == place and file.gone
            for record in file.records
            if record.serial not in self._standing[place]
            and not any(_is_discarded(record, settings) for settings in self._past)
        }
        stood = set[int]()
        for key, data in self._watch.history if missing else ():
            name = part_name(key)
            if name is not None and name.target.place == place:
                stood.update(serial for serial, _ in read_rows(data))
        for serial in sorted(stood & missing.keys()):
            yield f"LOST: {place} record {serial} of {missing[serial].day}, which stood once"

    def _copies(self, record: Record, rows: list[Row]) -> Iterator[str]:
        """A record stands once, as the rules say; what cannot be made again is as it was."""
        free = [row for row in rows if row.owner not in self._kept and self._has_source(row.owner)]
        differ = len({row.redacted for row in rows}) > 1
        if len(rows) > 1 and not (differ and len(free) < len(rows)):
            parts = ", ".join(row.part for row in rows)
            yield f"DOUBLED: record {record.serial} of {record.day} in {parts}"
        for row in free:
            if _is_discarded(record, self._settings):
                yield f"NOT DISCARDED: record {record.serial} in {row.part}"
            elif record.secret and row.redacted != bool(self._settings.redact):
                what = "REDACTED" if row.redacted else "NOT REDACTED"
                yield f"{what}: record {record.serial} in {row.part}"

    def _has_source(self, unit: Unit) -> bool:
        """Whether any of a unit's log files is left."""
        if unit not in self._sourced:
            self._sourced[unit] = any(not file.gone for file in self._window(unit))
        return self._sourced[unit]

    def _owner(self, file: LogFile, record: Record) -> Unit:
        settings = self._settings
        return Unit(file.place, file.owner(record, settings.lookbehind_s, settings.lookahead_s))

    # Receipts, and what lies beside them.

    def _window(self, unit: Unit) -> list[LogFile]:
        behind, ahead = self._settings.lookbehind_s, self._settings.lookahead_s
        return [
            file
            for file in self._deliveries.files.values()
            if file.place == unit.place and file.is_of(unit.day, behind, ahead)
        ]

    def _receipt(self, unit: Unit, receipt: Json) -> Iterator[str]:
        yield from self._watch.differences(unit, receipt)
        yield from self._counts(unit, receipt)
        files = self._window(unit)
        gone = [file for file in files if file.gone]
        if receipt.get("kept"):
            if not gone:
                yield f"kept ({receipt['kept']}), but nothing is gone from the source"
            return
        if len(gone) == len(files):
            return  # so it stays as it is
        if not receipt["settled"]:
            yield "not settled"
        if receipt["status"] != "complete" and not any(file.damaged for file in files):
            yield f"{receipt['status']}, but all log files are whole: {receipt['quarantined']}"
        if not gone and receipt["files"]["listed"] != len(files):
            yield f"{receipt['files']['listed']} log files, but its window has {len(files)}"

    @staticmethod
    def _counts(unit: Unit, receipt: Json) -> Iterator[str]:
        records, rows = receipt["records"], Counter[bool]()
        for part in receipt["parts"]:
            name = part_name(part["key"])
            rows[name is not None and name.target == unit] += part["rows"]
        if records["read"] != sum(records.values()) - records["read"]:
            yield f"its counts do not add up: {records}"
        if rows[True] != records["written"]:
            yield f"{records['written']} records written, but its parts have {rows[True]} rows"
        if not rows[False] == records["straggled"] == sum(receipt["stragglers"].values()):
            yield f"{records['straggled']} stragglers, but its parts have {rows[False]} rows"

    def _left_over(self) -> Iterator[str]:
        named = Counter(
            part["key"] for receipt in self._watch.receipts.values() for part in receipt["parts"]
        )
        for key in self._dataset.objects:
            name = part_name(key)
            if named[key] != 1 and not (name and self._may_lack_a_receipt(name.owner)):
                yield f"LEFT OVER: {key} is in {named[key]} receipts"
        for key, held in self._state.objects.items():
            if not self._may_stay(key, held.data, named):
                yield f"LEFT OVER: state {key}: {held.data[:200]!r}"

    def _may_stay(self, key: str, data: bytes, named: Counter[str]) -> bool:
        if key == "dataset.json":
            return True
        if key.startswith("leases/"):
            # Of a run that was killed: the next run that wants it takes it over, at no cost.
            return datetime.fromisoformat(json.loads(data)["expires"]) < self._now
        found = state_name(key)
        if found is None:
            return False
        kind, unit, rest = found
        if kind == "shards" and rest.endswith(".json"):
            receipt = _parsed(data) or {"parts": []}  # damaged, it is replaced by the next split
            return all(named[part["key"]] == 1 for part in receipt["parts"])
        if (
            kind == "identities" and self._is_damaged
        ):  # the receipt beside it may be what was removed
            return True
        told = unit in self._watch.receipts or self._may_lack_a_receipt(unit)
        return kind in {"receipts", "identities"} and told

    def _may_lack_a_receipt(self, unit: Unit) -> bool:
        return self._is_damaged and not self._has_source(unit)


def _is_discarded(record: Record, settings: Settings) -> bool:
    return any(record.name in rule.eventName for rule in settings.discard)
