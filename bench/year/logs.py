"""The log files of a planned year: a few small ones a day, most of which are written in no time.

Records are drawn once for each place, and given their times and ids when they are delivered.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from bench.year.planted import PlannedCall, PlantedGap, Year
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.sample_logs import VERSIONS, Site, encode_record, make_record
from cloudtrail_parquet.sample_logs.digests import ChainWriter, Trail, keys_of
from cloudtrail_parquet.sample_logs.digests.signing import SigningKey
from cloudtrail_parquet.sample_logs.draws import Json, uuid_text
from cloudtrail_parquet.sample_logs.tree import DAMAGE, SLOT_S, LoggedText, Tree, log_file_path

ORGANIZATION = "o-yearexampl"

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_OFFSET = timedelta(minutes=1, seconds=31)
_AROUND = 2
_TEMPLATES = 8
_EARLY, _LATE, _REPEATED = 0.1, 0.01, 0.01
"""Shares of days with a log file of the evening before, with a record of days before, and with a
record that is delivered again."""
_EARLY_AT, _A_WHILE = timedelta(minutes=10), timedelta(minutes=5)
_ID, _TIME = re.compile(rb'"eventID":"[^"]*"'), re.compile(rb'"eventTime":"[^"]*"')
_TEMPLATE_TIME = datetime(2025, 1, 1, tzinfo=UTC)


class Delivered(NamedTuple):
    """What was written.

    Attributes:
        files: Log files, damaged ones too.
        records: Distinct records in those that can be read.
        repeated: Further copies of these.
        late: How many came days late.
        digests: Digest files.
    """

    files: int
    records: int
    repeated: int
    late: int
    digests: int


@dataclass(frozen=True)
class YearLogs:
    """Writes the log files of a year below a folder.

    Attributes:
        year: What is planned.
        root: The folder that is to hold ``AWSLogs``.
    """

    year: Year
    root: Path

    def write(self) -> Delivered:
        """Write what is there when the year is converted, and digest files.

        The keys of these are beside the folder, see `sample_logs.digests.keys_of`.
        """
        tree = Tree(self.root, ORGANIZATION, 0)
        counts, texts = Counter[str](), dict[Place, list[LoggedText]]()
        for place in self.year.places:
            courier = _Courier(self.year, place, tree)
            courier.run()
            counts += courier.counts
            texts[place] = courier.texts
        counts["digests"] = self._write_digests(tree, texts)
        return Delivered(*(counts[name] for name in Delivered._fields))

    def go_on(self) -> None:
        """What happens once the year was converted: log files come, and others expire."""
        tree = Tree(self.root, ORGANIZATION, 0)
        for gap in self.year.gaps:
            if gap.cause == "never converted":
                for place, day in gap.units:
                    rng = Random(f"never/{self.year.spec.seed}/{place}/{day}")
                    drawer = _Drawer(rng, place)
                    noon = _midnight(day) + _HOUR * 12
                    tree.put(*_path(place, noon + _HOUR, rng), [drawer.draw(noon)])
            elif gap.cause == "expired":
                for place in gap.places:
                    self._expire(place, gap.first)

    def _expire(self, place: Place, before: date) -> None:
        folder = self.root / f"AWSLogs/{ORGANIZATION}/{place.account}/CloudTrail/{place.region}"
        for path in sorted(folder.rglob("*.json.gz")):
            if date(*map(int, path.relative_to(folder).parts[:3])) < before:
                path.unlink()
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def _write_digests(self, tree: Tree, texts: Mapping[Place, Sequence[LoggedText]]) -> int:
        keys, written = dict[str, SigningKey](), 0
        for gap in self.year.gaps:
            for place in gap.places if gap.has_digests else ():
                if place.region not in keys:
                    keys[place.region] = SigningKey(self.year.spec.seed, place.region)
                key = keys[place.region]
                written += _write_chain(tree, gap, place, key, texts[place])
        spec, month = self.year.spec, timedelta(days=30)
        begin, end = _midnight(spec.first_day) - month, _midnight(spec.last_day) + month
        entries = [keys[region].to_json(begin, end) for region in sorted(keys)]
        keys_of(self.root).write_bytes(msgspec.json.encode({"PublicKeyList": entries}))
        return written


def _write_chain(
    tree: Tree, gap: PlantedGap, place: Place, key: SigningKey, texts: Iterable[LoggedText]
) -> int:
    """The digest files of a gap and of the days around it; how many."""
    above = f"AWSLogs/{ORGANIZATION}/{place.account}/"
    chain = ChainWriter(tree.write, Trail(above, *place, "organization-trail"), key)
    start = _midnight(gap.first - _DAY * _AROUND) - _HOUR + _OFFSET
    by_hour = defaultdict[int, list[LoggedText]](list)
    for text in texts:
        by_hour[(text.delivered - start) // _HOUR].append(text)
    hours = (len(gap.days) + 2 * _AROUND) * 24
    for hour in range(hours):
        begin = start + _HOUR * hour
        chain.add(by_hour[hour], begin, begin + _HOUR)
    return hours


def envelope(records: Sequence[bytes]) -> bytes:
    """The text of a log file."""
    return b"".join((b'{"Records":[', b",".join(records), b"]}"))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _path(place: Place, delivered: datetime, rng: Random) -> tuple[str, str]:
    return log_file_path(*place, int(delivered.timestamp()) // SLOT_S, ORGANIZATION, rng)


class _Drawer:
    """Draws records of a place."""

    def __init__(self, rng: Random, place: Place) -> None:
        self._rng = rng
        site = Site(rng, *place)
        drawn = [
            make_record(rng, *place, _TEMPLATE_TIME, VERSIONS[-1], site=site)
            for _ in range(_TEMPLATES)
        ]
        self._plain: Json = drawn[0]
        self._templates = [encode_record(record) for record in drawn]

    def draw(self, when: datetime) -> bytes:
        """A record of a moment."""
        return self._at(self._rng.choice(self._templates), when)

    def call(self, call: PlannedCall, when: datetime) -> bytes:
        """The record of a call."""
        members: Json = {
            "eventSource": call.service,
            "eventName": call.name,
            "requestParameters": call.parameters,
            "responseElements": None,
        }
        others = ("errorCode", "errorMessage", "resources", "additionalEventData")
        kept = {name: value for name, value in self._plain.items() if name not in others}
        return self._at(encode_record({**kept, **members}), when)

    def _at(self, text: bytes, when: datetime) -> bytes:
        stamp = f'"eventTime":"{when:%Y-%m-%dT%H:%M:%SZ}"'.encode()
        name = f'"eventID":"{uuid_text(self._rng)}"'.encode()
        return _ID.sub(name, _TIME.sub(stamp, text, count=1), count=1)


class _Courier:
    """Delivers the records of a place, day by day."""

    def __init__(self, year: Year, place: Place, tree: Tree) -> None:
        self._year, self._place, self._tree = year, place, tree
        self._rng = Random(f"{year.spec.seed}/{place.account}/{place.region}")
        self._drawer = _Drawer(self._rng, place)
        self._absent = {day: gap for gap in year.gaps if place in gap.places for day in gap.days}
        self._again: dict[date, bytes] = {}
        self.texts: list[LoggedText] = []
        self.counts = Counter[str]()

    def run(self) -> None:
        """Write all log files of the place; the texts of those that are deleted later as well."""
        for number in range(self._year.spec.days):
            day = self._year.spec.first_day + _DAY * number
            gap = self._absent.get(day)
            if gap is None:
                self._deliver(day)
            elif gap.cause == "deleted":
                noon = _midnight(day) + _HOUR * 12
                path = "/".join(_path(self._place, noon, self._rng))
                self.texts.append(LoggedText.of(path, envelope([self._drawer.draw(noon)])))

    def _deliver(self, day: date) -> None:
        rng, midnight = self._rng, _midnight(day)
        if rng.random() < _EARLY and self._has_records(day - _DAY):
            self._put(midnight + _EARLY_AT, self._some(midnight))
        when = midnight + _HOUR * rng.randrange(4, 22)
        records = self._some(when)
        calls = self._year.calls.get((self._place, day), ())
        records += [self._drawer.call(call, when - _A_WHILE) for call in calls]
        if rng.random() < _LATE and self._has_records(day - 3 * _DAY):
            records.append(self._drawer.draw(when - 3 * _DAY))
            self.counts["late"] += 1
        if rng.random() < _REPEATED and self._has_records(day + 2 * _DAY):
            self._again[day + 2 * _DAY] = records[0]
        copies = [text for text in [self._again.pop(day, None)] if text]
        self.counts["repeated"] += len(copies)
        self._put(when, records, copies)
        if (self._place, day) in self._year.damaged:
            self._damage(when + _HOUR)

    def _some(self, delivered: datetime) -> list[bytes]:
        waits = [self._rng.randrange(60, 600) for _ in range(self._rng.randrange(1, 4))]
        return [self._drawer.draw(delivered - timedelta(seconds=wait)) for wait in waits]

    def _has_records(self, day: date) -> bool:
        spec = self._year.spec
        return spec.first_day <= day <= spec.last_day and day not in self._absent

    def _put(self, when: datetime, records: list[bytes], copies: Sequence[bytes] = ()) -> None:
        folder, name = _path(self._place, when, self._rng)
        texts = [*records, *copies]
        self._tree.put(folder, name, texts)
        self.texts.append(LoggedText.of(f"{folder}/{name}", envelope(texts)))
        self.counts["files"] += 1
        self.counts["records"] += len(records)

    def _damage(self, when: datetime) -> None:
        """A log file that cannot be read, in each way in turn."""
        reason = self._rng.choice(list(DAMAGE))
        body = envelope([self._drawer.draw(when)])
        self._tree.write("/".join(_path(self._place, when, self._rng)), DAMAGE[reason](body))
        self.counts["files"] += 1
