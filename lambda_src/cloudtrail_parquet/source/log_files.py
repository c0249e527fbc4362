"""The days below a trail, and the log files of a window."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice, pairwise
from typing import TypeVar

from cloudtrail_parquet.deliveries import LogFile, Window, day_folder, log_file
from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.source.unplaced import Unplaced, look_into
from cloudtrail_parquet.storage import Entry, ReadStore

_YEAR = re.compile(r"[0-9]{4}")
_MONTH_OR_DAY = re.compile(r"[0-9]{2}")
_DAY_MINUTES = 1440
TIMES = [f"{minute // 60:02d}{minute % 60:02d}Z" for minute in range(_DAY_MINUTES)]
"""How the minutes of a day begin what follows `usual_keys`, in order: ``1405Z``."""

T = TypeVar("T")
R = TypeVar("R")


def each(source: ReadStore, ask: Callable[[T], R], questions: Iterable[T]) -> list[R]:
    """The answers to many questions, in order; several are asked at a time where that helps."""
    questions = list(questions)
    if source.parallel == 1 or len(questions) < 2:  # noqa: PLR2004
        return [ask(question) for question in questions]
    with ThreadPoolExecutor(min(source.parallel, len(questions)), "list") as threads:
        return list(threads.map(ask, questions))


def delivery_days(  # noqa: PLR0913
    source: ReadStore,
    trail: str,
    first: date = date.min,
    last: date = date.max,
    *,
    backwards: bool = False,
    unplaced: Unplaced | None = None,
) -> Iterator[date]:
    """The days from ``first`` to ``last`` that have a folder below a trail's region, in order.

    Folders of years and months outside of these are not listed.

    Args:
        source: The source of the logs.
        trail: The prefix of the trail's region, which holds the days.
        first: The first day.
        last: The last day.
        backwards: Whether to begin with the last day.
        unplaced: Receives log files beside the folders of days, and in folders that are not days.
    """

    def below(prefix: str, is_part: Callable[[str], object]) -> list[str]:
        level = source.level(prefix)
        if unplaced is not None:
            unplaced.add_level(prefix, level.files)
            for odd in (name for name in level.folders if not is_part(name)):
                unplaced.merge(look_into(source, f"{prefix}{odd}/")[1])
        return sorted(filter(is_part, level.folders), reverse=backwards)

    for year in below(trail, partial(_part_of_day, ())):
        if not first.year <= int(year) <= last.year:
            continue
        for month in below(f"{trail}{year}/", partial(_part_of_day, (year,))):
            if not (first.year, first.month) <= (int(year), int(month)) <= (last.year, last.month):
                continue
            for day in below(f"{trail}{year}/{month}/", partial(_part_of_day, (year, month))):
                delivered = date(int(year), int(month), int(day))
                if first <= delivered <= last:
                    yield delivered


def _part_of_day(above: tuple[str, ...], name: str) -> bool:
    """Whether a name is a year, or a month or day within the names ``above`` it."""
    if not (_MONTH_OR_DAY if above else _YEAR).fullmatch(name):
        return False
    try:
        date(*map(int, (*above, name, "1", "1")[:3]))
    except ValueError:
        return False
    return True


def days_known(source: ReadStore, trails: Iterable[str]) -> str:
    """The first and the last day that have a folder below some trails, in words for an error."""

    def ends(trail: str) -> list[date]:
        ways = (delivery_days(source, trail, backwards=backwards) for backwards in (False, True))
        return [day for days in ways for day in islice(days, 1)]

    days = [day for pair in each(source, ends, trails) for day in pair]
    return f"days from {min(days)} to {max(days)}" if days else "no days"


def window_files(  # noqa: PLR0913, PLR0917
    source: ReadStore,
    trails: Iterable[str],
    unit: Unit,
    window: Window,
    unplaced: Unplaced | None = None,
    refused: set[Place] | None = None,
) -> list[LogFile]:
    """The log files that a unit reads, from all layouts of the source.

    They are sorted by place and, within each, in delivery order.

    Objects without bytes are folder markers and left out, as are names that begin with a dot.

    Args:
        source: The source of the logs.
        trails: The prefixes that hold the days of the unit's places.
        unit: The unit.
        window: The window of a day.
        unplaced: Receives objects without bytes that are named like log files of the unit's day.
        refused: If given, receives places that may not be listed, of which no log file is read.

    Raises:
        RefusedError: A place may not be listed, and ``refused`` is not given.
    """

    def look(trail: str) -> tuple[list[LogFile], Unplaced]:
        try:
            return _files_of_trail(source, [unit.day], window, trail)[unit.day]
        except RefusedError:
            if refused is None:
                raise
            refused.add(Place.of_trail(trail))
            return [], Unplaced()

    listings = each(source, look, trails)
    if unplaced is not None:
        for _, empty in listings:
            unplaced.merge(empty.folders)
    found = (file for files, _ in listings for file in files)
    return _in_order(file for file in found if not refused or file.place not in refused)


def _in_order(files: Iterable[LogFile]) -> list[LogFile]:
    return sorted(files, key=lambda file: (file.place, file.delivered, file.key))


class TooManyFilesError(Exception):
    """There are more log files than somebody wants to hold."""


def files_of_days(
    source: ReadStore, trails: Iterable[str], days: Sequence[date], window: Window, most: int
) -> dict[date, tuple[list[LogFile], Unplaced]]:
    """The log files that the units of consecutive days of a place read, from one listing a trail.

    Args:
        source: The source of the logs.
        trails: The prefixes that hold the days of the place.
        days: The days, in order.
        window: The window of a day.
        most: So many objects may be listed.

    Returns:
        For each day what `window_files` returns, and what it adds to ``unplaced``.

    Raises:
        TooManyFilesError: There are more objects.
        RefusedError: The place may not be listed.
    """

    def look(trail: str) -> dict[date, tuple[list[LogFile], Unplaced]]:
        return _files_of_trail(source, days, window, trail, most)

    found, listings = dict[date, tuple[list[LogFile], Unplaced]](), each(source, look, trails)
    for day in days:
        empty = Unplaced()
        for listing in listings:
            empty.merge(listing[day][1].folders)
        found[day] = _in_order(file for listing in listings for file in listing[day][0]), empty
    return found


def _files_of_trail(
    source: ReadStore,
    event_days: Sequence[date],
    window: Window,
    trail: str,
    most: int | None = None,
) -> dict[date, tuple[list[LogFile], Unplaced]]:
    """The log files in the window of each day, and those without any bytes of the day itself.

    One listing, from the first folder of the windows to the last, has all of their days: a page of
    it holds the names of several days in most places.
    """
    place = Place.of_trail(trail)
    found = {day: (list[LogFile](), Unplaced()) for day in event_days}
    wanted = sorted({day for event_day in event_days for day in window.delivery_days(event_day)})
    days = {f"{trail}{day_folder(day)}": day for day in wanted}
    usual = {folder: usual_keys(trail, day) for folder, day in days.items()}
    readers = {day: [one for one in window.event_days(day) if one in found] for day in wanted}
    folders = list(days)
    first, end, length = folders[0], _end_of(folders[-1]), len(folders[0])
    skip = [(_end_of(folder), following) for folder, following in pairwise(folders)]
    for folder, day in days.items():
        skip += _outside(usual[folder], day, event_days, window)
    for number, entry in enumerate(source.files(trail, *skip, after=first)):
        if entry.key >= end:
            break
        if most is not None and number >= most:
            raise TooManyFilesError(trail)
        folder = entry.key[:length]
        if folder not in days:
            continue
        day = days[folder]
        if is_log_file(entry):
            file = delivered_file(entry, day, usual[folder])._replace(place=place)
            for event_day in readers[day]:
                if window.holds(file.delivered, event_day):
                    found[event_day][0].append(file)
        elif day in found:
            found[day][1].add(entry.key)
    return found


def _end_of(folder: str) -> str:
    """The first of the names that sort after all keys of a folder."""
    return f"{folder[:-1]}0"  # which follows the slash in ASCII


def is_log_file(entry: Entry) -> bool:
    """Whether a unit reads an object in its folders: not folder markers, nor hidden files."""
    name = entry.key.rpartition("/")[2]
    return entry.size > 0 and bool(name) and not name.startswith(".")


def usual_keys(trail: str, day: date) -> str:
    """The beginning of the keys that CloudTrail gives to log files of a day, up to their time.

    Names begin with account, folder, region and time, so they sort by time.
    """
    *_, account, folder, region, _ = ["", "", "", *trail.split("/")]
    return f"{trail}{day_folder(day)}{account}_{folder}_{region}_{day.year:04d}{day:%m%d}T"


def minute_of(key: str, usual: str) -> int | None:
    """The minute of the day at which a key sorts among the usual ones.

    Returns:
        The minute of the last usual name that sorts before the key or begins it; None for a key
        that sorts before or after all usual ones.
    """
    time = key.removeprefix(usual)
    if not key.startswith(usual) or not TIMES[0] <= time <= f"{TIMES[-1]}~":
        return None
    return bisect_right(TIMES, time) - 1


def delivered_file(entry: Entry, day: date, usual: str) -> LogFile:
    """The log file at an entry below the folder of a day.

    A name that sorts among the usual ones has the time at which it sorts, even if it bears no
    time or another one, since listings leave names out by how they sort.

    Args:
        entry: The entry.
        day: The day of the folder.
        usual: The `usual_keys` of the day.
    """
    file, minute = log_file(entry, day), minute_of(entry.key, usual)
    if minute is None:
        return file
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return file._replace(delivered=start + timedelta(minutes=minute))


def _outside(
    usual: str, day: date, event_days: Sequence[date], window: Window
) -> list[tuple[str, str]]:
    """The first and the last of the usual keys of a day that are outside of windows, if any are.

    The windows are those of consecutive days, so that there is nothing between them. A listing may
    leave out this range of keys: names that do not sort among the usual ones are not in it, and so
    are listed.
    """
    begin_s, _ = window.seconds(event_days[0], day)
    _, end_s = window.seconds(event_days[-1], day)
    begin, end = -(-begin_s // 60), -(-end_s // 60)
    if begin > 0:
        minutes = 0, min(begin, _DAY_MINUTES) - 1
    elif end < _DAY_MINUTES:
        minutes = end, _DAY_MINUTES - 1
    else:
        return []
    first, last = (f"{usual}{TIMES[minute]}" for minute in minutes)
    return [(first, f"{last}~")]
