"""The telemetry of the Lambda function: log lines and CloudWatch metrics.

Each unit has one line, with counts and sizes; never a record, a principal or an address. Metrics
are written in the embedded metric format, so they cost no request.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from msgspec.structs import asdict

from cloudtrail_parquet.contract import DEFAULT_SERVICE, METRIC_NAMESPACE, MetricName
from cloudtrail_parquet.errors import CloudTrailParquetError
from cloudtrail_parquet.function.events import PlanEvent, to_text
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.unplaced import Unplaced
from cloudtrail_parquet.state.receipt import Receipt

_MILLISECONDS = "Milliseconds"  # summed up as whole numbers, sent as seconds
_MAX_LINES = 100  # about folders with log files that no unit reads

_UNIT_OF: dict[str, MetricUnit] = {
    MetricName.BYTES_IN: MetricUnit.Bytes,
    MetricName.BYTES_OUT: MetricUnit.Bytes,
    MetricName.SECONDS: MetricUnit.Seconds,
}


class Telemetry:
    """Logs what an invocation does, and collects metrics until `flush`."""

    def __init__(self, service: str = DEFAULT_SERVICE) -> None:
        """``service`` tells deployments apart: it is the value of the metrics' dimension."""
        self._log = Logger(service=service)
        self._metrics = Metrics(namespace=METRIC_NAMESPACE, service=service)
        self._sums: Counter[str] = Counter()
        self._oldest_unsettled_days: int | None = None

    def invoked(self, request_id: str) -> None:
        """Add an invocation's id to the following lines."""
        self._log.append_keys(request_id=request_id)

    def converted(self, receipt: Receipt) -> None:
        """Report a unit that was converted, or kept as it was."""
        records = receipt.records
        self._sums.update(
            {
                MetricName.UNITS_CONVERTED: 1,
                MetricName.UNITS_PARTIAL: receipt.status == "partial",
                MetricName.UNITS_SETTLED: receipt.settled,
            }
        )
        if not receipt.kept:  # else these are the figures of an earlier run
            self._sums.update(
                {
                    MetricName.RECORDS_READ: records.read,
                    MetricName.RECORDS_WRITTEN: records.written,
                    MetricName.RECORDS_STRAGGLED: records.straggled,
                    MetricName.RECORDS_DUPLICATE: records.duplicate,
                    MetricName.RECORDS_DISCARDED: records.discarded,
                    MetricName.RECORDS_QUARANTINED: records.quarantined,
                    MetricName.FILES_READ: receipt.files.read,
                    MetricName.FILES_QUARANTINED: receipt.files.quarantined,
                    MetricName.FILES_UNPLACED: sum(folder.files for folder in receipt.unplaced),
                    MetricName.BYTES_IN: receipt.bytes_in,
                    MetricName.BYTES_OUT: receipt.bytes_out,
                    _MILLISECONDS: round(receipt.seconds * 1000),
                }
            )
        self._log.info(
            "unit_converted",
            extra={
                **receipt.unit.to_json(),
                "status": receipt.status,
                "settled": receipt.settled,
                "kept": receipt.kept,
                "files_read": receipt.files.read,
                "files_quarantined": receipt.files.quarantined,
                "files_unplaced": sum(folder.files for folder in receipt.unplaced),
                **{f"records_{name}": count for name, count in asdict(records).items()},
                "conflicts": receipt.conflicts,
                "bytes_in": receipt.bytes_in,
                "bytes_out": receipt.bytes_out,
                "seconds": receipt.seconds,
            },
        )

    def rewritten(self, receipt: Receipt) -> None:
        """Report a unit whose parts were made anew."""
        self._sums.update({MetricName.UNITS_REWRITTEN: 1, MetricName.BYTES_OUT: receipt.bytes_out})
        facts = {"parts": len(receipt.parts), "bytes_out": receipt.bytes_out}
        rows = sum(part.rows for part in receipt.parts)
        self._log.info("unit_rewritten", extra={**receipt.unit.to_json(), "rows": rows, **facts})

    def expired(self, receipt: Receipt, parts: int, size: int) -> None:
        """Report a unit of which so many parts, of so many bytes, are no longer kept."""
        self._sums[MetricName.UNITS_EXPIRED] += 1
        facts = {"parts": parts, "bytes": size}
        self._log.info("unit_expired", extra={**receipt.unit.to_json(), **facts})

    def failed(self, unit: Unit, error: CloudTrailParquetError) -> None:
        """Report a unit that could not be converted."""
        self._sums[MetricName.UNITS_FAILED] += 1
        facts = {**unit.to_json(), "error": str(error), "error_type": type(error).__name__}
        self._log.error("unit_failed", extra=facts)

    def handed_back(self, units: int) -> None:
        """Report that units are left to another invocation."""
        self._sums[MetricName.UNITS_HANDED_BACK] += units
        self._log.info("units_handed_back", extra={"units": units})

    def attempts_ended(self, attempts: int, units: int) -> None:
        """Report an event at which attempts were ended before; its units are tried singly."""
        self._log.warning("attempts_ended", extra={"attempts": attempts, "units": units})

    def superseded(self, unit: Unit, shard: str) -> None:
        """Report a shard of a cut that another cut of its unit has replaced."""
        self._log.info("shard_superseded", extra={**unit.to_json(), "shard": shard})

    def planned(self, units: int, batches: int, oldest_unsettled: date | None) -> None:
        """Report a plan: its units and batches, and the oldest day in it that is not settled."""
        self._sums[MetricName.UNITS_PLANNED] += units
        if oldest_unsettled is not None:
            age = (datetime.now(UTC).date() - oldest_unsettled).days
            self._oldest_unsettled_days = max(self._oldest_unsettled_days or 0, age)
        self._log.info("planned", extra={"units": units, "batches": batches})

    def plan_resumed(self, plan: str) -> None:
        """Report that another invocation of the same event has begun this plan."""
        self._log.info("plan_resumed", extra={"plan": plan})

    def plan_advanced(self, left: PlanEvent | None, counts: Mapping[str, int]) -> None:
        """Report how far a plan has got: what is left of it, and what was found and sent so far."""
        reached = {} if left is None else {"left": to_text(left)}
        self._log.info("plan_advanced", extra={**reached, **counts})

    def plan_divided(self, slices: Sequence[PlanEvent]) -> None:
        """Report what of a plan is left to other invocations."""
        self._log.info("plan_divided", extra={"slices": len(slices)})

    def plan_taken_over(self, plan: str) -> None:
        """Report that another invocation of the same event goes on with this plan."""
        self._log.warning("plan_taken_over", extra={"plan": plan})

    def unfinished(self, unit: Unit, since: datetime) -> None:
        """Report a unit that a run has begun to replace and not finished."""
        facts = {**unit.to_json(), "since": since.isoformat()}
        self._log.warning("unit_unfinished", extra=facts)

    def account_refused(self, account: str, error: CloudTrailParquetError) -> None:
        """Report an account that a plan has left out, since it may not be listed."""
        self._sums[MetricName.ACCOUNTS_REFUSED] += 1
        self._log.error("account_refused", extra={"account": account, "error": str(error)})

    def without_logs(self, location: str) -> None:
        """Report a location of the source that has no logs yet."""
        self._log.warning("without_logs", extra={"place": location})

    def unplaced(self, unplaced: Unplaced) -> None:
        """Report log files that a plan has come across and that no unit reads."""
        if not unplaced:
            return
        self._sums[MetricName.FILES_UNPLACED] += unplaced.files
        for folder in unplaced.folders[:_MAX_LINES]:
            facts = {"folder": folder.folder, "files": folder.files, "example": folder.example}
            self._log.warning("unplaced", extra=facts)

    def refused(self) -> None:
        """Count an event that could not be read."""
        self._sums[MetricName.EVENTS_REFUSED] += 1

    def event_failed(self, error: CloudTrailParquetError, message_id: str = "") -> None:
        """Report an event that will be delivered again; in a queue it is a message."""
        facts = {"error": str(error), "error_type": type(error).__name__}
        if message_id:
            self._sums[MetricName.MESSAGES_FAILED] += 1
            self._log.error("message_failed", extra={"message_id": message_id, **facts})
        else:
            self._log.error("event_failed", extra=facts)

    def not_soon(self, reason: str) -> None:
        """Report that messages that failed come again only after the visibility timeout."""
        self._log.warning("message_not_soon", extra={"error": reason})

    def flush(self) -> None:
        """Send the metrics of this invocation."""
        milliseconds = self._sums.pop(_MILLISECONDS, 0)
        values: dict[str, float] = dict(self._sums)
        if milliseconds:
            values[MetricName.SECONDS] = milliseconds / 1000
        if self._oldest_unsettled_days is not None:
            values[MetricName.OLDEST_UNSETTLED_DAYS] = self._oldest_unsettled_days
        for name, value in sorted(values.items()):
            self._metrics.add_metric(name, _UNIT_OF.get(name, MetricUnit.Count), value)
        if values:
            self._metrics.flush_metrics()
        self._sums.clear()
        self._oldest_unsettled_days = None
