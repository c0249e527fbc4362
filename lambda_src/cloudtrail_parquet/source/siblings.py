"""Folders beside the logs: how much they hold, and whether any of it is log files."""

from collections import Counter
from collections.abc import Iterable
from functools import partial

from cloudtrail_parquet.settings.settings import LOG_FOLDERS, OPTIONAL_LOG_FOLDERS, OTHER_FOLDERS
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.source.unplaced import MAX_OBJECTS, look_into
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.wording import counted

_EVENT_LOGS = frozenset(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS)


def count_siblings(source: ReadStore, discovery: Discovery) -> dict[str, str]:
    """How many objects lie in the folders that are not read, by folder name, in words.

    At most a thousand are counted in each folder, which is one request to S3. Log files among them
    are unplaced instead, unless the folder holds event logs that are not read.
    """
    counts = _look_beside(source, discovery, discovery.siblings)
    return {
        name: counted(number, "object")
        if number < MAX_OBJECTS
        else f"{MAX_OBJECTS:,} or more objects"
        for name, number in counts.items()
        if number
    }


def look_into_odd_siblings(source: ReadStore, discovery: Discovery) -> None:
    """Look for unplaced log files in folders beside the logs that AWS does not create.

    An ordinary source has no such folder, so this costs it no request.
    """
    known = {*_EVENT_LOGS, *OTHER_FOLDERS}
    _look_beside(source, discovery, [name for name in discovery.siblings if name not in known])


def _look_beside(source: ReadStore, discovery: Discovery, names: Iterable[str]) -> Counter[str]:
    folders = [(name, prefix) for name in names for prefix in discovery.siblings[name]]
    counts: Counter[str] = Counter()
    answers = each(source, partial(look_into, source), [prefix for _, prefix in folders])
    for (name, _), (others, logs) in zip(folders, answers, strict=True):
        counts[name] += others
        if name in _EVENT_LOGS:
            counts[name] += sum(folder.files for folder in logs if not folder.is_unnamed)
        else:  # the others are counted
            discovery.unplaced.merge(folder for folder in logs if not folder.is_unnamed)
    return counts
