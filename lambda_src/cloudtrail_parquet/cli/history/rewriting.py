"""The command ``rewrite``."""

import json
import os
import sys
import time
from collections import Counter
from typing import Annotated, Any

import typer

from cloudtrail_parquet.batch.processes import cores
from cloudtrail_parquet.batch.tally import WorkersTally
from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Dataset,
    Day,
    From,
    Regions,
    State,
    To,
    Workers,
    range_of,
)
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import (
    FAILED,
    INTERRUPTED,
    STDOUT,
    note,
    note_errors,
    two_columns,
)
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.dataset.properties import DatasetProperties
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.ranges import ToRewrite, UnitRange
from cloudtrail_parquet.rewriting.elsewhere import UnitBatch, batches_of
from cloudtrail_parquet.rewriting.many import (
    DatasetAndState,
    RewriteJob,
    Rewrites,
    Rewrote,
    rewrite_all,
)
from cloudtrail_parquet.rewriting.other import (
    check_layout,
    check_window,
    close_other,
    open_other,
    properties_of,
)
from cloudtrail_parquet.rewriting.selection import (
    PlannedRewrite,
    parts_by_owner,
    planned,
    units_in,
)
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import is_below, open_existing
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted, size_of

WHICH_TO_REWRITE = "outdated: what would get another schema, other rows or other files; or all."


@with_settings
def rewrite(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            help="Another dataset to make of it, perhaps in another layout; by default its parts "
            "are replaced.",
        ),
    ] = None,
    state: State = None,
    target_state: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Receipts of TARGET; by default TARGET.state."),
    ] = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    workers: Workers = None,
    only: Annotated[
        ToRewrite, typer.Option("--only", metavar="WHICH", help=WHICH_TO_REWRITE)
    ] = "outdated",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done; read no part.")
    ] = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
    *,
    settings: Settings,
) -> None:
    """Make Parquet of Parquet, without the log files: another schema, layout, codec, other rules.

    Records stay as they are, but for what rules take. The same command goes on after an
    interruption.
    """
    started = time.monotonic()
    wanted = range_of(day, first, last, account, region)
    rewrites, found = _rewrites(dataset, state, target, target_state, settings)
    rewrites = rewrites._replace(anew=only == "all")
    stores = rewrites.source.open()
    parts = parts_by_owner(stores.dataset, wanted)  # also of units of which no receipt tells
    units = sorted(parts.keys() | units_in(stores.state, wanted))
    plans = list(planned(stores.state, units, "all" if target else only, settings, parts))
    if dry_run:
        _tell_plan(plans, rewrites, as_json=as_json)
        return
    if rewrites.target is not None:
        other = rewrites.target.open()
        rewrites = rewrites._replace(is_open=open_other(stores, other, found, settings))
    done = _collected(_jobs(plans, rewrites), rewrites, workers or cores(), as_json=as_json)
    _finish(done, plans, rewrites, wanted, time.monotonic() - started, as_json=as_json)


def _rewrites(
    dataset: str,
    state: str | None,
    target: str | None,
    target_state: str | None,
    settings: Settings,
) -> tuple[Rewrites, DatasetProperties]:
    """How units are rewritten, and the properties of the dataset that is read.

    Raises:
        UsageError: There is no such dataset, or it cannot be rewritten so.
    """
    source = DatasetAndState(dataset, Locations.state_of(dataset, state))
    open_existing(dataset, "dataset")
    found = properties_of(source.open())
    check_window(found, settings)
    before = DatasetOptions.of(settings)._replace(layout=found.partition_layout)
    rewrites = Rewrites(source, None, before, settings)
    if target is None:
        check_layout(found, settings)
        return rewrites, found
    return rewrites._replace(target=_target(source, target, target_state, settings)), found


def _finish(  # noqa: PLR0913
    done: list[Rewrote],
    plans: list[PlannedRewrite],
    rewrites: Rewrites,
    wanted: UnitRange,
    seconds: float,
    *,
    as_json: bool,
) -> None:
    """Tell what came of it, and end with the status of that."""
    errors = [each.error for each in done if each.error]
    if rewrites.target is not None and not errors:
        _close(rewrites, wanted)
    if not done:
        note("up to date: nothing to rewrite")
    elif not as_json:
        STDOUT.print(_summary(done, plans, seconds))
    note_errors(errors)
    if errors:
        raise typer.Exit(FAILED)


def _target(
    source: DatasetAndState, target: str, state: str | None, settings: Settings
) -> DatasetAndState:
    """The location of the other dataset.

    Raises:
        UsageError: It would lie in the one that is read, or that in it.
    """
    location = DatasetAndState(target, Locations.state_of(target, state))
    for mine in location:
        for other in source:
            if is_below(mine, other) or is_below(other, mine):
                hint = "Name a location beside it, or none to replace its parts"
                raise UsageError(f"it is not apart from {other}", mine, hint)
    Locations(target, location.dataset, location.state).check_parts(settings.part_bytes)
    return location


def _jobs(plans: list[PlannedRewrite], rewrites: Rewrites) -> list[RewriteJob]:
    sizes = {each.unit: each.bytes for each in plans}
    keys = {each.unit: each.keys for each in plans}
    if rewrites.target is None:
        return [RewriteJob(UnitBatch(unit, (unit,), keys[unit]), sizes[unit]) for unit in sizes]
    batches = batches_of(sizes, rewrites.settings.partition_layout, keys)
    return [RewriteJob(batch, sum(sizes[unit] for unit in batch.units)) for batch in batches]


def _collected(
    jobs: list[RewriteJob], rewrites: Rewrites, workers: int, *, as_json: bool
) -> list[Rewrote]:
    """What came of all jobs, sorted; with JSON receipts are printed as they come."""
    tally, done = WorkersTally(max(1, min(workers, len(jobs)))), list[Rewrote]()
    goal = Amount(sum(job.size for job in jobs), sum(len(job.batch.units) for job in jobs))

    def look() -> Amount:
        return Amount(tally.done.bytes, tally.done.units)

    try:
        shown = bool(jobs) and not (as_json and sys.stdout.isatty())
        with progress("rewriting", goal, "unit", look=look, shown=shown):
            for each in rewrite_all(jobs, rewrites, workers, tally):
                done.append(each)
                for line in _as_json(each) if as_json else ():
                    sys.stdout.write(json.dumps(line) + "\n")
                    sys.stdout.flush()
    except KeyboardInterrupt:
        note("interrupted: the same command goes on with what is left")
        os._exit(INTERRUPTED)  # the workers end with this process
    return sorted(done, key=lambda each: each.unit)


def _as_json(each: Rewrote) -> list[dict[str, Any]]:
    if each.error is not None:
        return [{**each.unit.to_json(), "status": "failed", "error": str(each.error)}]
    return [receipt.to_json() for receipt in each.receipts]


def _close(rewrites: Rewrites, wanted: UnitRange) -> None:
    """Note that all of the other dataset is there, if all of it was asked for."""
    if rewrites.target is None or not rewrites.is_open:
        return
    if wanted != UnitRange.of(None, None):
        note(
            f"{rewrites.target.dataset}: convert does not write to it before all of "
            f"{rewrites.source.dataset} is there: run this without days, accounts and regions"
        )
        return
    close_other(rewrites.target.open(), rewrites.settings)


def _summary(done: list[Rewrote], plans: list[PlannedRewrite], seconds: float) -> Any:  # noqa: ANN401
    receipts = [receipt for each in done for receipt in each.receipts]
    rows = {
        "units": f"{len(receipts):,}",
        "parts": f"{sum(len(receipt.parts) for receipt in receipts):,}",
        "records": f"{sum(part.rows for receipt in receipts for part in receipt.parts):,}",
        "bytes before": f"{sum(each.bytes for each in plans):,}",
        "bytes now": f"{sum(receipt.bytes_out for receipt in receipts):,}",
        "seconds": f"{seconds:.1f}",
    }
    return two_columns(rows)


def _tell_plan(plans: list[PlannedRewrite], rewrites: Rewrites, *, as_json: bool) -> None:
    """What would be done, by what changes."""
    if as_json:
        for each in plans:
            facts = {"parts": each.parts, "bytes": each.bytes, "changes": list(each.why)}
            print(json.dumps({**each.unit.to_json(), **facts}))
        return
    parts, size = sum(each.parts for each in plans), sum(each.bytes for each in plans)
    where = f" into {rewrites.target.dataset}" if rewrites.target else ""
    what = f"{counted(len(plans), 'unit')}, {counted(parts, 'part')}, {size_of(size)}"
    STDOUT.print(f"would rewrite {what}{where}", markup=False, soft_wrap=True)
    names = Counter(name for each in plans for name in each.why)
    for name, number in names.most_common():
        STDOUT.print(f"  {name}: {counted(number, 'unit')}", markup=False, soft_wrap=True)
