"""What a program may use; `cloudtrail_parquet` itself has all of it. docs/python.md shows it.

The examples are lines of examples/library.py, which is type-checked and run by the tests.
"""

import logging
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import get_args

import pyarrow as pa

from cloudtrail_parquet.batch.processes import cores
from cloudtrail_parquet.batch.workers import Outcome, convert_all, jobs_of
from cloudtrail_parquet.dataset.export import export_records
from cloudtrail_parquet.errors import CloudTrailParquetError, UsageError
from cloudtrail_parquet.intake.left_out import Leftovers
from cloudtrail_parquet.intake.opening import taken_in
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.plan import DEFAULT_ONLY, Only, UnitRange
from cloudtrail_parquet.planning.ranges import check_names
from cloudtrail_parquet.planning.remarks import (
    incomplete_lines,
    unfinished_except,
    unfinished_lines,
    unplaced_lines,
    without_logs_lines,
)
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.records.json_columns import file_schema
from cloudtrail_parquet.schema.columns import PARTITION_SCHEMAS
from cloudtrail_parquet.settings.settings import (
    Settings,
    SettingSource,
    check_settings,
    settings_file,
    settings_of,
)
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import open_existing
from cloudtrail_parquet.storage.locations import Locations

__all__ = [
    "CloudTrailParquetError",
    "Outcome",
    "Receipt",
    "Settings",
    "Unit",
    "UsageError",
    "convert",
    "export",
    "make_settings",
    "read_schema",
]

_LOG = logging.getLogger("cloudtrail_parquet")


def convert(  # noqa: PLR0913 - all but the locations by name
    source: str | Path,
    dataset: str | Path,
    state: str | Path | None = None,
    *,
    settings: Settings | None = None,
    first: date | None = None,
    last: date | None = None,
    accounts: Collection[str] = (),
    regions: Collection[str] = (),
    only: Only = DEFAULT_ONLY,
    workers: int = 1,
) -> Iterator[Outcome]:
    """Convert log files to partitions, as the command ``convert`` does.

    By default, what is not converted yet or would come out differently: the same call goes on
    after an interruption. The selection is checked at once, and units are converted as their
    outcomes are asked for.

    Args:
        source: Folder, file or URI with logs (docs/sources.md); or several URIs with spaces between
            them. What is arranged in a temporary folder is there until the outcomes end.
        dataset: Folder or URI that receives the partitions.
        state: Folder or URI of receipts and leases; by default DATASET with ``.state`` appended.
        settings: By default those of docs/settings.md.
        first: The first day (UTC) to convert; by default the first that there is.
        last: The last day (UTC) to convert; by default the last that there is.
        accounts: Accounts of 12 digits; by default all. A single one is also that of records which
            name none, as a single region is.
        regions: Regions such as ``eu-central-1``; by default all.
        only: Which to convert: ``missing``, ``outdated``, ``reshaped`` or ``all`` (docs/events.md).
        workers: Processes that convert; 1 is this one. More of them import the main module again,
            which then has to start its work below ``if __name__ == "__main__":``.

    Returns:
        An outcome for each unit that was converted, in the order in which they finish: with a
        ``receipt``, or with an ``error`` if the unit failed and kept what it had. Units that are up
        to date, and those with neither log files nor records of their day, have none. If no log
        file was selected, a `UsageError` ends them. Log files that no unit reads, units that
        another run has left unfinished, locations without logs, and what is left out because nobody
        can tell where it belongs are warnings of the logger ``cloudtrail_parquet``.

    Raises:
        UsageError: Locations, settings or selection are wrong, or nothing is there; says what there
            is. With ``all``, other settings than the dataset's are told of by the first outcome.
        CloudTrailParquetError: The source, or a selected account of it, cannot be listed.

    Example:
        >>> for outcome in convert("logs", "cloudtrail", first=date(2026, 1, 9)):
        ...     if outcome.receipt:
        ...         print(f"{outcome.unit.name}: {outcome.receipt.records.written} records")
        ...     else:
        ...         print(f"error: {outcome.error}")
    """
    settings = _checked(settings)
    _check_choices(only, workers)
    wanted = _range(first, last, accounts, regions)
    locations = _locations(source, dataset, state)
    locations.check(settings.part_bytes)
    return _begun(wanted, locations, only, settings, workers)


def _begun(
    wanted: UnitRange, locations: Locations, only: Only, settings: Settings, workers: int
) -> Iterator[Outcome]:
    with ExitStack() as opened:
        taken = taken_in(locations.source, settings, wanted.only_place)
        intake = opened.enter_context(taken)
        selection = Selection.within(intake.store, intake.discovery, wanted)
        locations = replace(locations, opener=intake.source)
        units = _due(selection, locations, only, settings)
        outcomes = _outcomes(units, selection, locations, settings, workers)
        return _until_the_end(outcomes, intake.left, opened.pop_all())


def _until_the_end(
    outcomes: Iterator[Outcome], left: Leftovers, opened: ExitStack
) -> Iterator[Outcome]:
    """Outcomes, for which a source stays open, after warnings about what is left out of it."""
    with opened:
        for line in left.lines():
            _LOG.warning("%s", printable(line))
        yield from outcomes


def _check_choices(only: object, workers: object) -> None:
    if only not in get_args(Only):
        hint = f"Use one of {', '.join(get_args(Only))}"
        raise UsageError(f"{only!r} is not a choice", "only", hint)
    if type(workers) is not int or workers < 1:
        raise UsageError(f"{workers!r} is not a whole number from 1", "workers", "Use 1 or more")


def _due(selection: Selection, locations: Locations, only: Only, settings: Settings) -> list[Unit]:
    for error in selection.refused.values():
        raise error
    due = selection.due(locations.open(), only, settings)
    for error in selection.refused.values():  # a region, which only the plan has listed
        raise error
    if not due and not selection.discovery.with_logs:
        raise selection.no_logs()
    return [planned.unit for planned in due]


def _outcomes(
    units: list[Unit], selection: Selection, locations: Locations, settings: Settings, workers: int
) -> Iterator[Outcome]:
    discovery = selection.discovery
    looked = bool(discovery.with_logs)
    for outcome in convert_all(jobs_of(units, discovery), locations, settings, workers):
        looked |= outcome.looked
        discovery.unplaced.merge(outcome.receipt.unplaced if outcome.receipt else ())
        if outcome.receipt or outcome.error:
            yield outcome
    look_into_odd_siblings(selection.source, discovery)
    for line in chain(
        without_logs_lines(discovery),
        incomplete_lines(discovery),
        unplaced_lines(discovery.unplaced),
        unfinished_lines(unfinished_except(locations.open().state, units)),
    ):
        _LOG.warning("%s", printable(line))
    if not looked:
        raise selection.no_logs()


def export(
    dataset: str | Path,
    *,
    first: date | None = None,
    last: date | None = None,
    accounts: Collection[str] = (),
    regions: Collection[str] = (),
) -> Iterator[str]:
    """The records of a dataset again, as CloudTrail delivered them.

    Args:
        dataset: Folder or URI of the partitions.
        first: The first day (UTC) of event times; by default the first that there is.
        last: The last day (UTC) of event times; by default the last that there is.
        accounts: Accounts of 12 digits; by default all.
        regions: Regions such as ``eu-central-1``; by default all.

    Returns:
        Each record as JSON text without line ends, partition by partition. A part that is damaged
        is a `CloudTrailParquetError` after the records before the damage.

    Raises:
        UsageError: There are no such records; says which there are.
        CloudTrailParquetError: A part is damaged in which accounts or regions were looked for.

    Example:
        >>> for text in export("cloudtrail", last=date(2026, 1, 10)):
        ...     record = json.loads(text)
        ...     calls[record["eventSource"], record["eventName"]] += 1
    """
    wanted = _range(first, last, accounts, regions)
    store = open_existing(_location("dataset", dataset), "dataset")
    names = sorted(wanted.accounts), sorted(wanted.regions)
    return export_records(store, wanted.first, wanted.last, *names, threads=cores())


def read_schema(settings: Settings | None = None) -> pa.Schema:
    """The schema that a dataset of these settings is read with.

    Args:
        settings: Those it is made with; by default as docs/settings.md says.

    Returns:
        The columns as files hold them, then the partition columns, which are in the names of
        folders only: ``year``, ``month`` and ``day``, or ``dt``, and before them ``account`` and
        ``region``, unless these are the last columns of the files. Times are
        ``timestamp[us, UTC]``; of each column the metadata say what it is about.

    Example:
        >>> schema = read_schema()
        >>> logs = ds.dataset("cloudtrail", schema, partitioning="hive")
        >>> denied = logs.to_table(filter=ds.field("errorCode") == "AccessDenied")
    """
    settings = _checked(settings)
    layout = settings.partition_layout
    columns = file_schema(settings.json_encoding, layout)
    return pa.schema([*columns, *PARTITION_SCHEMAS[layout]])


def make_settings(file: str | Path | None = None, /, **values: object) -> Settings:
    """Settings other than the default ones, checked as those of a settings file are.

    Args:
        file: A settings file (TOML).
        values: Settings by name, which decide over the file; docs/settings.md lists them.

    Raises:
        UsageError: A name or a value is not legal, or two contradict each other; names all of them.

    Example:
        >>> settings = make_settings(compression_level=9, sort_by=["eventTime"])
    """
    files = [settings_file(Path(file))] if file else []
    return settings_of(*files, SettingSource("make_settings", values))


def _checked(settings: Settings | None) -> Settings:
    if settings is None:
        return Settings()
    check_settings(settings)
    return settings


def _locations(source: str | Path, dataset: str | Path, state: str | Path | None) -> Locations:
    beside = None if state is None else _location("state", state)
    return Locations.of(_location("source", source), _location("dataset", dataset), beside)


def _location(name: str, location: str | Path) -> str:
    if not isinstance(location, str | Path):
        raise UsageError(f"{location!r} is not a location", name, "Name a folder or a URI")
    return str(location)


def _range(
    first: date | None, last: date | None, accounts: Collection[str], regions: Collection[str]
) -> UnitRange:
    """A selection; what type checkers let pass is refused here.

    Raises:
        UsageError: A day is not a date, names are not a list of texts, or the days are swapped.
    """
    for name, day in (("first", first), ("last", last)):
        if day is not None and type(day) is not date:  # a datetime is a date, too
            raise UsageError(f"{day!r} is not a date", name, "Use datetime.date, in UTC")
    lists: tuple[tuple[str, object], ...] = (("accounts", accounts), ("regions", regions))
    for name, names in lists:
        if isinstance(names, str):
            raise UsageError(f"{names!r} is a text", name, f"Use a list: [{names!r}]")
        if not isinstance(names, Collection) or not all(isinstance(each, str) for each in names):
            raise UsageError(f"{names!r} is not a list of texts", name, 'Use ["012345678901"]')
    check_names(accounts, regions)
    return UnitRange.of(first, last, accounts, regions)
