"""The places of a unit's log files, in the order in which these are read.

In a folded layout a unit spans many places. What the other modules know of a row is the number of
its log file; here that leads to its place.
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.deliveries import LogFile
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.records.keys import place_salt
from cloudtrail_parquet.state.figures import Records, summed


class Places:
    """The places that were begun, and what became of the records of each.

    Attributes:
        records: What became of the records so far, by place.
        first_file: The number of the first log file of the current place.
    """

    def __init__(self, unit: Unit, columns: tuple[str, ...]) -> None:
        """``columns`` are those of account and region that rows have: `contract.PLACE_COLUMNS`."""
        self.records: dict[Place, Records] = {}
        self.first_file = 0
        self._unit, self._columns = unit, columns
        self._known: list[Place] = []
        self._salts: list[int] = []
        self._by_file: list[int] = []

    @property
    def total(self) -> Records:
        """What became of the records of all places."""
        return Records(**summed(self.records.values())) if self.records else Records()

    def begin(self, file: LogFile) -> None:
        """Begin the next log file, which is of the current place or of a later one."""
        account, region = self._unit.span
        place = Place(account or file.place.account, region or file.place.region)
        if not self._known or place != self._known[-1]:
            self._known.append(place)
            self._salts.append(place_salt(getattr(place, name) for name in self._columns))
            self.records[place] = Records()
            self.first_file = len(self._by_file)
        self._by_file.append(len(self._known) - 1)

    def is_border(self, file: LogFile) -> bool:
        """Whether a log file begins another account, or another region if units have an account."""
        name = next(iter(self._columns), None)
        if name is None or not self._known:
            return False
        return bool(getattr(self._known[-1], name) != getattr(file.place, name))

    def of(self, file: int) -> Place:
        """The place of a log file, by its number."""
        return self._known[self._by_file[file]]

    def records_of(self, file: int) -> Records:
        """What became of the records of a log file's place."""
        return self.records[self.of(file)]

    def numbers(self, encoded: pa.Table) -> pa.ChunkedArray:
        """The numbers of the places of n encoded rows, which sort as the places do: int32[n]."""
        return pa.array(self._by_file, pa.int32()).take(encoded["#file"].combine_chunks())

    def counts(self, encoded: pa.Table) -> Iterable[tuple[Records, int]]:
        """How many of n encoded rows are of each place, with what became of its records."""
        if len(self._known) == 1 or not encoded.num_rows:
            return [(self.records[place], encoded.num_rows) for place in self._known[:1]]
        counts = pc.value_counts(self.numbers(encoded)).to_pylist()
        return [(self.records[self._known[each["values"]]], each["counts"]) for each in counts]

    def bounds(self, encoded: pa.Table) -> tuple[Place, Place] | None:
        """The first and the last place of encoded rows that name their places."""
        if not self._columns or not encoded.num_rows:
            return None
        numbers = pc.min_max(self.numbers(encoded)).as_py()
        return self._known[numbers["min"]], self._known[numbers["max"]]

    def salted(self, keys: list[int], files: list[int]) -> pa.Array:
        """The keys of n records, made different for each place that rows tell apart: int64[n]."""
        array = pa.array(keys, pa.int64())
        if not self._columns:
            return array
        salts = pa.array([self._salts[self._by_file[file]] for file in files], pa.int64())
        return pc.add(array, salts)

    def with_columns(self, table: pa.Table, encoded: pa.Table) -> pa.Table:
        """Rows with account and region as columns, unless folders have them."""
        if not self._columns:
            return table
        numbers = self.numbers(encoded)
        for name in self._columns:
            names = pa.array([getattr(place, name) for place in self._known], pa.string())
            table = table.append_column(name, names.take(numbers))
        return table

    def in_order(self, encoded: pa.Table) -> pa.Array:
        """The indices of encoded rows by place, then by event time; ties stay as they are."""
        if not self._columns:
            return pc.sort_indices(encoded["eventTime"])
        keys = pa.table({"place": self.numbers(encoded), "time": encoded["eventTime"]})
        return pc.sort_indices(keys, [("place", "ascending"), ("time", "ascending")])
