"""One record with text that some readers refuse hides no other record from any of them."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.builders import ACCOUNT, REGION, as_text, exact, log_file, log_key, normal, record
from tests.end_to_end.planted import DAY
from tests.end_to_end.program import succeed
from tests.end_to_end.test_queries import QUERIES, view

ODD = {
    "surrogate": r'{"secretId":"nope\udbff"}',
    "name": r'{"secret\udc01Id":"x"}',
    "escape": r'{"secretId":"\u0000","x":"\\\\ud800"}',
    "number": '{"secretId":"x","versions":[1e999,' + "7" * 5_000 + "]}",
    "deep": '{"secretId":"x","tags":' + "[" * 1_200 + "]" * 1_200 + "}",
}
UNSEEN = {"escape"}  # every reader takes it as it is
ENCODINGS = ["string", "json", "variant"]


def read_secret(number: int, **changes: object) -> dict[str, Any]:
    return record(
        eventSource="secretsmanager.amazonaws.com",
        eventName="GetSecretValue",
        eventTime=f"{DAY:%Y-%m-%d}T10:00:{number:02d}Z",
        eventID=f"id-{number}",
        **{"requestParameters": {"secretId": f"good-{number}"}, "responseElements": ...} | changes,
    )


def odd_records() -> list[str]:
    """Each odd text in a free-form column, in one inside a struct, and in a field of no column."""
    places: list[dict[str, object]] = [
        {"requestParameters": "#"},
        {"eventContext": {"tagContext": "#"}},
        {"tomorrow": "#"},
    ]
    return [
        as_text(read_secret(10 + number, **place)).replace('"#"', text)
        for number, (text, place) in enumerate(
            (text, place) for text in ODD.values() for place in places
        )
    ]


class Converted:
    """A day of two good records among odd ones, converted."""

    def __init__(self, folder: Path, encoding: str) -> None:
        logs = folder / "logs"
        self.delivered = [*map(as_text, [read_secret(1), read_secret(2)]), *odd_records()]
        self.delivered.append(as_text(read_secret(3)).replace("[aws-cli/2.31]", r"cli\ud800"))
        path = logs / log_key(ACCOUNT, REGION, DAY.replace(hour=11))
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(*self.delivered))
        self.dataset = folder / "dataset"
        said = succeed("convert", logs, self.dataset, "--json-encoding", encoding, "--json")
        self.receipt = json.loads(said)
        (self.part,) = self.dataset.rglob("*.parquet")


@pytest.fixture(scope="module", params=ENCODINGS)
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    return Converted(tmp_path_factory.mktemp("odd"), request.param)


@pytest.fixture(scope="module", params=["string", "json"])
def as_texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return Converted(tmp_path_factory.mktemp("odd"), request.param)


def test_every_odd_record_is_exported_as_it_was_delivered(converted: Converted) -> None:
    exported = succeed("export", converted.dataset).splitlines()

    lines, texts = sorted(exported, key=_time), sorted(converted.delivered, key=_time)
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        assert (ODD["deep"] in line) == (ODD["deep"] in text)  # too deep for Python to parse
        one, other = (exact(some.replace(ODD["deep"], "{}")) for some in (line, text))
        assert normal(one) == normal(other)


def _time(text: str) -> str:
    return text.partition('"eventTime":"')[2][:20]


def test_the_receipt_counts_what_is_not_held_exactly(converted: Converted) -> None:
    unmapped = converted.receipt["unmapped"]

    assert unmapped["tomorrow"] == len(ODD)
    assert unmapped["exactText"] == 3 * len(set(ODD) - UNSEEN) + 1
    assert unmapped["requestParameters"] == len(set(ODD) - UNSEEN)
    assert unmapped["eventContext.tagContext"] == len(set(ODD) - UNSEEN)


def test_the_queries_of_the_repository_find_all_rows(as_texts: Converted) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(view(as_texts.dataset))
        read, fields = (
            connection.sql(QUERIES[name].read_text()).to_arrow_table().to_pylist()
            for name in ("secrets_read", "fields_without_a_column")
        )

    assert sum(row["reads"] for row in read) == len(as_texts.delivered)
    assert {"good-1", "good-2", "good-3", "nope\ufffd"} <= {row["secret"] for row in read}
    assert {row["field"] for row in fields} == {
        *("requestParameters", "eventContext", "tomorrow", "userAgent")
    }


def test_duckdb_parses_all_that_people_parse(as_texts: Converted) -> None:
    with duckdb.connect() as connection:
        connection.execute(view(as_texts.dataset))
        everything = connection.sql("FROM cloudtrail")
        for column in ("requestParameters", "eventContext.tagContext", "unmapped"):
            assert not everything.filter(f"NOT json_valid({column}::VARCHAR)").fetchall(), column
            everything.project(f"json_keys({column}), {column}::JSON::VARIANT").fetchall()


def test_polars_finds_the_value_of_every_row_that_has_one(as_texts: Converted) -> None:
    frame = pl.read_parquet(as_texts.part, columns=["eventTime", "requestParameters"]).sort(
        "eventTime"
    )
    column = frame["requestParameters"].cast(pl.String)

    found = column.str.json_path_match("$.secretId").to_list()
    decoded = column.str.json_decode(pl.Struct({"secretId": pl.String})).to_list()

    assert found == [json.loads(text).get("secretId") for text in column]
    assert [one["secretId"] for one in decoded] == found


def test_fastparquet_and_python_read_every_value(as_texts: Converted) -> None:
    frame = fastparquet.ParquetFile(BytesIO(as_texts.part.read_bytes())).to_pandas(
        columns=["eventID", "requestParameters", "unmapped"]
    )
    rows = pq.read_table(as_texts.part, partitioning=None).to_pylist()

    assert len(frame) == len(rows) == len(as_texts.delivered)
    for row in rows:
        for text in (row["requestParameters"], row["unmapped"]):
            assert text is None or json.loads(text) is not None
