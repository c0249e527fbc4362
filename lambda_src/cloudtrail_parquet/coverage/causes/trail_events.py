"""Records that tell why log files ended or began: of trails, and of regions that are opted into.

Sources: CloudTrail API Reference, StopLogging and the other actions; AWS Account Management
Reference, EnableRegion.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.dataset.parts import parts_in, readable
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.storage import ReadStore

TrailAction = Literal["stops", "changes", "starts", "enables", "disables"]

_TRAILS, _ACCOUNTS = "cloudtrail.amazonaws.com", "account.amazonaws.com"
_ACTIONS: dict[tuple[str, str], TrailAction] = {
    (_TRAILS, "StopLogging"): "stops",
    (_TRAILS, "DeleteTrail"): "stops",
    (_TRAILS, "UpdateTrail"): "changes",
    (_TRAILS, "PutEventSelectors"): "changes",
    (_TRAILS, "StartLogging"): "starts",
    (_TRAILS, "CreateTrail"): "starts",
    (_ACCOUNTS, "EnableRegion"): "enables",
    (_ACCOUNTS, "DisableRegion"): "disables",
}
_SOURCES = (_ACCOUNTS, _TRAILS)
_TOLD_BY = ["eventSource", "eventName", "errorCode"]


class TrailEvent(NamedTuple):
    """A call that succeeded.

    Attributes:
        time: When, UTC.
        action: What it does to the delivery of log files.
        name: The name of the call.
        place: Where it was recorded.
        subject: The trail, or the region, that it is about; empty if it does not say.
    """

    time: datetime
    action: TrailAction
    name: str
    place: Place
    subject: str

    @property
    def words(self) -> str:
        """``StopLogging of main in 012345678901 eu-central-1 at 2026-03-02T10:00:00Z``."""
        of_what = f" of {self.subject}" if self.subject else ""
        where = " ".join(filter(None, self.place))
        return f"{self.name}{of_what} in {where} at {self.time:%Y-%m-%dT%H:%M:%SZ}"


def trail_events(dataset: ReadStore, unit: Unit, layout: PartitionLayout) -> list[TrailEvent]:
    """The calls that a partition holds, sorted by time; none of parts that cannot be read."""
    events = list[TrailEvent]()
    for entry in parts_in(dataset, unit, layout):
        try:
            events += _events_in(dataset, entry.key, unit)
        except StorageError:  # `status` says elsewhere what is wrong with a part
            continue
    return sorted(events)


def _events_in(dataset: ReadStore, key: str, unit: Unit) -> Iterator[TrailEvent]:
    with readable(dataset, key), dataset.open(key) as file:
        part = pq.ParquetFile(file)
        paths = [part.metadata.schema.column(n).path for n in range(part.metadata.num_columns)]
        if not set(_TOLD_BY) <= set(paths):
            return
        column = paths.index("eventSource")
        for number in range(part.num_row_groups):
            if not _may_hold(part.metadata.row_group(number).column(column).statistics):
                continue
            told = part.read_row_group(number, columns=_TOLD_BY)
            is_ours = pc.and_(
                pc.is_in(told["eventSource"], value_set=pa.array(_SOURCES)),
                pc.is_in(told["eventName"], value_set=pa.array([name for _, name in _ACTIONS])),
            )
            hits = pc.indices_nonzero(pc.and_(is_ours, pc.is_null(told["errorCode"])))
            if len(hits):
                rows = part.read_row_group(number).take(hits).to_pylist()
                yield from filter(None, (_event_of(row, unit) for row in rows))


def _may_hold(statistics: Any) -> bool:  # noqa: ANN401 - of pyarrow
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= name <= statistics.max for name in _SOURCES)


def _event_of(row: dict[str, Any], unit: Unit) -> TrailEvent | None:
    action = _ACTIONS.get((row["eventSource"], row["eventName"]))
    if action is None or row["eventTime"] is None:
        return None
    place = Place(unit.account or row.get("account", ""), unit.region or row.get("region", ""))
    asked = json.loads(restore_json(row)).get("requestParameters")
    subject = _subject(asked) if isinstance(asked, dict) else ""
    return TrailEvent(row["eventTime"], action, row["eventName"], place, subject)


def _subject(asked: dict[str, Any]) -> str:
    """The trail or the region in the parameters of a call, however its name is capitalized."""
    for name, value in asked.items():
        if name.lower() in {"name", "trailname", "regionname"} and isinstance(value, str):
            return value.rpartition("/")[2]
    return ""
