"""Folders beside the logs: what lies in them, and whether any of it is log files."""

from collections import Counter
from collections.abc import Iterable
from functools import partial

from cloudtrail_parquet.settings.settings import (
    LOG_FOLDERS,
    OPTIONAL_LOG_FOLDERS,
    OTHER_FOLDERS,
    UNREAD_LOG_FOLDERS,
)
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.source.unplaced import look_into
from cloudtrail_parquet.storage import ReadStore

_EVENT_LOGS = frozenset(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS + UNREAD_LOG_FOLDERS)


_MAX_COUNT = 1000  # a page of S3's


def count_siblings(source: ReadStore, found: Discovery) -> dict[str, str]:
    """How many objects lie in the folders that are not read, by folder name, in words.

    Of each folder a thousand are counted at most, which is one request to S3. Log files among them
    are unplaced instead, unless all of the folder is event logs that are not read.
    """
    counts = _look_beside(source, found, found.siblings)
    return {
        name: str(number) if number < _MAX_COUNT else f"{_MAX_COUNT:,} or more"
        for name, number in counts.items()
        if number
    }


def look_into_odd_siblings(source: ReadStore, found: Discovery) -> None:
    """Look for unplaced log files in folders beside the logs that are none of AWS's.

    An ordinary source has none of them, so that it costs no request.
    """
    known = {*_EVENT_LOGS, *OTHER_FOLDERS}
    _look_beside(source, found, [name for name in found.siblings if name not in known])


def _look_beside(source: ReadStore, found: Discovery, names: Iterable[str]) -> Counter[str]:
    folders = [(name, prefix) for name in names for prefix in found.siblings[name]]
    counts: Counter[str] = Counter()
    answers = each(source, partial(look_into, source), [prefix for _, prefix in folders])
    for (name, _), (others, logs) in zip(folders, answers, strict=True):
        counts[name] += others
        if name in _EVENT_LOGS:
            counts[name] += sum(one.files for one in logs)
        else:
            found.unplaced.merge(logs)
    return counts
