"""Rows of an older schema as those of the current one.

Most rows need nothing but nulls in the new columns. Only those that hold something under the name
of a column in ``unmapped``, or in which the upgrade fills in something else now, are made records
again and coerced as if they had just been delivered.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cloudtrail_parquet.errors import UsageError, listed
from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import EXACT_TEXT, is_wrapped, unwrap, wrap
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.coerce import aliases
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.event_times import event_times
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.to_arrow import KEYS, Columns, unmapped_names
from cloudtrail_parquet.records.upgrade import DERIVABLE, upgrade
from cloudtrail_parquet.schema.columns import RECORD, SCHEMA, UNMAPPED

NEWER = "Rewrite it with the version that has made it, or a newer one"
_UPGRADED_BY = ("eventVersion", *DERIVABLE)
_NAMES = frozenset(RECORD.names) | frozenset(aliases(RECORD))


class Again(NamedTuple):
    """What has come of rows that were coerced again, as far as it differs from before.

    Attributes:
        unmapped: How many more of them hold something under a name in ``unmapped``, or how many
            less, by name.
        derived: In how many more, or less, a column was filled in, by column.
    """

    unmapped: Counter[str]
    derived: Counter[str]


def upgraded(
    table: pa.Table, places: Sequence[Place], redactor: Redactor, where: str
) -> tuple[pa.Table, Again]:
    """Make n rows of the current schema of n rows of this or an older one, in order.

    Args:
        table: The rows, with free-form columns as `json_columns.as_texts` has them.
        places: The place of each row.
        redactor: Redacts what is coerced again.
        where: The part, for errors.

    Raises:
        UsageError: A member of a column is unknown.
        ValueError: A row does not hold what any conversion writes.
    """
    columns, others = [], pa.repeat(pa.scalar(value=False), table.num_rows)
    for field in SCHEMA:
        column, differs = _column(table, field, where)
        columns.append(column)
        others = pc.or_(others, differs)
    rows = pc.indices_nonzero(pc.or_(others, _incomplete(table, places)))
    known = pa.Table.from_arrays(columns, schema=SCHEMA)
    if not len(rows):
        return known, Again(Counter(), Counter())
    before = table.take(rows)
    coerced, again = _coerced(before, [places[row] for row in rows.to_pylist()], redactor, where)
    again.unmapped.subtract(_unmapped_in(before))
    again.derived.subtract(_derived_in(before))
    coerced = _as_delivered(coerced, before)
    both = pa.concat_tables([known, coerced]).combine_chunks()
    order = list(range(table.num_rows))
    for number, row in enumerate(rows.to_pylist()):
        order[row] = table.num_rows + number
    return both.take(pa.array(order, pa.int64())), again


def _unmapped_in(table: pa.Table) -> Counter[str]:
    """The rows that hold something unmapped, by its name, as a conversion counts them."""
    counts = Counter[str]()
    texts = table[UNMAPPED].to_pylist() if UNMAPPED in table.column_names else []
    for text in filter(None, texts):
        members = jsontext.members(unwrap(text.encode()))
        counts.update(unmapped_names(list(members.items())))
        counts[EXACT_TEXT] += is_wrapped(text.encode())
    return counts


def _derived_in(table: pa.Table) -> Counter[str]:
    names = table["derived"].to_pylist() if "derived" in table.column_names else []
    return Counter(name for each in names for name in each or ())


def _column(table: pa.Table, field: pa.Field, where: str) -> tuple[pa.Array, pa.Array]:
    """A column of the current type, and for each row whether it has to be coerced again."""
    nothing = pa.nulls(table.num_rows, field.type)
    if field.name not in table.column_names:
        return nothing, pa.repeat(pa.scalar(value=False), table.num_rows)
    column = table[field.name].combine_chunks()
    widened = _widened(column, field.type, f"{where}: {field.name}")
    if widened is None:  # of another type than before
        return nothing, column.is_valid()
    return widened, pa.repeat(pa.scalar(value=False), table.num_rows)


def _widened(column: pa.Array, dtype: pa.DataType, where: str) -> pa.Array | None:
    """A column with nulls for members that it lacks; None if it is of another type."""
    if column.type == dtype:
        return column
    if pa.types.is_struct(dtype) and pa.types.is_struct(column.type):
        return _widened_struct(column, dtype, where)
    if pa.types.is_list(dtype) and pa.types.is_list(column.type):
        items = _widened(column.flatten(), dtype.value_type, where)
        if items is None:
            return None
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        ends = pc.cumulative_sum(lengths).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        return pa.ListArray.from_arrays(offsets, items, type=dtype, mask=column.is_null())
    is_map = pa.types.is_map(dtype) and pa.types.is_map(column.type)
    return column.cast(dtype) if is_map else None


def _widened_struct(column: pa.Array, dtype: pa.StructType, where: str) -> pa.Array | None:
    there = dict(zip((child.name for child in column.type), column.flatten(), strict=True))
    if unknown := there.keys() - {child.name for child in dtype}:
        what = f"it has members that this version does not know: {listed(unknown)}"
        raise UsageError(what, where, NEWER)
    members = [
        _widened(there[child.name], child.type, f"{where}.{child.name}")
        if child.name in there
        else pa.nulls(len(column), child.type)
        for child in dtype
    ]
    if any(member is None for member in members):
        return None
    return pa.StructArray.from_arrays(members, fields=list(dtype), mask=column.is_null())


def _incomplete(table: pa.Table, places: Sequence[Place]) -> pa.Array:
    """For each row whether the columns of the current schema may hold more of it."""
    rows = _upgraded_otherwise(table, places)
    if UNMAPPED in table.column_names:
        texts = table[UNMAPPED].to_pylist()
        rows = pc.or_(rows, pa.array(list(map(_concerns_columns, texts)), pa.bool_()))
    return rows


def _upgraded_otherwise(table: pa.Table, places: Sequence[Place]) -> pa.Array:
    """For each row whether the upgrade would fill in something else than it has.

    Of rows that are alike in all that the upgrade looks at, one is asked.
    """
    if not {*_UPGRADED_BY, "derived", "eventTime"} <= {*table.column_names}:
        return pa.repeat(pa.scalar(value=True), table.num_rows)
    columns = [table[name].to_pylist() for name in (*_UPGRADED_BY, "derived")]
    days = pc.cast(table["eventTime"], pa.date32()).to_pylist()
    known: dict[Any, bool] = {}
    answers = []
    for *values, derived, day, place in zip(*columns, days, places, strict=True):
        key = (*values, tuple(derived or ()), day, place)
        if key not in known:
            known[key] = _is_otherwise(dict(zip(_UPGRADED_BY, values, strict=True)), *key[-3:])
        answers.append(known[key])
    return pa.array(answers, pa.bool_())


def _is_otherwise(
    values: dict[str, Any], derived: tuple[str, ...], day: date, place: Place
) -> bool:
    if "eventTime" in derived:  # of an aggregated record: only that tells its time
        return True
    given = {name: None if name in derived else value for name, value in values.items()}
    record = SimpleNamespace(**given, eventTime=f"{day}T00:00:00Z")
    names = upgrade(record, *place)
    return tuple(names) != derived or any(
        getattr(record, name) != value for name, value in values.items()
    )


def _concerns_columns(unmapped: str | None) -> bool:
    """Whether what is unmapped of a row has the name of a column."""
    if unmapped is None:
        return False
    return not _NAMES.isdisjoint(jsontext.members(unwrap(unmapped.encode())))


def _coerced(
    table: pa.Table, places: Iterable[Place], redactor: Redactor, where: str
) -> tuple[pa.Table, Again]:
    """Make records of rows again, and rows of these, as a conversion does."""
    texts = [restore_json(row).encode() for row in table.to_pylist()]
    columns, encoded, at = Columns(redactor), [], iter(places)
    for batch in decode(b'{"Records":[' + b",".join(texts) + b"]}", where):
        times = event_times(batch.records, batch.unmapped)
        derived = {
            row: names
            for row, record in enumerate(batch.records)
            if (names := upgrade(record, *next(at)))
        }
        keys = [pa.nulls(len(batch.records), field.type) for field in KEYS]
        encoded.append(columns.encode(batch.records, times, batch.unmapped, derived, keys))
    rows = columns.materialize(pa.Table.from_batches(encoded, columns.encoded_schema))
    if rows.num_rows != table.num_rows or rows["eventTime"].null_count:
        raise ValueError("a row is not a record")
    return rows, Again(columns.unmapped_counts, columns.derived_counts)


def _as_delivered(table: pa.Table, before: pa.Table) -> pa.Table:
    """Rows that were coerced again, with what is unmapped in the order of before.

    That is the order of delivery, which a record that was restored does not have: there, members
    of structs come first. A conversion sorts the names of the record itself, so these stay.
    """
    if UNMAPPED not in before.column_names:
        return table
    texts, former = table[UNMAPPED].to_pylist(), before[UNMAPPED].to_pylist()
    for row, (now, then) in enumerate(zip(texts, former, strict=True)):
        if now and then and now != then:
            old = jsontext.members(unwrap(then.encode()))
            members = jsontext.members(unwrap(now.encode())).items()
            ordered = [(name, _ordered(text, old.get(name, text))) for name, text in members]
            texts[row] = wrap(jsontext.compose(ordered)).decode()
    at = table.schema.get_field_index(UNMAPPED)
    return table.set_column(at, SCHEMA.field(UNMAPPED), pa.array(texts, pa.string()))


def _ordered(now: bytes, then: bytes) -> bytes:
    """A text, its members in the order that they have in another one, then those that it lacks."""
    if now == then or not now[:1] == then[:1] == b"{":
        return now
    new, old = jsontext.members(now), jsontext.members(then)
    names = [*(name for name in old if name in new), *(name for name in new if name not in old)]
    members = [(name, _ordered(new[name], old.get(name, new[name]))) for name in names]
    return jsontext.compose(members)
