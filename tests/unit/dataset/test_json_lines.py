"""The texts of many rows are those that each row gives by itself, byte for byte."""

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.dataset.json_lines import as_bytes, on_one_line, restore_texts
from cloudtrail_parquet.records.decode import decode
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.records.json_columns import as_in_files
from cloudtrail_parquet.schema.columns import JsonEncoding
from tests.builders import (
    SURROGATE_NAME,
    envelope,
    fitting_records,
    odd_records,
    record,
    table_of,
)

ENCODINGS: tuple[JsonEncoding, ...] = get_args(JsonEncoding)
TIMED = '"eventTime":"2026-01-10T12:34:56Z"'
ESCAPED = '"\\\\ \\" \\/ \\b\\f\\n\\r\\t \\u0000\\u001f \\u007f é 漢 \\ud83d\\ude00"'


def in_files(records: Iterable[object], encoding: JsonEncoding = "string") -> pa.RecordBatch:
    """The rows of records, as a file holds them."""
    batches = [batch for batch in decode(envelope(records), "a.json.gz") if batch.records]
    written, _ = as_in_files(table_of(batches), encoding)
    file = io.BytesIO()
    pq.write_table(written, file)
    (batch,) = pq.ParquetFile(file).iter_batches()
    return batch


def one_by_one(batch: pa.RecordBatch) -> list[str]:
    """What each row gives by itself."""
    return list(map(restore_json, batch.to_pylist()))


@pytest.mark.parametrize("encoding", ENCODINGS)
@example(records=[SURROGATE_NAME, record()])
@example(records=[f'{{{TIMED},"userAgent":{ESCAPED},"resources":[{{"ARN":{ESCAPED}}}]}}'])
@example(records=[f'{{{TIMED},"requestParameters":{{\n"a" :\r[1,\t2]}},"new":[\n]}}', record()])
@example(records=[f'{{{TIMED},"tlsDetails":{{}},"resources":[null,{{}}]}}', f"{{{TIMED}}}"])
@given(records=st.lists(st.one_of(odd_records, fitting_records), min_size=1, max_size=6))
def test_rows_together_give_what_each_gives_by_itself(
    records: list[Any], encoding: JsonEncoding
) -> None:
    batch = in_files(records, encoding)

    assert restore_texts(batch).to_pylist() == one_by_one(batch)


@given(records=st.lists(odd_records, min_size=3, max_size=6), data=st.data())
def test_some_rows_of_a_batch_give_what_they_give_alone(
    records: list[str], data: st.DataObject
) -> None:
    batch = in_files(records)
    first = data.draw(st.integers(0, len(batch) - 1))
    some = batch.slice(first, data.draw(st.integers(1, len(batch) - first)))

    assert restore_texts(some).to_pylist() == one_by_one(some)


@given(st.lists(odd_records, min_size=1, max_size=4))
def test_lines_are_the_texts_and_their_ends(records: list[str]) -> None:
    verbatim = restore_texts(in_files(records))
    texts = on_one_line(verbatim)

    assert texts.to_pylist() == [
        text.replace("\n", " ").replace("\r", " ") for text in verbatim.to_pylist()
    ]
    assert bytes(as_bytes(texts)) == "".join(f"{text}\n" for text in texts.to_pylist()).encode()
    assert bytes(as_bytes(texts.slice(1))) == b"".join(
        bytes(as_bytes(texts)).splitlines(keepends=True)[1:]
    )


def test_times_of_every_size_and_nulls_between_them() -> None:
    times = ["0001-01-01T00:00:00Z", "1901-02-03T04:05:06.000007Z", "9999-12-31T23:59:59Z"]
    batch = in_files([record(eventTime=time) for time in times])

    restored = [json.loads(text)["eventTime"] for text in restore_texts(batch).to_pylist()]
    assert restored == times


def test_columns_that_an_older_file_lacks_are_absent() -> None:
    batch = in_files([record(newField=1, tlsDetails={"tlsVersion": "TLSv1.3"})])
    members = dict(zip(batch.schema.names, batch.columns, strict=True))
    del members["userAgent"]
    members["tlsDetails"] = pa.StructArray.from_arrays(
        [members["tlsDetails"].field("tlsVersion")], ["tlsVersion"]
    )
    older = pa.RecordBatch.from_pydict(members)

    (text,) = restore_texts(older).to_pylist()
    assert [text] == one_by_one(older)
    assert json.loads(text)["newField"] == 1
    assert "userAgent" not in json.loads(text)


def test_a_null_that_is_unmapped_adds_nothing() -> None:
    batch = in_files([record(newField=1), record()])
    unmapped = pa.array(['{"a":null,"b":[1 ,2]}', None])
    changed = batch.set_column(batch.schema.names.index("unmapped"), "unmapped", unmapped)

    assert restore_texts(changed).to_pylist() == one_by_one(changed)


def test_text_that_is_not_utf_8_is_an_error() -> None:
    batch = in_files([record(), record(userAgent="zzzz")])
    offsets, data = batch.column("userAgent").buffers()[1:]
    bad = pa.py_buffer(data.to_pybytes().replace(b"zzzz", b"zz\xffz"))
    agents = pa.Array.from_buffers(pa.string(), len(batch), [None, offsets, bad])
    damaged = batch.set_column(batch.schema.names.index("userAgent"), "userAgent", agents)

    with pytest.raises(ValueError, match=r"UTF-?8"):
        restore_texts(damaged)


@pytest.mark.skipif(
    not os.environ.get("CLOUDTRAIL_CORPUS"),
    reason="CLOUDTRAIL_CORPUS is not set: NO REAL RECORDS WERE TESTED",
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_real_records_together_give_what_each_gives_by_itself(encoding: JsonEncoding) -> None:
    from tests.end_to_end.test_corpus import texts_of  # noqa: PLC0415

    texts = [
        text
        for path in sorted(Path(os.environ["CLOUDTRAIL_CORPUS"]).rglob("*.json"))
        for text in texts_of(path)
    ]
    batch = in_files(texts, encoding)

    assert restore_texts(batch).to_pylist() == one_by_one(batch)
