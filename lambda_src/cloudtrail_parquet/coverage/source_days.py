"""What the source has, day by day: log files of each place, and since when there are any."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import NamedTuple

from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.layout import Place, Unit, span_of
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.listing import Listing, list_place
from cloudtrail_parquet.planning.ranges import UnitRange
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import delivery_days
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.storage import ReadStore

_LISTINGS = 32


class DayFiles(NamedTuple):
    """The log files of a place on a day.

    Attributes:
        files: How many were delivered on the day; others may be in its window.
        bytes: Their size as stored.
        fingerprint: `Fingerprint.short` of those in its window.
    """

    files: int = 0
    bytes: int = 0
    fingerprint: str = ""


@dataclass
class SourceDays:
    """What the listings of a source have shown.

    Attributes:
        store: The source.
        discovery: Its accounts and regions; accounts that may not be listed are noted there.
        days: The days of each place with a log file in their windows.
        fingerprints: The fingerprints of the log files of each unit's window.
        oldest: The first day of each place that has a folder, whatever days were asked for.
    """

    store: ReadStore
    discovery: Discovery
    days: dict[Place, dict[date, DayFiles]] = field(default_factory=dict)
    fingerprints: dict[Unit, Fingerprint] = field(
        default_factory=lambda: defaultdict[Unit, Fingerprint](Fingerprint)
    )
    oldest: dict[Place, date] = field(default_factory=dict)

    @property
    def first(self) -> date | None:
        """The oldest day of all that has a folder."""
        return min(self.oldest.values(), default=None)

    def refused(self, account: str) -> str:
        """Why an account may not be listed; empty if it may."""
        error = self.discovery.refused.get(account)
        return error.what if error else ""


def list_days(
    source: ReadStore, discovery: Discovery, wanted: UnitRange, options: DatasetOptions
) -> SourceDays:
    """List the log files of a source, in the windows of a range of days.

    Units that span several places have all of these in their fingerprints, wanted or not.

    Raises:
        StorageError: The source cannot be listed.
    """
    found = SourceDays(source, discovery)
    places = sorted(Place(*place) for place in discovery.trails)
    spans = {span_of(place, options.layout) for place in places if wanted.holds(*place)}
    places = [place for place in places if span_of(place, options.layout) in spans]

    def ask(place: Place) -> tuple[Listing, date | None] | RefusedError:
        trails, span = discovery.trails[place], span_of(place, options.layout)
        named = None if span == place else place
        try:
            days = wanted.first, wanted.last
            listing = list_place(source, trails, *days, options.window, named)
            return listing, _oldest(source, trails)
        except RefusedError as error:
            return error

    for place, answer in zip(places, ahead(source, ask, places, _LISTINGS), strict=True):
        if isinstance(answer, RefusedError):
            discovery.refused.setdefault(place.account, answer)
            continue
        listing, oldest = answer
        _add(found, place, listing, span_of(place, options.layout))
        if oldest is not None:
            found.oldest[place] = oldest
    return found


def _oldest(source: ReadStore, trails: Iterable[str]) -> date | None:
    days = (day for trail in trails for day in islice(delivery_days(source, trail), 1))
    return min(days, default=None)


def _add(found: SourceDays, place: Place, listing: Listing, span: Place) -> None:
    days: dict[date, DayFiles] = {}
    for day, deliveries in sorted(listing.days.items()):
        if deliveries.places:
            short = deliveries.fingerprint.short
            days[day] = DayFiles(deliveries.files, deliveries.bytes, short)
            found.fingerprints[Unit(*span, day)].merge(deliveries.fingerprint)
    found.days[place] = days
