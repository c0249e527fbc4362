"""What is said beside the results of a conversion, line by line, whoever says it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.notes import unfinished
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.wording import counted, plural_of

_MOST_LINES = 20
_IN_ACCOUNT = re.compile(rf"(?:^|/){LOGS_ROOT}/(?:.*/)?\d{{12}}/", re.ASCII)


def unplaced_lines(unplaced: Unplaced) -> Iterator[str]:
    """Which log files no unit reads, and where they would be read."""
    for folder in unplaced.found:
        many = "or more " if folder.more else ""
        kind = "file" if folder.is_unnamed else "log file"
        count = f"{folder.files:,} {many}{plural_of(2 if folder.more else folder.files, kind)}"
        other = " of other names" if folder.is_unnamed else ""
        where = folder.folder or "the source"
        yield f"unplaced: {where}: {count}{other}, such as {folder.example}"
    if unplaced.files:
        expected = f"{LOGS_ROOT}/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/"
        these = plural_of(unplaced.files, "it: it has", f"these {unplaced.files:,}: they have")
        yield f"no unit reads {these} to lie in {expected} and not be empty"
    if not all(map(_IN_ACCOUNT.search, (folder.folder for folder in unplaced.folders))):
        yield "or name their folder as a source of its own: convert goes by the names of files then"
    if unplaced.unnamed:
        yield (
            "nobody has looked into files of other names beside a tree: if they hold records, name "
            "them as a source of their own; if not, move them out of this one"
        )


def unfinished_except(state: ReadStore, units: Iterable[Unit]) -> dict[Unit, datetime]:
    """The units, without the given ones, that are not finished, and since when."""
    known = set(units)
    return {unit: since for unit, since in unfinished(state).items() if unit not in known}


def unfinished_lines(open_units: Mapping[Unit, datetime]) -> Iterator[str]:
    """Which units a run has begun to replace and not finished, and since when."""
    for unit, since in sorted(open_units.items()):
        began = f"a run began to replace it at {since:%Y-%m-%d %H:%M} UTC"
        yield f"not finished: {unit.name}: {began}; if it has ended, convert that day again"


def up_to_date_line(discovery: Discovery) -> str:
    """That nothing is due of what was planned."""
    units = discovery.grain.units
    are, them = plural_of(units, "is", "are"), plural_of(units, "it", "them")
    up_to_date = f"{counted(units, 'unit')} {are} up to date"
    return f"nothing to convert: {up_to_date}; --only all converts {them} again"


def incomplete_lines(discovery: Discovery) -> Iterator[str]:
    """What units lack that are up to date otherwise, of some of them."""
    found = sorted(discovery.incomplete)
    for line in found[:_MOST_LINES]:
        yield f"still incomplete: {line}"
    if len(found) > _MOST_LINES:
        yield f"still incomplete: {counted(len(found) - _MOST_LINES, 'further unit')}"


def without_logs_lines(discovery: Discovery) -> Iterator[str]:
    """Which locations of the source have no logs yet."""
    for prefix in discovery.without_logs:
        yield f"no {LOGS_ROOT} folder yet in {prefix}"
