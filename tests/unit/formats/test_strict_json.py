"""What strict readers refuse is changed, and nothing else is; what was changed can be undone."""

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pandas.io.json._json import ujson_loads

from cloudtrail_parquet.formats import jsontext
from cloudtrail_parquet.formats.strict_json import MAX_DEPTH, strict, strict_column, unwrap, wrap
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.records.json_columns import PATHS, as_in_files
from cloudtrail_parquet.schema.columns import UNMAPPED, JsonEncoding
from tests.builders import (
    envelope,
    exact,
    json_strings,
    json_values,
    normal,
    odd_records,
    table_of,
)

simdjson = pytest.importorskip("simdjson", reason="pysimdjson has no wheels for this Python")

TIMED = '"eventTime":"2026-01-10T12:34:56Z"'
ENCODINGS: list[JsonEncoding] = ["string", "json", "variant"]

number_texts = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,6})?", fullmatch=True
)


def deep(depth: int, inside: str = "", *, of_objects: bool = False) -> str:
    opening, closing = ('{"a":', "}") if of_objects else ("[", "]")
    return opening * depth + (inside or ("1" if of_objects else "")) + closing * depth


deep_values = st.builds(
    deep,
    st.sampled_from([MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 130, 1_100]),
    st.one_of(number_texts, json_strings),
    of_objects=st.booleans(),
)
hostile_values = st.one_of(
    json_values,
    number_texts,
    number_texts.map('{{"a":[1, {}]}}'.format),
    deep_values,
    deep_values.map('{{"k":"\\ud800","a":{}}}'.format),
)


def changed(text: str) -> str:
    return strict(text.encode()).decode()


TAKEN = [
    *("null", "true", "false", "0", "-0", "1.10", "[]", "{}", '""', "-9223372036854775808"),
    *("18446744073709551615", "1.7976931348623157e308", "5e-324", "1e-400", "1E+2"),
    *('"12345678901234567890123"', '{"1e999":"1e999"}', '"[[[["', '["a:-1e999"]'),
    *(r'"\ud83d\ude00"', r'"\\ud83d"', r'"\\\\ud83d\u0000"', r'"\uD83D\uDE00"', '"\ufffd"'),
    *(' { "a" : [ 1 , 2 ] } ', '{"a":1,"a":2}', "0." + "1" * 900),
    deep(MAX_DEPTH),
    deep(MAX_DEPTH, of_objects=True),
    "[" + ",".join(["[]"] * 500) + "]",
]
REFUSED = [
    (r'"\ud83d"', r'"\ufffd"'),
    (r'"\uDFFF"', r'"\ufffd"'),
    (r'"a\udc00\ud800z"', r'"a\ufffd\ufffdz"'),
    (r'"\ud83d\ud83d\ude00"', r'"\ufffd\ud83d\ude00"'),
    (r'"\\\ud83d"', r'"\\\ufffd"'),
    (r'"\ud83d\\ude00"', r'"\ufffd\\ude00"'),
    (r'{"\ud83d":[{"b":"\ud83d"}]}', r'{"\ufffd":[{"b":"\ufffd"}]}'),
    ("18446744073709551616", '"18446744073709551616"'),
    ("[ -9223372036854775809 ]", '[ "-9223372036854775809" ]'),
    ("100000000000000000000.0", '"100000000000000000000.0"'),
    ('{"a" : 1e400}', '{"a" : "1e400"}'),
    ("-1E999999", '"-1E999999"'),
    ("1e-99999999999", '"1e-99999999999"'),
    ("[1," + "9" * 5_000 + "]", '[1,"' + "9" * 5_000 + '"]'),
    ("0." + "1" * 1_000, '"0.' + "1" * 1_000 + '"'),
    (deep(MAX_DEPTH + 1), deep(MAX_DEPTH, '"[]"')),
    (deep(MAX_DEPTH + 2, r'"\ud83d"'), deep(MAX_DEPTH, r'"[[\"\\ud83d\"]]"')),
    (deep(100_000), deep(MAX_DEPTH, f'"{deep(100_000 - MAX_DEPTH)}"')),
    ("[{0},1,{0}]".format(deep(MAX_DEPTH)), "[{0},1,{0}]".format(deep(MAX_DEPTH - 1, '"[]"'))),
]


@pytest.mark.parametrize("text", TAKEN)
def test_text_that_all_readers_take_is_not_touched(text: str) -> None:
    given_ = text.encode()

    assert strict(given_) is given_


@pytest.mark.parametrize(("text", "instead"), REFUSED, ids=range(len(REFUSED)))
def test_what_strict_readers_refuse_is_changed_and_nothing_beside_it(
    text: str, instead: str
) -> None:
    assert changed(text) == instead
    assert changed(instead) == instead


def refused(texts: list[str]) -> dict[str, list[str]]:
    """The readers that refuse any of some JSON texts, with those."""
    some = {name: [one for one in texts if not _takes(read, one)] for name, read in READERS.items()}
    return {name: refused for name, refused in some.items() if refused}


@cache
def _duck() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def _ask(expression: str) -> Callable[[str], object]:
    return lambda text: _duck().execute(f"SELECT {expression}", [text]).fetchall()


def _polars(text: str) -> None:
    found = pl.Series([f'{{"k":7,"v":{text}}}']).str.json_path_match("$.k").to_list()
    if found != ["7"]:  # it does not raise
        raise ValueError(text)


def _takes(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, RuntimeError, RecursionError, duckdb.Error):
        return False
    return True


READERS: dict[str, Callable[[str], object]] = {
    "Python": json.loads,
    "pandas": ujson_loads,
    "simdjson": simdjson.loads,
    "DuckDB": _ask("?::VARCHAR ->> '$.a'"),
    "DuckDB json_structure": _ask("json_structure(?)"),
    "DuckDB VARIANT": _ask("?::JSON::VARIANT"),
    "Polars": _polars,
}


@example(deep(MAX_DEPTH))
@example(deep(MAX_DEPTH, of_objects=True))
@example('{"a":18446744073709551615,"b":-9223372036854775808}')
@given(hostile_values)
def test_every_reader_takes_what_is_made(text: str) -> None:
    assert refused([changed(text)]) == {}


def test_every_reader_takes_what_is_not_touched() -> None:
    assert refused(TAKEN) == {}


@pytest.mark.parametrize("text", [text for text, _ in REFUSED[:12]] + [deep(127)])
def test_only_what_some_reader_refuses_is_changed(text: str) -> None:
    assert refused([text])
    assert changed(text) != text


@given(hostile_values)
def test_what_is_made_stays_as_it_is(text: str) -> None:
    made = changed(text)

    assert changed(made) == made


@given(st.lists(st.one_of(st.none(), hostile_values), max_size=20), st.integers(0, 3))
def test_a_column_is_changed_text_by_text(texts: list[str | None], skipped: int) -> None:
    column = pa.array(texts, pa.string()).slice(skipped)

    made, rows = strict_column(column)

    expected = [text and changed(text) for text in texts[skipped:]]
    assert made.to_pylist() == expected
    assert rows == [n for n, text in enumerate(texts[skipped:]) if text != expected[n]]
    assert rows or made is column


@given(hostile_values)
def test_a_text_is_changed_alike_in_a_little_column_and_in_a_large_one(text: str) -> None:
    little = pa.array([text, None, "{}"], pa.string())
    large = pa.array([text, None, json.dumps("x" * 20_000)], pa.string())

    made, rows = strict_column(large)

    assert made.to_pylist()[:2] == strict_column(little)[0].to_pylist()[:2]
    assert rows == strict_column(little)[1]


members = st.dictionaries(
    st.sampled_from(["exactText", "a", "é", "\ud800", "\ud801", "requestParameters"]),
    st.one_of(hostile_values, st.just('"exactText"'), st.just('{"exactText":"{}"}')),
)


@example({"exactText": '"{\\"a\\":1}"'})
@example({"exactText": '"\\ud800"', "a": "1"})
@given(members)
def test_what_is_unmapped_is_strict_and_comes_back_whatever_it_holds(found: dict[str, str]) -> None:
    delivered = jsontext.compose([(name, text.encode()) for name, text in found.items()])

    written = wrap(delivered)

    assert unwrap(written) == delivered
    assert refused([written.decode()]) == {}
    assert (written == delivered) == (
        strict(delivered) == delivered and b"exactText" not in delivered
    )


# Rows as files hold them.


def hostile_record(column: str, text: str) -> str:
    top, _, member = column.partition(".")
    value = f'{{"{member}":{text}}}' if member else text
    return f'{{{TIMED},"{top}":{value}}}'


def table_from(texts: list[str]) -> pa.Table:
    return table_of(decode(envelope(texts), "a.json.gz"))


def as_rows(
    texts: list[str], encoding: JsonEncoding
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    table, inexact = as_in_files(table_from(texts), encoding)
    return table.to_pylist(), dict(inexact)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(st.data())
def test_every_record_comes_back_from_what_files_hold(
    encoding: JsonEncoding, data: st.DataObject
) -> None:
    hostile = st.builds(
        hostile_record, st.sampled_from([*PATHS, "new", "userAgent"]), hostile_values
    )
    texts = data.draw(st.lists(st.one_of(odd_records, hostile), min_size=1, max_size=4))

    rows, _ = as_rows(texts, encoding)

    for row, text in zip(rows, texts, strict=True):
        try:
            expected = normal(exact(text))
        except RecursionError:
            continue  # Python cannot say; the next test can
        assert normal(exact(restore_json(row))) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(st.sampled_from(PATHS), hostile_values)
def test_free_form_text_comes_back_byte_for_byte_unless_a_variant_holds_its_value(
    encoding: JsonEncoding, path: str, text: str
) -> None:
    ((row,), _) = as_rows([hostile_record(path, text)], encoding)

    if encoding != "variant" and text != "null":
        name = path.rpartition(".")[2]
        assert f'"{name}":{text.strip()}' in restore_json(row)


@pytest.mark.parametrize("encoding", ["string", "json"])
@given(
    st.lists(
        st.builds(hostile_record, st.sampled_from([*PATHS, "new"]), hostile_values), max_size=3
    )
)
def test_every_reader_takes_every_free_form_value_of_a_row(
    encoding: JsonEncoding, texts: list[str]
) -> None:
    rows, _ = as_rows(texts, encoding) if texts else ([], {})

    for row in rows:
        context = row["eventContext"] or {}
        found = [row[name] for name in (*PATHS, UNMAPPED) if "." not in name]
        values = [one for one in (*found, *context.values()) if isinstance(one, str)]
        assert refused(values) == {}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_changed_values_are_counted_by_column(encoding: JsonEncoding) -> None:
    paths = ["requestParameters", "eventContext.tagContext"]
    texts = [hostile_record(path, '{"a":"\\ud83d"}') for path in [*paths, paths[0]]]
    texts += [hostile_record(paths[0], "{}"), hostile_record("new", '"\\ud83d"')]

    rows, inexact = as_rows(texts, encoding)

    assert inexact == {"requestParameters": 2, "eventContext.tagContext": 1, "exactText": 3}
    assert [row["unmapped"] is not None for row in rows] == [True, True, True, False, True]


def test_a_table_in_which_nothing_is_odd_is_written_as_it_is() -> None:
    table = table_from([hostile_record("requestParameters", '{"a":1}')])

    written, inexact = as_in_files(table, "string")

    assert written.equals(table)
    assert not inexact


def test_hostile_text_takes_time_in_proportion_to_its_size() -> None:
    hostile: dict[str, Callable[[int], str]] = {
        "digits": lambda size: "9" * size,
        "digits in a string": lambda size: '"' + "9" * size + '"',
        "brackets": lambda size: deep(size // 2),
        "surrogates": lambda size: '"' + r"\ud800" * (size // 6) + '"',
        "backslashes": lambda size: '"' + "\\" * (size // 2 * 2) + '"',
        "numbers": lambda size: "[" + "1e999," * (size // 6) + "1]",
        "commas": lambda size: "[" + "1,  " * (size // 4) + "1e999]",
    }
    for name, make in hostile.items():
        once, eightfold = (_seconds(make(size)) for size in (200_000, 1_600_000))
        assert eightfold < 24 * once + 0.05, name


def _seconds(text: str) -> float:
    raw, seconds = text.encode(), list[float]()
    for _ in range(3):
        started = time.process_time()
        strict(raw)
        seconds.append(time.process_time() - started)
    return min(seconds)
