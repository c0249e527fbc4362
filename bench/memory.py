"""The peak memory of conversions of hostile and of giant inputs: ``python -m bench.memory``.

Each input is made once below build/bench/memory and kept; each conversion runs in a process of its
own, as the command does, with one worker. ``--check`` fails when a peak comes close to what the
function has by default.
"""

import argparse
import gzip
import json
import os
import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from bench.apart import run_apart
from bench.corpora import ACCOUNT, DAY, FOLDER, REGION
from cloudtrail_parquet.contract import MEMORY_MB
from cloudtrail_parquet.reference.markdown import table

_MIB = 1 << 20
MAY_TAKE = 0.75  # of the function's memory; the rest is for the runtime and what else runs in it
BOMB_BYTES, BOMB_STORED = 10 << 30, 10 * 10**6
LARGE_BYTES, HALF_BYTES = 600 * 10**6, 300 * 10**6
MANY_RECORDS, RECORDS_A_FILE = 2_000_000, 5_000
TINY_FILES = 100_000


def _event(number: int) -> bytes:
    """A record of about 1,300 bytes, as an assumed role makes them."""
    moment = DAY + timedelta(seconds=number * 86_399 / MANY_RECORDS % 86_399)
    return json.dumps(
        {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": f"AROAEXAMPLE:session-{number % 5_000}",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/session-{number % 5_000}",
                "accountId": ACCOUNT,
                "accessKeyId": f"ASIAEXAMPLE{number % 5_000:08d}",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role",
                        "principalId": "AROAEXAMPLE",
                        "arn": f"arn:aws:iam::{ACCOUNT}:role/reader",
                        "accountId": ACCOUNT,
                        "userName": "reader",
                    },
                    "attributes": {
                        "creationDate": f"{DAY:%Y-%m-%d}T00:00:{number % 60:02d}Z",
                        "mfaAuthenticated": "false",
                    },
                },
            },
            "eventTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "s3.amazonaws.com",
            "eventName": ("GetObject", "PutObject", "HeadObject")[number % 3],
            "awsRegion": REGION,
            "sourceIPAddress": f"203.0.113.{number % 256}",
            "userAgent": "[aws-sdk-java/2.31 Linux/6.1 OpenJDK_64-Bit_Server_VM/21]",
            "requestParameters": {
                "bucketName": f"logs-{number % 100}",
                "key": f"data/{number * 2654435761 % 2**32:08x}/{number}.json",
                "Host": f"logs-{number % 100}.s3.{REGION}.amazonaws.com",
            },
            "responseElements": None,
            "additionalEventData": {
                "bytesTransferredIn": 0,
                "bytesTransferredOut": number * 7919 % 100_000,
                "x-amz-id-2": f"{number * 11400714819323198485 % 2**64:016x}" * 4,
            },
            "requestID": f"{number * 40503 % 2**32:016X}",
            "eventID": f"{number:08x}-0000-4000-8000-{number * 2654435761 % 2**48:012x}",
            "readOnly": True,
            "resources": [
                {"type": "AWS::S3::Object", "ARNPrefix": f"arn:aws:s3:::logs-{number % 100}/"}
            ],
            "eventType": "AwsApiCall",
            "managementEvent": False,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Data",
        },
        separators=(",", ":"),
    ).encode()


def _path(folder: Path, number: int, files: int) -> Path:
    delivered: datetime = DAY + timedelta(minutes=5) + timedelta(days=0.99) * number / files
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{delivered:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
    day_folder = folder / "AWSLogs" / ACCOUNT / "CloudTrail" / REGION / f"{DAY:%Y/%m/%d}"
    day_folder.mkdir(parents=True, exist_ok=True)
    return day_folder / name


def _log(events: list[bytes]) -> bytes:
    text = b'{"Records":[' + b",".join(events) + b"]}"
    return gzip.compress(text, compresslevel=1, mtime=0)


def _bomb(folder: Path) -> None:
    """Ten megabytes that inflate to ten gigabytes of spaces, beside a good file."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    pieces.append(deflate.compress(b'{"Records":[') + deflate.flush(zlib.Z_FULL_FLUSH))
    piece = deflate.compress(b" " * _MIB) + deflate.flush(zlib.Z_FULL_FLUSH)
    pieces += [piece] * min(BOMB_BYTES // _MIB, BOMB_STORED // len(piece))
    trailer = struct.pack("<LL", 0, 300 * _MIB)  # declares a size that could be that of a log file
    _path(folder, 0, 2).write_bytes(b"".join(pieces) + deflate.flush() + trailer)
    _path(folder, 1, 2).write_bytes(_log([_event(1)]))


def _half(folder: Path) -> None:
    """One log file of 300 MB of JSON."""
    _one_file(folder, HALF_BYTES)


def _large(folder: Path) -> None:
    """One log file of 600 MB of JSON."""
    _one_file(folder, LARGE_BYTES)


def _damaged(folder: Path) -> None:
    """The same with a NaN in its last record."""
    _one_file(folder, LARGE_BYTES, b',{"eventVersion":NaN}')


def _one_file(folder: Path, bytes_: int, last: bytes = b"") -> None:
    path, size, numbers = _path(folder, 0, 1), 0, count(1)
    with gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file:
        file.write(b'{"Records":[' + _event(0))
        while size < bytes_:
            text = b"," + _event(next(numbers) * 4 % MANY_RECORDS)
            size += file.write(text)
        file.write(last + b"]}")


def _many(folder: Path) -> None:
    """Two million records of one day in files of 5,000."""
    files = MANY_RECORDS // RECORDS_A_FILE
    for number in range(files):
        first = number * RECORDS_A_FILE
        events = [_event(event) for event in range(first, first + RECORDS_A_FILE)]
        _path(folder, number, files).write_bytes(_log(events))


def _tiny(folder: Path) -> None:
    """100,000 files of one record each."""
    for number in range(TINY_FILES):
        event = _event(number * MANY_RECORDS // TINY_FILES)
        _path(folder, number, TINY_FILES).write_bytes(_log([event]))


MAKERS: dict[str, Callable[[Path], None]] = {
    "bomb": _bomb,
    "half": _half,
    "large": _large,
    "damaged": _damaged,
    "many": _many,
    "tiny": _tiny,
}


def made(name: str) -> Path:
    """The folder of an input, made if it is not there."""
    folder = FOLDER / "memory" / name
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        MAKERS[name](unfinished)
        unfinished.rename(folder)
    return folder


def rows(names: list[str], options: list[str]) -> Iterator[tuple[tuple[str, ...], float]]:
    """A row of the table for each input, and its peak in MiB."""
    for name in names:
        logs, out = made(name), FOLDER / "memory" / "out"
        for folder in (out, Path(f"{out}.state")):
            shutil.rmtree(folder, ignore_errors=True)
        convert = [sys.executable, "-m", "cloudtrail_parquet.cli", "convert", str(logs), str(out)]
        convert += ["--workers", "1", "--day", f"{DAY:%Y-%m-%d}", "--json", *options]
        usage = run_apart(convert, os.environ)
        if usage.status not in {0, 3}:
            raise SystemExit(f"{name} failed with {usage.status}")
        written, about = json.loads(usage.output)["records"]["written"], MAKERS[name].__doc__ or ""
        figures = f"{written:,}", f"{usage.wall_s:.0f}", f"{usage.peak_mib:.0f}"
        yield (name, about.rstrip("."), *figures), usage.peak_mib


def main() -> int:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--input", choices=MAKERS, action="append", help="default: all")
    options.add_argument("--json-encoding", choices=("string", "json", "variant"))
    options.add_argument("--check", action="store_true")
    asked = options.parse_args()
    encoding = ["--json-encoding", asked.json_encoding] if asked.json_encoding else []
    measured = list(rows(asked.input or list(MAKERS), encoding))
    print(table(("", "input", "records", "seconds", "peak MiB"), [row for row, _ in measured]))
    print(f"\nThe function has {MEMORY_MB:,} MB.")
    return int(asked.check and any(peak > MAY_TAKE * MEMORY_MB for _, peak in measured))


if __name__ == "__main__":
    sys.exit(main())
