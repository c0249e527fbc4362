"""How the generated records of one account and region reach their log files.

Events are planned a day at a time, as times only; a record is drawn when its delivery comes. So
memory holds one delivery, one day of times and the copies under way, whatever the unit's size.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, pairwise
from math import isqrt
from random import Random
from typing import NamedTuple

from cloudtrail_parquet.sample_logs.actors import Site
from cloudtrail_parquet.sample_logs.draws import chance, pick
from cloudtrail_parquet.sample_logs.events import FIELD_SINCE, VERSIONS, encode_record, make_record
from cloudtrail_parquet.sample_logs.tree import SLOT_S, Tree, log_file_path

DAY_S = 86_400

_SLOTS_A_DAY = DAY_S // SLOT_S
_MIN_DELAY_S = 3  # the shortest seen in real files; the longest is two slots
_LATE_AFTER_S = 3 * 3600  # after the end of the event day: outside any usual window
_MAX_LATE_S = 40 * DAY_S
_MAX_LATE_BATCH = 60
_MAX_RECORDS_A_FILE = 1_500  # larger deliveries come as several files
_BURST_WINDOW = 14 * 12  # in the afternoon
_USUAL_RECORDS_A_WINDOW = 600  # about 400 a file, since a window may need two deliveries
_FEW_WINDOWS = 12
# Deliveries: half of every 16th goes through the account's own trail.
_ACCOUNT_TRAIL_EVERY = 16
_LATE_COPIES = 0.1
_DEFERRED = (0.0, 0.0, 0.75)  # by window: share that misses the next stamp; median delay 200 s
# UTC hours of one working day: quiet nights, a peak in the early afternoon.
_HOUR_WEIGHTS = (3, 2, 2, 2, 2, 3, 5, 8, 12, 15, 16, 16, 15, 17, 18, 17, 15, 12, 9, 7, 6, 5, 4, 4)
_WEEKDAY_WEIGHTS = (10, 10, 11, 10, 9, 5, 4)
_ADDENDUM_VERSIONS = frozenset(VERSIONS[FIELD_SINCE["addendum"] :])


def seeded(*scope: object) -> Random:
    """Randomness of one part of a tree; text seeds go through SHA-512, alike on any machine."""
    return Random("/".join(map(str, scope)))  # noqa: S311 - made-up data, no secrets


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Whole shares by weight that add up to the total."""
    whole = sum(weights)
    marks = [total * mark // whole for mark in accumulate(weights, initial=0)]
    return [high - low for low, high in pairwise(marks)]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPlan:
    """An account in a region, with its share of the tree.

    Attributes:
        account: Twelve digits, as text.
        region: Region code.
        seed: The tree's.
        first_day: First event day, UTC.
        days: Event days.
        records: All its distinct records.
        late: Those of them that come late.
        burst: Those of them that come in one large file.
        duplicates: Share of the records that are delivered twice.
        own_trail: The account has a trail of its own, beside the organization's.
    """

    account: str
    region: str
    seed: int
    first_day: date
    days: int
    records: int
    late: int
    burst: int
    duplicates: float
    own_trail: bool


@dataclass(slots=True)
class Tally:
    """What readers can find, counted while files are written; ``Truth`` has the same names.

    Attributes:
        late: Distinct readable records of which every readable copy came late.
        duplicates: Further readable copies.
        lost: Distinct records without a readable copy.
        units: Distinct readable records by account, region and event day (days since 1970).
    """

    late: int = 0
    duplicates: int = 0
    lost: int = 0
    units: Counter[tuple[str, str, int]] = field(default_factory=Counter)


class _Row(NamedTuple):
    """One copy of a record, on its way into a file.

    Attributes:
        text: The record's JSON.
        event_s: Event time, seconds since 1970.
        own_trail: Goes through the account's own trail.
        earlier: Whether the copy that came before is readable; None for a first copy.
    """

    text: bytes
    event_s: int
    own_trail: bool
    earlier: bool | None = None


@dataclass(slots=True)
class _Delivery:
    """What a five-minute stamp will deliver: event times of new records, and second copies."""

    events: list[int] = field(default_factory=list)
    burst: list[int] = field(default_factory=list)
    copies: list[_Row] = field(default_factory=list)


class Courier:
    """Delivers the records of one unit, stamp by stamp, so that little is held at any time."""

    def __init__(self, unit: UnitPlan, tree: Tree, tally: Tally, versions: Iterator[str]) -> None:
        self._unit = unit
        self._tree = tree
        self._tally = tally
        self._versions = versions
        self._rng = seeded(unit.seed, unit.account, unit.region)
        self._site = Site(self._rng, unit.account, unit.region)
        self._queue: defaultdict[int, _Delivery] = defaultdict(_Delivery)
        self._late_copies_slots: dict[int, int | None] = {}
        self._first_day = (unit.first_day - date(1970, 1, 1)).days
        self._clock = self._first_day * _SLOTS_A_DAY
        self._deliveries = 0

    def run(self) -> None:
        """Write all files of the unit."""
        unit = self._unit
        weights = [
            _WEEKDAY_WEIGHTS[(unit.first_day + timedelta(days=n)).weekday()]
            for n in range(unit.days)
        ]
        self._plan_late(weights[:-1] or weights)
        usual = split(unit.records - unit.late - unit.burst, weights)
        for number, records in enumerate(usual):
            day = self._first_day + number
            self._plan_day(day, records)
            if number == unit.days // 2:
                self._plan_burst(day)
            self._deliver_until((day + 1) * _SLOTS_A_DAY)
        while self._queue:
            self._deliver_until(self._clock + 1)

    def _plan_day(self, day: int, records: int) -> None:
        rng = self._rng
        windows = _active_windows(rng, records)
        weights = [_HOUR_WEIGHTS[window // 12] * rng.randrange(1, 9) for window in windows]
        for window, count in zip(windows, split(records, weights), strict=True):
            slot = day * _SLOTS_A_DAY + window + 1
            deferred = pick(rng, _DEFERRED)
            for _ in range(count):
                event_s = slot * SLOT_S - 1 - int(rng.random() * SLOT_S)
                wait = slot * SLOT_S - event_s < _MIN_DELAY_S or chance(rng, deferred)
                self._queue[slot + wait].events.append(event_s)

    def _plan_burst(self, day: int) -> None:
        slot = day * _SLOTS_A_DAY + _BURST_WINDOW + 1
        latest = slot * SLOT_S - _MIN_DELAY_S
        events = [latest - int(self._rng.random() * 290) for _ in range(self._unit.burst)]
        if events:
            self._queue[slot].burst = events

    def _plan_late(self, weights: Sequence[int]) -> None:
        """Hold records back as outages do: batches of up to an hour, each delivered at once."""
        rng = self._rng
        for number, records in enumerate(split(self._unit.late, weights)):
            day = self._first_day + number
            left = records
            while left:
                batch = min(left, rng.randrange(1, _MAX_LATE_BATCH))
                slot = self._pick_late(self._late_slots(day))
                start = day * DAY_S + rng.randrange(DAY_S - 3600)
                self._queue[slot].events += [start + rng.randrange(3600) for _ in range(batch)]
                left -= batch

    def _late_slots(self, day: int) -> range:
        """Stamps for late records of that day: outside its window, within 40 days, in the tree.

        The last of several days has none. A tree of one day has nothing after it, so there the
        stamps lie behind the tree's range.
        """
        first = ((day + 1) * DAY_S + _LATE_AFTER_S) // SLOT_S
        end = (day * DAY_S + _MAX_LATE_S) // SLOT_S
        if self._unit.days > 1:
            end = min(end, (self._first_day + self._unit.days) * _SLOTS_A_DAY)
        return range(first, end)

    def _pick_late(self, slots: range) -> int:
        draw = self._rng.random()
        return slots[int(len(slots) * draw * draw)]  # hours and days are likelier than weeks

    def _late_copies_slot(self, day: int) -> int | None:
        """One stamp for all late copies of a day's records, which come back together."""
        if day not in self._late_copies_slots:
            slots = self._late_slots(day)
            self._late_copies_slots[day] = self._pick_late(slots) if slots else None
        return self._late_copies_slots[day]

    def _deliver_until(self, end: int) -> None:
        while self._clock < end:
            delivery = self._queue.pop(self._clock, None)
            if delivery is not None:
                self._deliver(delivery)
            self._clock += 1

    def _deliver(self, delivery: _Delivery) -> None:
        rng = self._rng
        rows = self._new_rows(delivery.events) + delivery.copies
        if chance(rng, 0.4):  # order is not promised; so many files happen to be sorted
            rows.sort(key=lambda row: row.event_s)
        copies_slot = self._clock + pick(rng, (1, 1, 1, 2, 4))
        for own_trail in (False, True):
            part = [row for row in rows if row.own_trail is own_trail]
            files = -(-len(part) // _MAX_RECORDS_A_FILE)
            for number in range(files):
                self._deliver_file(part[number::files], copies_slot, own_trail=own_trail)
        if delivery.burst:
            self._deliver_file(self._new_rows(delivery.burst), copies_slot, own_trail=False)
        self._deliveries += 1

    def _new_rows(self, events: Sequence[int]) -> list[_Row]:
        both = self._unit.own_trail and self._deliveries % _ACCOUNT_TRAIL_EVERY == 0
        return [
            _Row(self._draw_text(event_s), event_s, both and number % 2 == 0)
            for number, event_s in enumerate(events)
        ]

    def _draw_text(self, event_s: int) -> bytes:
        unit, version = self._unit, next(self._versions)
        when = datetime.fromtimestamp(event_s, UTC)
        record = make_record(self._rng, unit.account, unit.region, when, version, site=self._site)
        if self._is_late(event_s) and version in _ADDENDUM_VERSIONS and chance(self._rng, 0.5):
            record["addendum"] = {"reason": "DELIVERY_DELAY"}
        return encode_record(record)

    def _is_late(self, event_s: int) -> bool:
        return self._clock * SLOT_S >= (event_s // DAY_S + 1) * DAY_S + _LATE_AFTER_S

    def _deliver_file(self, rows: Sequence[_Row], copies_slot: int, *, own_trail: bool) -> None:
        unit, tally = self._unit, self._tally
        records = [row.text for row in rows]
        owner = None if own_trail else self._tree.organization
        path = log_file_path(unit.account, unit.region, self._clock, owner, self._rng)
        readable = self._tree.put(*path, records)
        for row in rows:
            if row.earlier is None and chance(self._rng, self._unit.duplicates):
                self._send_again(row, copies_slot, readable=readable)
            elif not readable and not row.earlier:
                tally.lost += 1
            if readable and row.earlier:
                tally.duplicates += 1
            elif readable:
                tally.units[unit.account, unit.region, row.event_s // DAY_S] += 1
                tally.late += self._is_late(row.event_s)

    def _send_again(self, row: _Row, slot: int, *, readable: bool) -> None:
        if chance(self._rng, _LATE_COPIES):
            slot = max(slot, self._late_copies_slot(row.event_s // DAY_S) or slot)
        own_trail = self._unit.own_trail and chance(self._rng, 0.5)
        self._queue[slot].copies.append(_Row(row.text, row.event_s, own_trail, readable))


def _active_windows(rng: Random, records: int) -> list[int]:
    """The five-minute windows of a day in which anything happens, in order.

    Few records come in few batches, as on a quiet account; the last window is always there, since
    its events are delivered on the next day.
    """
    count = max(min(isqrt(records) + 1, _FEW_WINDOWS), records // _USUAL_RECORDS_A_WINDOW)
    draws = [rng.random() for _ in range(_SLOTS_A_DAY)]
    # Pareto sampling (Rosén 1997): by weight, and arithmetic alone, so the same on any machine.
    ranks = [draw / (1 - draw) / _HOUR_WEIGHTS[n // 12] for n, draw in enumerate(draws)]
    ranks[-1] = -1.0
    return sorted(sorted(range(_SLOTS_A_DAY), key=ranks.__getitem__)[:count])
