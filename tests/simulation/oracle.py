"""Judges what stands, from what was delivered; it asks nothing of the converter.

At the end each record stands once for each place that it was delivered to, in the partition of its
day. None of that depends on the layout, so every layout has the same rows. The receipts are true,
also in what they say of each place, and nothing is left over.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from cloudtrail_parquet.settings.settings import Settings
from tests.simulation import figures
from tests.simulation.deliveries import Deliveries, LogFile, Place, Record
from tests.simulation.figures import Json
from tests.simulation.keys import PartName, Unit, part_name, span_of, state_name
from tests.simulation.parts import HeldRow, read_rows
from tests.simulation.s3 import Bucket
from tests.simulation.watch import Watch, parsed


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
        self._rows_of: dict[str, Counter[Place]] = defaultdict(Counter)  # by part
        self._layout = self._settings.partition_layout
        self._sourced = dict[Unit, bool]()
        self._kept = {unit for unit, receipt in watch.receipts.items() if receipt.get("kept")}

    def problems(self) -> Iterator[str]:
        """All that is wrong."""
        yield from self._rows()
        for place in self._deliveries.habits.layouts:
            yield from self._lost(place, lambda _: True, [self._settings])
            yield from self._lost_again(place)
            for serial, rows in self._standing[place].items():
                yield from self._copies(self._deliveries.records[serial], rows)
        for unit, receipt in self._watch.receipts.items():
            yield from (f"RECEIPT of {unit}: {what}" for what in self._receipt(unit, receipt))
        yield from self._left_over()

    def lost(self, deadly: Collection[Place] = ()) -> Iterator[str]:
        """What daily runs alone should have done: all that came when its name says it did.

        Daily runs do not look again at days long past when a rule discards less than before.

        Args:
            deadly: Places whose log files ended each process that read them, for a while; all
                others are done nevertheless.
        """
        yield from self._rows()
        for unit, receipt in self._watch.receipts.items():
            came = (file for file in self._window(unit) if file.in_time and not file.gone)
            if not receipt["settled"] and any(came) and not any(map(unit.holds, deadly)):
                yield f"RECEIPT of {unit}: not settled"
        for place in self._deliveries.habits.layouts:
            if place not in deadly:
                yield from self._lost(place, lambda file: file.in_time, self._past)

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
            rows = read_rows(held.data)
            if any(one.place > other.place for one, other in pairwise(rows)):
                yield f"OUT OF ORDER: {key} has {[str(row.place) for row in rows]}"
            for row in rows:
                place = _place(name, row)
                self._rows_of[key][place] += 1
                if row.serial not in delivered[place]:
                    yield f"INVENTED: {key} has record {row.serial} of {place}, to which none came"
                    continue
                day = self._deliveries.records[row.serial].day
                if day != name.target.day:
                    yield f"WRONG DAY: {key} has record {row.serial} of {day}"
                self._standing[place][row.serial].append(Row(key, name.owner, row.redacted))

    def _lost(
        self, place: Place, counts: Callable[[LogFile], bool], rules: list[Settings]
    ) -> Iterator[str]:
        """Records of some log files that stand nowhere, although no rule discards them."""
        wanted = {
            record.serial: record
            for file in filter(counts, self._deliveries.readable(place))
            for record in file.records
            if self._owner(file, record) not in self._kept
        }
        for serial, record in wanted.items():
            is_discarded = any(_is_discarded(record, settings) for settings in rules)
            if serial not in self._standing[place] and not is_discarded:
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
            if name is not None and name.target.holds(place):
                stood.update(row.serial for row in read_rows(data) if _place(name, row) == place)
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
        day = file.owner(record, settings.lookbehind_s, settings.lookahead_s)
        return Unit(span_of(file.place, self._layout), day)

    # Receipts, and what lies beside them.

    def _window(self, unit: Unit) -> list[LogFile]:
        behind, ahead = self._settings.lookbehind_s, self._settings.lookahead_s
        return [
            file
            for file in self._deliveries.files.values()
            if unit.holds(file.place) and file.is_of(unit.day, behind, ahead)
        ]

    def _receipt(self, unit: Unit, receipt: Json) -> Iterator[str]:
        yield from self._watch.differences(unit, receipt)
        yield from self._counts(unit, receipt)
        files = self._window(unit)
        gone = [file for file in files if file.gone]
        if receipt.get("kept"):
            was_refused = self._is_damaged and "may not be listed" in receipt["kept"]
            if not gone and not was_refused:  # then nobody knew which log files it was made of
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
        if not gone:
            yield from self._places(receipt, files)

    def _places(self, receipt: Json, files: list[LogFile]) -> Iterator[str]:
        """What the table of places says otherwise than the window and the parts."""
        rows, listed = figures.table(receipt), Counter(file.place for file in files)
        if {place: row.files for place, row in rows.items()} != listed:
            yield f"its places are {rows}, but its window has {dict(listed)}"
        parts = [part["key"] for part in receipt["parts"]]
        standing = sum((self._rows_of[key] for key in parts), Counter[Place]())
        told = {
            place: row.counts["written"] + row.counts["straggled"] for place, row in rows.items()
        }
        if +Counter(told) != standing:
            yield f"its places have {told} rows, but its parts {dict(standing)}"

    @staticmethod
    def _counts(unit: Unit, receipt: Json) -> Iterator[str]:
        records, rows = receipt["records"], Counter[bool]()
        for part in receipt["parts"]:
            name = part_name(part["key"])
            rows[name is not None and name.target == unit] += part["rows"]
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
        if key == "dataset.json" or key.startswith("ledger/"):  # see `program.ledger_is_true`
            return True
        if key.startswith("leases/"):
            # Of a run that was killed: the next run that wants it takes it over, at no cost.
            return datetime.fromisoformat(json.loads(data)["expires"]) < self._now
        if key.startswith("attempts/"):
            return True  # of one that was killed; the daily run removes it later
        found = state_name(key)
        if found is None:
            return False
        kind, unit, rest = found
        if kind == "shards" and rest.endswith(".json"):
            receipt = parsed(data) or {"parts": []}  # damaged, it is replaced by the next split
            return all(named[part["key"]] == 1 for part in receipt["parts"])
        told = unit in self._watch.receipts or self._may_lack_a_receipt(unit)
        is_empty = all(file.gone for file in self._deliveries.files.values())
        may_stay = {
            "receipts": told,
            # The receipt beside it may have been removed; or a run was not to come to that.
            "identities": told or self._is_damaged or not self._has_source(unit),
            "intents": is_empty,  # without any log file plans fail, so nobody completes it
            "shards": is_empty,
            "cuts": True,  # so that no shard of an older one comes after all
        }
        return may_stay.get(kind, False)

    def _may_lack_a_receipt(self, unit: Unit) -> bool:
        return self._is_damaged and not self._has_source(unit)


def _place(part: PartName, row: HeldRow) -> Place:
    """The place of a row: from the part's folder where that has it, else from its columns."""
    account, region = (
        folder + column for folder, column in zip(part.target.span, row.place, strict=True)
    )
    return Place(account, region)


def _is_discarded(record: Record, settings: Settings) -> bool:
    return any(record.name in rule.eventName for rule in settings.discard)
