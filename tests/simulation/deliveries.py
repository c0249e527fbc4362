"""What CloudTrail delivers in a simulated world, and what becomes of it in the source bucket.

The oracle knows it all from here: which record lay in which log file, and when.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from typing import NamedTuple

from tests.simulation.s3 import Bucket
from tests.simulation.scheduler import Scheduler

ACCOUNTS = ("111111111111", "222222222222", "033333333333")
REGIONS = ("eu-central-1", "us-east-1")
ORGANIZATION = "o-simulated01"
SECRET = "hunter2"
NAMES = ("GetObject", "PutObject", "AssumeRole", "Decrypt", "ConsoleLogin")

HOUR_S, DAY_S = 3600, 86_400
_IN_TIME_S = 90


class Place(NamedTuple):
    """An account and region whose logs are delivered."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account} {self.region}".strip()


class Record(NamedTuple):
    """A record; two with the same serial have the same content.

    Attributes:
        serial: Stands in ``userAgent``, so that a row tells of which record it is.
        text: Its JSON text.
        time: Its event time, in seconds since 1970.
        event_id: Its ``eventID``.
        name: Its ``eventName``.
        secret: Whether it holds a member ``password``.
    """

    serial: int
    text: str
    time: float
    event_id: str | None
    name: str
    secret: bool

    @property
    def day(self) -> date:
        """The day that it belongs to."""
        return datetime.fromtimestamp(self.time, UTC).date()


@dataclass
class LogFile:
    """A log file.

    Attributes:
        key: Below the source.
        place: Whose it is.
        stamp: The time in its name, in seconds since 1970.
        records: What it holds when it is whole.
        appears: When it comes, in seconds since 1970.
        damaged: Whether what lies there cannot be read.
        was_damaged: Whether it ever could not.
        gone: Whether it has expired.
    """

    key: str
    place: Place
    stamp: float
    records: list[Record]
    appears: float
    damaged: bool = False
    was_damaged: bool = False
    gone: bool = False

    @property
    def day(self) -> date:
        """Its delivery day."""
        return datetime.fromtimestamp(self.stamp, UTC).date()

    @property
    def in_time(self) -> bool:
        """Whether it was there, and whole, from the minute in its name on."""
        return self.appears - self.stamp < _IN_TIME_S and not self.was_damaged

    def is_of(self, day: date, lookbehind_s: int, lookahead_s: int) -> bool:
        """Whether it lies in the window of a day."""
        return -lookbehind_s <= self.stamp - midnight(day) < DAY_S + lookahead_s

    def owner(self, record: Record, lookbehind_s: int, lookahead_s: int) -> date:
        """The day of the unit that owns a record of it."""
        return record.day if self.is_of(record.day, lookbehind_s, lookahead_s) else self.day


@dataclass(frozen=True)
class Habits:
    """How logs are delivered in a world.

    Attributes:
        busy: Share of the days on which a place has log files.
        files: How many log files of a place there are in a day, at most.
        records: How many records of a log file, at most.
        late: Share of log files that come hours to weeks after what they tell of.
        repeated: Share of records that come again.
        shared: Share of records that come to another place as well.
        replicated: Share of log files that appear later than their names say.
        damaged: Share of log files that are damaged at first.
        expire_days: After how many days log files go; None for never.
        layouts: Of each place: whether logs come with an organization, without or both.
    """

    busy: float
    files: int
    records: int
    late: float
    repeated: float
    shared: float
    replicated: float
    damaged: float
    expire_days: int | None
    layouts: dict[Place, tuple[str | None, ...]]


@dataclass
class Deliveries:
    """Delivers, and remembers.

    Attributes:
        scheduler: Tells the time.
        bucket: The source.
        random: Draws what is delivered.
        habits: How.
        until: When deliveries end.
        files: All log files that have ever appeared, by key.
        records: All records, by serial.
    """

    scheduler: Scheduler
    bucket: Bucket
    random: Random
    habits: Habits
    until: float
    files: dict[str, LogFile] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)

    def schedule(self, days: list[date]) -> None:
        """Draw all deliveries of some days."""
        for place in self.habits.layouts:
            for day in days:
                if self.random.random() < self.habits.busy:
                    for _ in range(self.random.randint(1, self.habits.files)):
                        self._schedule_file(place, midnight(day) + self._moment_of_day())

    def _moment_of_day(self) -> float:
        """Often around midnight, and around the ends of usual windows."""
        low, high = self.random.choice(
            [
                (0, DAY_S),
                (0, 3 * HOUR_S),
                (DAY_S - 1200, DAY_S - 1),
                (2 * HOUR_S - 600, 2 * HOUR_S + 600),
            ]
        )
        return self.random.uniform(low, high)

    def _schedule_file(self, place: Place, at: float) -> None:
        random, habits = self.random, self.habits
        records = [self._record(place, at) for _ in range(random.randint(1, habits.records))]
        if random.random() < habits.late:
            longest = random.choice([6 * HOUR_S, DAY_S, 2 * DAY_S, 4 * DAY_S, 40 * DAY_S])
            at += longest * random.uniform(0.1, 1)
        appears = at + random.uniform(1, 20)
        if random.random() < habits.replicated:
            appears += random.uniform(600, 4 * DAY_S)
        self._deliver(place, at, records, appears)
        for record in records:
            if habits.shared and random.random() < habits.shared:
                other = random.choice([one for one in habits.layouts if one != place])
                self._deliver(other, at, [record], at + random.uniform(1, 20))
            if random.random() < habits.repeated:
                longest = random.choice([600, 12 * HOUR_S, DAY_S, 3 * DAY_S, 30 * DAY_S])
                again = at + longest * random.uniform(0.2, 1)
                self._deliver(place, again, [record], again + random.uniform(1, 20))

    def _record(self, place: Place, delivered: float) -> Record:
        """A record of shortly before its delivery, or, rarely, of shortly after."""
        random, serial = self.random, len(self.records) + 1
        delay = random.choice([600, 600, -300]) * random.random()
        time = float(int(delivered - delay))
        event_id: str | None = f"{serial:08d}-0000-4000-8000-000000000000"
        odd = random.random()
        if odd < 0.08:
            event_id = None
        elif odd < 0.14 and serial > 1:  # the id of another one, with other content
            event_id = self.records[serial - 1].event_id
        name, secret = random.choice(NAMES), random.random() < 0.5
        members = {
            "eventVersion": "1.11",
            "eventTime": f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "s3.amazonaws.com",
            "eventName": name,
            "awsRegion": place.region,
            "sourceIPAddress": f"203.0.113.{serial % 250}",
            "userAgent": f"serial/{serial}",
            "requestParameters": {"bucket": "logs", **({"password": SECRET} if secret else {})},
            "responseElements": None,
            **({"eventID": event_id} if event_id else {}),
            "eventType": "AwsApiCall",
            "recipientAccountId": place.account,
        }
        record = Record(serial, json.dumps(members), time, event_id, name, secret)
        self.records[serial] = record
        return record

    def _deliver(self, place: Place, at: float, records: list[Record], appears: float) -> None:
        """Plan what happens to a log file, in each layout of its place."""
        random, at = self.random, at - at % 60
        for organization in self.habits.layouts[place]:
            key = _key(place, organization, at, f"{random.getrandbits(40):010x}")
            file = LogFile(key, place, at, records, appears)
            damaged = random.random() < self.habits.damaged
            self._at(appears, partial(self._put, file, damaged=damaged))
            if damaged:
                repaired = random.choice([600, DAY_S, 3 * DAY_S]) * random.random()
                self._at(appears + repaired, partial(self._put, file))
            if self.habits.expire_days is not None:
                expires = appears + self.habits.expire_days * DAY_S
                self._at(expires, partial(self._expire, file))

    def _at(self, when: float, act: partial[None]) -> None:
        if when < self.until:
            self.scheduler.at(when, act)

    def _put(self, file: LogFile, *, damaged: bool = False) -> None:
        if file.gone:
            return
        text = '{"Records":[' + ",".join(record.text for record in file.records) + "]}"
        data = gzip.compress(text.encode(), 1, mtime=0)
        file.damaged = damaged
        file.was_damaged = file.was_damaged or damaged
        self.files[file.key] = file
        rows = " ".join(f"{one.serial}@{one.day:%m-%d}" for one in file.records)
        self.scheduler.note("CloudTrail", f"{'DAMAGED ' * damaged}{file.key}: {rows}")
        self.bucket.put(None, file.key, data[:-12] if damaged else data)

    def _expire(self, file: LogFile) -> None:
        file.gone = True
        self.scheduler.note("lifecycle", f"expired {file.key}")
        self.bucket.remove(None, file.key)

    def readable(self, place: Place) -> Iterator[LogFile]:
        """The log files of a place that can be read now."""
        for one in self.files.values():
            if one.place == place and not one.gone and not one.damaged:
                yield one


def _key(place: Place, organization: str | None, at: float, unique: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC)
    folders = ["AWSLogs", organization, place.account, "CloudTrail", place.region]
    name = f"{place.account}_CloudTrail_{place.region}_{stamp:%Y%m%dT%H%MZ}_{unique}.json.gz"
    return "/".join([*filter(None, folders), f"{stamp:%Y/%m/%d}", name])


def midnight(day: date) -> float:
    """The moment at which a day begins, in seconds since 1970."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def days_from(first: date, count: int) -> list[date]:
    """Some days, one after the other."""
    return [first + timedelta(days=number) for number in range(count)]
