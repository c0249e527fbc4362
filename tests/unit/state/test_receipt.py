import json
from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import pytest

from cloudtrail_parquet.errors import ReconciliationError
from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.state.figures import Files, Part, Quarantined, Records
from cloudtrail_parquet.state.receipt import (
    Made,
    Read,
    Receipt,
    Rows,
    ShardReceipt,
    receipt_of,
    to_text,
)
from cloudtrail_parquet.state.sums import as_kept, total

UNIT = Unit("012345678901", "us-east-1", date(2026, 1, 10))
NOW = datetime(2026, 1, 12, tzinfo=UTC)
MEMBERS = [
    *(
        "account",
        "region",
        "day",
        "status",
        "settled",
        "converted_at",
        "converter",
        "schema_version",
    ),
    *("lookbehind_s", "lookahead_s", "folders", "source_fingerprint", "files", "records"),
    *("conflicts", "bytes_in", "bytes_inflated", "bytes_out", "seconds", "parts", "stragglers"),
    *("versions", "unmapped", "derived", "unstamped", "quarantined", "discarded", "redacted"),
    *("kept", "kept_source", "settings", "run", "unplaced"),
    *("additions", "identities", "places"),
]


def receipt(number: int = 1, rows: int = 5, **bad: str) -> Receipt:
    made = Made(
        converted_at=NOW,
        schema_version=2,
        lookbehind_s=900,
        lookahead_s=7200,
        folders=("CloudTrail",),
    )
    quarantined = [Quarantined(key=key, reason=reason) for key, reason in bad.items()]
    files = Files(listed=number + len(bad), read=number, quarantined=len(bad))
    return receipt_of(
        UNIT,
        made,
        Read(files=files, bytes_in=10 * number, quarantined=quarantined),
        Rows(records=Records(read=rows, written=rows), versions={"1.11": rows}),
        [Part(key=f"part-{number}", rows=rows, bytes=100 * number)],
        is_complete=not bad,
        settled=True,
        seconds=0.5,
    )


def shard_receipts(*receipts: Receipt) -> list[ShardReceipt]:
    return [
        one.of_shard(Shard(number, len(receipts)), "seen") for number, one in enumerate(receipts, 1)
    ]


def test_its_members_are_those_that_were_published() -> None:
    assert list(json.loads(to_text(receipt()))) == MEMBERS


def test_it_comes_back_from_its_text() -> None:
    assert msgspec.json.decode(to_text(receipt()), type=Receipt) == receipt()


def test_the_receipts_of_shards_add_up() -> None:
    summed = total(shard_receipts(receipt(1, 5), receipt(2, 7, a="cut short")), "run")

    assert summed.unit == UNIT
    assert summed.status == "partial"
    assert (summed.records.read, summed.records.written) == (12, 12)
    assert (summed.files.listed, summed.files.read, summed.files.quarantined) == (4, 3, 1)
    assert (summed.bytes_in, summed.bytes_out, summed.seconds) == (30, 300, 1.0)
    assert summed.versions == Counter({"1.11": 12})
    assert [part.key for part in summed.parts] == ["part-1", "part-2"]
    assert [bad.key for bad in summed.quarantined] == ["a"]
    assert summed.run == "run"


def test_a_shard_that_was_kept_is_named_in_the_sum() -> None:
    first, second = shard_receipts(receipt(1), receipt(2))
    kept = as_kept(
        first, "gone", source="sum:1", quarantined=[], when=NOW, settled=True, run=first.run
    )

    summed = total([kept, second], "run")

    assert (summed.kept, summed.kept_source, summed.status) == (
        "shard 1 of 2: gone",
        "sum:1",
        "partial",
    )


@pytest.mark.parametrize(
    "member", ["written", "straggled", "duplicate", "quarantined", "elsewhere"]
)
def test_counts_that_do_not_add_up_are_a_defect(member: str) -> None:
    counts = Records(read=3, **{member: 3})
    counts.check("unit")

    counts.read += 1
    with pytest.raises(ReconciliationError, match="4 records read, 3 accounted for"):
        counts.check("unit")
