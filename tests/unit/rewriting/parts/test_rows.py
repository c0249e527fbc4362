"""Rows that are changed as a conversion would have made them."""

from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.json_columns import as_in_files
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.to_arrow import Columns
from cloudtrail_parquet.rewriting.parts.arrange import Arranger, clustered
from cloudtrail_parquet.rewriting.parts.rows import Changes, RowChanger, places_of
from cloudtrail_parquet.schema.columns import JSON_COLUMNS, JsonEncoding
from cloudtrail_parquet.settings.options import RowOptions
from cloudtrail_parquet.settings.rules import Redact
from tests.builders import ACCOUNT, REGION, draft_of, envelope, odd_records, record, table_of

PLACE = Place(ACCOUNT, REGION)
PLAIN = Changes(schema=False, encoding="string", discard=(), redact=(), place_columns=())
ENCODINGS: tuple[JsonEncoding, ...] = get_args(JsonEncoding)
AS_TEXT: tuple[JsonEncoding, ...] = ("string", "json")


def record_text(**members: str) -> str:
    """A record with members that are written so."""
    known = {"eventVersion": '"1.08"', "eventTime": '"2026-01-10T12:34:56Z"'}
    return "{" + ",".join(f'"{name}":{text}' for name, text in (known | members).items()) + "}"


def redact_rules() -> st.SearchStrategy[tuple[Redact, ...]]:
    keys = st.lists(st.sampled_from(["a", "Name", "b", "é", "eventTime"]), min_size=1, max_size=3)
    columns = st.lists(st.sampled_from(JSON_COLUMNS), max_size=2)
    rule = st.builds(
        lambda keys, columns: Redact(name="r", keys=tuple(keys), columns=tuple(columns)),
        keys,
        columns,
    )
    return rule.map(lambda one: (one,))


@given(
    records=st.lists(odd_records, min_size=1, max_size=3),
    rules=redact_rules(),
    encoding=st.sampled_from(AS_TEXT),
)
def test_redaction_after_the_fact_is_that_of_a_conversion(
    records: list[str], rules: tuple[Redact, ...], encoding: JsonEncoding
) -> None:
    batches = list(decode(envelope(records), "a.json.gz"))
    redactor = Redactor(rules)
    columns = Columns(redactor)
    drafts = [draft_of(columns, batch) for batch in batches]
    wanted = columns.materialize(pa.Table.from_batches(drafts, columns.encoded_schema))
    in_files, _ = as_in_files(table_of(decode(envelope(records), "a.json.gz")), encoding)

    changer = RowChanger(PLAIN._replace(redact=rules))
    changed = changer.changed(in_files, PLACE, "a part")

    assert not changed.in_files
    assert changed.table.to_pylist() == wanted.to_pylist()
    assert changer.redactor.counts == redactor.counts


@given(records=st.lists(odd_records, min_size=1, max_size=4))
@example(records=[record_text(mcpEventDetails='{"":true,"executionTimeMs":-0}')])
@example(records=[record_text(tlsDetails='{"z":{"b":1,"a":2},"tlsVersion":[1],"a":"\\ud800"}')])
@example(records=[record_text(userIdentity='{"type":1,"onBehalfOf":{"a":1},"type":2}')])
@pytest.mark.parametrize("before", ENCODINGS)
def test_rows_of_an_older_schema_with_the_same_columns_stay_the_same(
    before: JsonEncoding, records: list[str]
) -> None:
    in_files, _ = as_in_files(table_of(decode(envelope(records), "a.json.gz")), before)
    changer = RowChanger(PLAIN._replace(schema=True, encoding=before))

    changed = changer.changed(in_files, PLACE, "a part")

    again, _ = as_in_files(changed.table, before)
    assert again.to_pylist() == in_files.to_pylist()
    assert not +changer.unmapped
    assert not +changer.derived


def test_what_is_as_wanted_does_not_go_through_json() -> None:
    in_files, _ = as_in_files(table_of(decode(envelope([record()] * 3), "a.json.gz")), "variant")

    changed = RowChanger(PLAIN._replace(encoding="variant")).changed(in_files, PLACE, "a part")

    assert changed.in_files
    assert changed.table.equals(in_files)


def test_places_of_sorted_rows_are_their_runs() -> None:
    table = pa.table({"account": ["1", "1", "1", "2"], "region": ["a", "a", "b", "a"]})

    assert list(places_of(table, Place("", ""))) == [
        (Place("1", "a"), 0, 2),
        (Place("1", "b"), 2, 1),
        (Place("2", "a"), 3, 1),
    ]
    assert list(places_of(table.slice(0, 0), Place("", ""))) == []
    assert list(places_of(pa.table({"eventID": ["1", "2"]}), PLACE)) == [(PLACE, 0, 2)]


@given(
    rows=st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abc")), max_size=60),
    pieces=st.integers(1, 7),
    group=st.integers(1, 9),
)
def test_all_rows_leave_in_groups_of_the_wanted_size(
    rows: list[tuple[int, str]], pieces: int, group: int
) -> None:
    rows = sorted(rows, key=lambda row: row[1])
    options = RowOptions((), (), group, 1 << 30, ("eventName", "eventTime"), ("account",))
    emitted: list[pa.Table] = []
    arranger = Arranger(options, emitted.append)
    for first in range(0, len(rows), pieces):
        arranger.add(rows_of(rows[first : first + pieces]))
    arranger.finish()

    sizes = [table.num_rows for table in emitted]
    assert sizes[:-1] == [group] * len(sizes[:-1])
    assert sum(sizes) == len(rows)
    found = [row for table in emitted for row in table.to_pylist()]
    assert sorted(map(str, found)) == sorted(map(str, rows_of(rows).to_pylist()))
    for table in emitted:
        assert table.equals(clustered(table, options))
    accounts = [row["account"] for row in found]
    assert accounts == sorted(accounts)


def rows_of(rows: list[tuple[int, str]]) -> pa.Table:
    return pa.table(
        {
            "eventTime": pa.array([time for time, _ in rows], pa.int64()),
            "eventName": [f"call{time % 3}" for time, _ in rows],
            "account": pa.array([account for _, account in rows], pa.string()),
        }
    )
