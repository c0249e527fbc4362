"""A small organisation whose days have gaps of all causes, planted one by one."""

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.coverage.cover import Asked, Coverage, cover
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.layout import Place, Unit, span_of
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover, units
from cloudtrail_parquet.storage import Entry, open_store
from tests.builders import WritableStores, log_file, log_key, record

MAIN, OTHER, CLOSED = "111111111111", "222222222222", "333333333333"
HOME, VIRGINIA, HONGKONG = "eu-central-1", "us-east-1", "ap-east-1"
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 24)
DAY = timedelta(days=1)
_NUMBERS = itertools.count()


class SetClock(SystemClock):
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class Refusing:
    """A source that may not be listed below some prefixes."""

    def __init__(self, store: Any) -> None:  # noqa: ANN401
        self._store = store
        self.refused: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._store, name)

    def _check(self, prefix: str) -> None:
        if any(prefix.startswith(each) for each in self.refused):
            raise RefusedError("cannot be listed (AccessDenied)", prefix, "Allow it")

    def level(self, prefix: str) -> Any:  # noqa: ANN401
        self._check(prefix)
        return self._store.level(prefix)

    def folders(self, prefix: str) -> list[str]:
        self._check(prefix)
        folders: list[str] = self._store.folders(prefix)
        return folders

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        self._check(prefix)
        yield from self._store.files(prefix, *skip, after=after)


class Organisation:
    """Accounts and regions with a log file at noon of each day, in stores in memory."""

    def __init__(self, layout: PartitionLayout = "account/region/year/month/day") -> None:
        source, dataset, state = (open_store("memory:///") for _ in range(3))
        self.clock = SetClock(datetime(2026, 3, 25, 12, tzinfo=UTC))
        self.refusing = Refusing(source)
        self.stores = WritableStores(self.refusing, dataset, state, clock=self.clock)
        self.settings = Settings(fetch_threads=1, partition_layout=layout)

    def deliver(
        self, place: Place, day: date, *events: dict[str, Any], hour: int = 12, number: int = 1
    ) -> str:
        """A log file with some records, and these events; its key."""
        when = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        common = {"eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}", "awsRegion": place.region}
        usual: tuple[dict[str, Any], ...] = ({},) * number
        records = [
            record(**{**common, "eventID": f"id-{next(_NUMBERS)}", **event})
            for event in usual + events
        ]
        key = log_key(*place, when, unique=f"{next(_NUMBERS):016d}")
        self.stores.source.write(key, log_file(*records))
        return key

    def digests(self, place: Place, day: date, named: Iterable[str] = (), hours: int = 24) -> None:
        """The digest files of a day, of which the one of noon names log files."""
        for hour in range(hours):
            when = datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC)
            stamp = f"main_{HOME}_{when:%Y%m%dT%H%M%SZ}"
            name = f"{place.account}_CloudTrail-Digest_{place.region}_{stamp}"
            folder = f"AWSLogs/{place.account}/CloudTrail-Digest/{place.region}/{day:%Y/%m/%d}"
            files = [{"s3Bucket": "logs", "s3Object": key} for key in (named if hour == 12 else ())]
            text = json.dumps({"digestStartTime": f"{when:%Y-%m-%dT%H:%M:%SZ}", "logFiles": files})
            self.stores.source.write(f"{folder}/{name}.json.gz", gzip.compress(text.encode()))

    @property
    def delivered(self) -> set[str]:
        """The ids of all records that the source has."""
        texts = (
            gzip.decompress(self.stores.source.read(entry.key))
            for entry in self.stores.source.files("")
        )
        return {one["eventID"] for text in texts for one in json.loads(text)["Records"]}

    def convert(self, only: date | None = None) -> None:
        """Convert all units that there are logs of, or those of a day."""
        options = DatasetOptions.of(self.settings)
        record_properties(self.stores, options, LeaseOptions.of(self.settings))
        discovery = discover(self.stores.source, self.settings.folders)
        window = Window(self.settings.lookbehind_s, self.settings.lookahead_s)
        of_places = units(self.stores.source, discovery, window)
        spans = {Unit(*span_of(unit.span, options.layout), unit.day) for unit in of_places}
        for unit in sorted(unit for unit in spans if only in {None, unit.day}):
            trails = discovery.trails_of(unit)
            refused = discovery.refused_in(unit)
            convert_unit(unit, trails, self.stores, self.settings, refused=refused)

    def cover(
        self,
        first: date = FIRST,
        last: date = LAST,
        *,
        with_source: bool = True,
        fresh: bool = False,
        parts: bool | None = None,
        **wanted: Any,  # noqa: ANN401
    ) -> Coverage:
        """What is covered."""
        days = UnitRange.of(first, last, **wanted)
        asked = Asked(days, PlanOptions.of(self.settings), parts, fresh)
        source = self.stores.source
        found = discover(source, self.settings.folders) if with_source else None
        return cover(self.stores, asked, (source, found) if found else None)

    def said(self, **options: Any) -> dict[tuple[str, str, int], tuple[str, str]]:  # noqa: ANN401
        """State and cause by account, region and day of March."""
        return {
            (*place, day.day): (verdict.state, verdict.cause)
            for place, day, verdict in self.cover(**options).days()
        }


def trail_event(name: str, trail: str = "main") -> dict[str, Any]:
    return {
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": name,
        "requestParameters": {"name": f"arn:aws:cloudtrail:{HOME}:{MAIN}:trail/{trail}"},
        "resources": ...,
        "additionalEventData": ...,
    }


def region_event(name: str, region: str) -> dict[str, Any]:
    return {
        "eventSource": "account.amazonaws.com",
        "eventName": name,
        "requestParameters": {"RegionName": region},
        "resources": ...,
        "additionalEventData": ...,
    }


def march(day: int) -> date:
    return date(2026, 3, day)
