"""What converting a unit would give, without converting it."""

from collections.abc import Callable, Iterable
from tempfile import TemporaryDirectory

from cloudtrail_parquet.conversion.convert import is_expired
from cloudtrail_parquet.conversion.keep import (
    is_nothing,
    kept_receipt,
    unrecorded_parts,
)
from cloudtrail_parquet.conversion.run import Run
from cloudtrail_parquet.conversion.staying.adding import added_receipt
from cloudtrail_parquet.conversion.task import task_of
from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Stores, open_store


def preview_unit(  # noqa: PLR0913, PLR0917
    unit: Unit,
    trails: Iterable[str],
    stores: Stores,
    settings: Settings,
    shard: Shard = WHOLE,
    admit: Callable[[list[LogFile]], None] | None = None,
    refused: Iterable[str] = (),
) -> Receipt | None:
    """The receipt that `convert_unit` would write; nothing is replaced.

    Raises:
        StorageError, ReconciliationError: As `convert_unit` does.
    """
    started = stores.clock.monotonic()
    task = task_of(unit, trails, stores, ConversionOptions.of(settings), shard, refused)
    if task.is_void or is_expired(task):
        receipt: Receipt | None = task.last_receipt
        return receipt
    if admit is not None:
        admit(task.files)
    with TemporaryDirectory() as folder, open_store(folder).staging() as staging:
        run = Run(task, staging)
        run.read()
        if is_nothing(run):
            return None
        seconds = stores.clock.monotonic() - started
        if task.addition is not None:
            return added_receipt(run, task.addition, seconds)
        kept = kept_receipt(run, unrecorded_parts(run))
        return kept if kept is not None else run.receipt(seconds)
