"""What ``plan`` prints, unit by unit as they are found, so that it holds none of them."""

import json
import sys
from collections.abc import Iterable, Iterator

import msgspec
from rich.table import Table

from cloudtrail_parquet.cli.output import STDOUT, two_columns
from cloudtrail_parquet.planning.batches import Estimate
from cloudtrail_parquet.planning.plan import PlannedUnit
from cloudtrail_parquet.planning.stored import StorageFacts
from cloudtrail_parquet.source.unplaced import Unplaced


def print_reasons(planned: Iterable[PlannedUnit]) -> Iterator[PlannedUnit]:
    """Print a line for each unit that is due for a reason, when its turn comes."""
    for entry in planned:
        if entry.why:
            STDOUT.print(f"{entry.unit.name}: {entry.why}", markup=False, soft_wrap=True)
        yield entry


def print_rows(planned: Iterable[PlannedUnit]) -> Iterator[PlannedUnit]:
    """Print the beginning of a JSON object: a list of the units, as their turn comes."""
    before = '{"units": ['
    for entry in planned:
        row = {**entry.unit.to_json(), "files": entry.files, "bytes": entry.bytes, "why": entry.why}
        sys.stdout.write(before + json.dumps(row))
        before = ", "
        yield entry


def print_rest(total: Estimate, stored: StorageFacts | None, unplaced: Unplaced) -> None:
    """Print the rest of the object that `print_rows` began, or all of it if there were no units."""
    rest = {"total": total, "stored": stored, "unplaced": unplaced.folders}
    text = json.dumps(msgspec.to_builtins(rest))
    sys.stdout.write(("]" if total.units else '{"units": []') + f", {text[1:]}\n")


def plan_table(total: Estimate) -> Table:
    """The totals of a plan."""
    rows = {
        "units": f"{total.units:,}",
        "log files": f"{total.files:,}",
        "bytes in": f"{total.bytes:,}",
        "largest unit": total.largest or "",
        "invocations": f"{total.batches:,}",
        "seconds in all": f"{total.seconds:,.0f}",
        "dollars": f"{total.dollars:,.2f}",
    }
    return two_columns(rows)
