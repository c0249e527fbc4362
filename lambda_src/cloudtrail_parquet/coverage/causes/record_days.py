"""Days on which places have records of their own, by the ledger."""

from collections import defaultdict
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.coverage.ledger import SCHEMA
from cloudtrail_parquet.coverage.rollup import Ledger
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.state.marks import Month

_COLUMNS = pa.schema(SCHEMA.field(name) for name in ("account", "region", "day", "written"))


class RecordDays:
    """Tells of which days there are records: a receipt may be of a unit that has none.

    Months are read when they are first asked about.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._months: dict[Month, dict[date, set[Place]]] = {}

    def has_any(self, place: Place, day: date) -> bool:
        """Whether a place has records of a day; an account or all, if it names no more."""
        return place in self._places(Month.of(day)).get(day, ())

    def _places(self, month: Month) -> dict[date, set[Place]]:
        """The places, accounts and all that have records of a day, for each day in a month."""
        if month not in self._months:
            found = self._months[month] = defaultdict(set)
            if month in self._ledger.months:
                table = self._ledger.table(month, _COLUMNS)
                for row in table.filter(pc.greater(table["written"], 0)).to_pylist():
                    place = Place(row["account"], row["region"])
                    found[row["day"]] |= {place, Place(place.account, ""), Place("", "")}
        return self._months[month]
