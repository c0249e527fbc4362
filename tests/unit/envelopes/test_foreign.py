"""What files look like that hold no CloudTrail records."""

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.envelopes.foreign import by_members, by_text
from cloudtrail_parquet.envelopes.shapes import enclosed_records
from cloudtrail_parquet.errors import UnreadableLogError
from tests.builders import envelope, record

LOG = envelope([record()])


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), sink)
    return sink.getvalue()


def orc() -> bytes:
    sink = io.BytesIO()
    pyarrow.orc.write_table(pa.table({"a": [1]}), sink)
    return sink.getvalue()


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.json", LOG)
    return sink.getvalue()


def tarred() -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("a.json")
        member.size = len(LOG)
        archive.addfile(member, io.BytesIO(LOG))
    return sink.getvalue()


def in_arrow(codec: str) -> bytes:
    return bytes(pa.compress(LOG, codec, asbytes=True))


def reason(text: bytes) -> str:
    with pytest.raises(UnreadableLogError) as caught:
        enclosed_records(text, "a.json.gz")
    return str(caught.value)


def test_other_formats_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("create table a (b)")
    files = {
        "a Parquet file. Read it as it is": parquet(),
        "an ORC file": orc(),
        "a zip archive. Unpack it": zipped(),
        "a tar archive. Unpack it": tarred(),
        "compressed by zstd. Inflate it with zstd -d": in_arrow("zstd"),
        "compressed by bzip2. Inflate it with bzip2 -d": bz2.compress(LOG),
        "compressed by xz. Inflate it with xz -d": lzma.compress(LOG),
        "compressed by lz4. Inflate it with lz4 -d": in_arrow("lz4"),
        "gzipped three times. Inflate it": gzip.compress(LOG),
        "an SQLite database": (tmp_path / "a.db").read_bytes(),
        "a PDF document": b"%PDF-1.7\n%\xe2\xe3",
        "an Avro file": b"Obj\x01\x04\x16avro.schema",
    }

    assert {kind for kind, data in files.items() if f": it is {kind}" not in reason(data)} == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", "empty. Copy the object again"),
        (b" \r\n" * 9_000, "empty. Copy the object again"),
        (bytes(9_000), "nothing but zero bytes"),
        (bytes(range(256)) * 9, "binary data"),
        (b"hello", "text, but not JSON"),
        (b"# a comment\n", "text, but not JSON"),
        (b"2026-01-10 12:00:00 INFO started\n", "text, but not JSON"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "a pointer of Git LFS. Fetch the file itself with git lfs pull",
        ),
        (b"<!DOCTYPE html><html><title>403</title>", "an HTML page. Copy the object again"),
        (
            b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
            "an error of S3 in place of an object. Copy the object again",
        ),
        (b'<?xml version="1.0"?><Event/>', "XML"),
        (
            b"version account-id interface-id srcaddr dstaddr srcport dstport\n",
            "a VPC flow log. Move it out of the source",
        ),
        (
            b"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20\n",
            "a VPC flow log",
        ),
        (
            b"https 2018-07-02T22:23:00.186641Z app/lb/50dc6c495c0c9188 192.168.131.39:2817 ",
            "a log of a load balancer",
        ),
        (
            b"2015-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001",
            "a log of a classic load balancer",
        ),
        (
            (
                b"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-bucket "
                b"[06/Feb/2019:00:00:38 +0000] 192.0.2.3 -"
            ),
            "an access log of S3",
        ),
        (b"#Version: 1.0\n#Fields: date time\n", "an access log of CloudFront"),
        (
            b"eventID,eventName\na,b\n",
            "a CSV file. Of a query in CloudTrail Lake, select eventJson",
        ),
        (b'"eventID","eventName"\r\n"a","b"\r\n', "a CSV file"),
    ],
)
def test_texts_are_told_by_their_beginning(text: bytes, kind: str) -> None:
    if text[:1] not in b'{["' or not text:
        assert f": it is {kind}" in reason(text)
    found = by_text(text)
    assert f"{found.what}. {found.hint}".startswith(kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            '{"awsAccountId":"012345678901","digestStartTime":"2026-01-10T11:00:00Z","logFiles":[]}',
            "a digest file of CloudTrail, which names log files and holds no records. Move it out",
        ),
        ('{"fileVersion":"1.0","configurationItems":[{}]}', "a history or snapshot of AWS Config"),
        (
            '{"version":"1.0","files":[],"hashSignature":"a"}',
            "the signature of saved query results. Convert the results, not this",
        ),
        ('{"QueryStatus":"RUNNING"}', "the answer about a query in CloudTrail Lake without rows"),
        ('{"s3Bucket":"a","s3ObjectKey":["b"]}', "a notification that names log files"),
        ('{"Type":"Notification","MessageId":"a","Message":"{}"}', "a notification of SNS"),
        ('{"timestamp":1,"webaclId":"a","httpRequest":{}}', "a log of AWS WAF"),
        ('{"metadata":{"product":{}},"class_uid":3005}', "an event in the form of OCSF"),
        ('{"Error":{"Code":"AccessDenied"}}', "an error message. Copy the object again"),
        ('{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}', "a JSON object with a, b, c, d, e, …"),
        ("{}", "an empty JSON object"),
    ],
)
def test_objects_are_told_by_their_members(text: str, kind: str) -> None:
    assert f": it is {kind}" in reason(text.encode())
    assert f"no record is in it; .[0]: it is {kind}" in reason(f"[{text}]".encode())


def test_rows_of_a_query_without_the_record_say_what_to_select() -> None:
    assert reason(b'{"QueryResultRows":[[{"eventID":"a"},{"eventName":"b"}]]}') == (
        "a.json.gz: no record is in it; .QueryResultRows[0]: it is a row of CloudTrail Lake "
        "without its record. Select eventJson in the query"
    )


def test_hostile_names_of_members_are_shown_in_one_line() -> None:
    assert "\n" not in reason(b'{"a\\nb":1,"\\u001b[31m":2}')
    assert by_members(["x" * 10_000]).what.count("x") < 200
