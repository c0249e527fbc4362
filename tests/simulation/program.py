"""The places where the simulation reaches into the program, apart from stores and clocks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from types import ModuleType

import pyarrow as pa

from cloudtrail_parquet.batch import workers as dispatch
from cloudtrail_parquet.conversion import collate, run
from cloudtrail_parquet.coverage.rebuild import rebuild
from cloudtrail_parquet.coverage.rollup import Ledger, roll_up
from cloudtrail_parquet.planning import batches
from cloudtrail_parquet.planning.plan import Receipts, UnitRange, plan_units
from cloudtrail_parquet.rewriting.parts import rewriter
from cloudtrail_parquet.schema import columns as schema
from cloudtrail_parquet.settings.options import LeaseOptions, PlanOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state import identities
from cloudtrail_parquet.storage import Stores

_TRUE_VERSION = schema.SCHEMA_VERSION
_WIDEST = timedelta(days=60)


@contextmanager
def _at_once(write: Callable[[pa.Table], None]) -> Iterator[Callable[[pa.Table], None]]:
    """Write tables when they come, and not in a thread: a tenth of the time of a story."""
    yield write


@contextmanager
def scaled_down() -> Iterator[None]:
    """Let little be treated as much is elsewhere, as long as stories are played."""
    pieces, background, rewritten, rows, few = (
        batches.PIECES,
        run.in_background,  # type: ignore[attr-defined]  # where it is looked up
        rewriter.in_background,  # type: ignore[attr-defined]
        collate._PIECE_ROWS,  # noqa: SLF001
        identities.FEW,
    )
    batches.PIECES = 2, 2  # a few places are cut more than once, as thousands are
    run.in_background = _at_once  # type: ignore[attr-defined]
    rewriter.in_background = _at_once  # type: ignore[attr-defined]
    collate._PIECE_ROWS = 4  # noqa: SLF001 - else a unit is one piece, and nothing is joined
    try:
        yield
    finally:
        batches.PIECES, collate._PIECE_ROWS, identities.FEW = pieces, rows, few  # noqa: SLF001
        run.in_background = background  # type: ignore[attr-defined]
        rewriter.in_background = rewritten  # type: ignore[attr-defined]


def _with_version() -> list[ModuleType]:
    """The modules that know the version; some of them come with the first run that needs them."""
    modules = [
        module for name, module in sys.modules.items() if name.startswith("cloudtrail_parquet.")
    ]
    return [module for module in modules if hasattr(module, "SCHEMA_VERSION")]


def install(version: int | None) -> None:
    """Let the program that runs from here on be of a version of the schema; its own when None."""
    wanted = _TRUE_VERSION if version is None else version
    if installed() != wanted:
        for module in _with_version():
            module.SCHEMA_VERSION = wanted  # type: ignore[attr-defined]


def name_in_receipts(few: int) -> None:
    """Let receipts name so many log files, where those of more lie beside them."""
    identities.FEW = few


def installed() -> int:
    """The version of the program that runs."""
    return schema.SCHEMA_VERSION


def forget() -> None:
    """Let go of all stores that the program remembers."""
    dispatch._opened.cache_clear()  # noqa: SLF001 - else they are kept for good
    dispatch._marks.cache_clear()  # noqa: SLF001


def outdated(stores: Stores, settings: Settings, account: str, region: str, day: date) -> bool:
    """Whether a plan of outdated units, of many days, has a unit."""
    found = discover(stores.source, settings.folders)
    first, last = max(day - _WIDEST, date.min), day + _WIDEST
    accounts, regions = (frozenset({name} if name else ()) for name in (account, region))
    of = UnitRange(first, last, accounts, regions)
    receipts = Receipts(stores.state, stores.clock.now(), stores.dataset)
    planned = plan_units(stores.source, receipts, found, of, "outdated", PlanOptions.of(settings))
    return any(one.unit == (account, region, day) for one in planned)


def update_ledger(stores: Stores) -> None:
    """What `status` does first."""
    roll_up(stores)


def rebuild_receipts(stores: Stores, settings: Settings) -> None:
    """What `status --rebuild` does first."""
    rebuild(stores, LeaseOptions.of(settings), settings.settle_margin_s)


def ledger_is_true(stores: Stores) -> bool:
    """Whether the ledger, as far as it is believed, says what all receipts say."""

    def rows(ledger: Ledger) -> list[object]:
        tables = [ledger.table(month) for month in sorted(ledger.months)]
        return [table.to_pylist() for table in tables]

    return rows(roll_up(stores)) == rows(roll_up(stores, fresh=True))
