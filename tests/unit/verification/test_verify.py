"""Whole verifications, of stores in memory, which are read as buckets are."""

import io
import json
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.settings.rules import Discard
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.verification.findings import Finding, Kind
from cloudtrail_parquet.verification.verify import Scope, Verification
from tests.builders import WritableStores
from tests.examples import FEW
from tests.unit.counted import Counts
from tests.unit.deliveries import ACCOUNT, REGION, START, deliver, deliver_all, deliveries, event

TRAILS = [f"{folder}{ACCOUNT}/CloudTrail/{REGION}/" for folder in ("", "o-abcdefghij/")]
Files = list[tuple[datetime, list[dict[str, Any]], str]]


def converted(files: Files) -> WritableStores:
    stores, days = deliver_all(files)
    for day in days:
        convert_unit(Unit(ACCOUNT, REGION, day), TRAILS, stores, Settings())
    return stores


def verify(stores: WritableStores, scope: Scope | None = None) -> list[Finding]:
    three = stores.dataset, stores.state, stores.source
    return list(Verification(lambda: three, scope or Scope()).findings())


def faults(stores: WritableStores, scope: Scope | None = None) -> list[Finding]:
    return [finding for finding in verify(stores, scope) if finding.is_fault]


@FEW
@given(deliveries())
def test_nothing_is_wrong_whatever_is_delivered_however_late(files: Files) -> None:
    stores = converted(files)

    assert verify(stores) == []


@FEW
@given(deliveries(), st.data())
def test_a_row_that_is_taken_out_put_in_or_changed_is_found(
    files: Files, data: st.DataObject
) -> None:
    stores = converted(files)
    key = data.draw(st.sampled_from([entry.key for entry in stores.dataset.files("")]))
    part = pq.ParquetFile(io.BytesIO(stores.dataset.read(key)))
    table, metadata = part.read(), part.metadata.metadata
    row = data.draw(st.integers(0, table.num_rows - 1))
    rest = pa.concat_tables([table.slice(0, row), table.slice(row + 1)])
    one = table.slice(row, 1)
    other = one.set_column(
        one.column_names.index("eventName"), "eventName", pa.array(["Other"], pa.string())
    )
    kind, changed = data.draw(
        st.sampled_from(
            [
                (Kind.RECORD_MISSING, rest),
                (Kind.ROW_REPEATED, pa.concat_tables([table, one])),
                (Kind.ROW_UNVOUCHED, pa.concat_tables([table, other])),
            ]
        )
    )
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(changed)
    stores.dataset.write(key, sink.getvalue())
    _sign(stores, key, sink.getvalue(), changed.num_rows)

    found = faults(stores)

    assert kind in {finding.kind for finding in found}
    assert {f.kind for f in found} <= {kind, Kind.RECEIPT_FALSE}


def _sign(stores: WritableStores, key: str, data: bytes, rows: int) -> None:
    """Let all receipts that name a part say what it is now."""
    for entry in stores.state.files("receipts/"):
        receipt = json.loads(stores.state.read(entry.key))
        for part in receipt["parts"]:
            if part["key"] == key:
                receipt["bytes_out"] += len(data) - part["bytes"]
                part |= {"rows": rows, "bytes": len(data), "sha256": sha256(data).hexdigest()}
                stores.state.write(entry.key, json.dumps(receipt).encode())


@FEW
@given(deliveries(), st.data())
def test_a_log_file_that_is_taken_away_is_missed_or_has_expired(
    files: Files, data: st.DataObject
) -> None:
    stores = converted(files)
    keys = [entry.key for entry in stores.source.files("")]
    gone = data.draw(st.sampled_from(keys))
    stores.source.delete([gone])

    found = verify(stores)

    kinds = {finding.kind for finding in found}
    assert kinds
    assert kinds <= {Kind.LOG_GONE, Kind.EXPIRED}
    day = gone[-51:-43]
    if any(key[-51:-43] < day for key in keys):
        assert Kind.LOG_GONE in kinds


def at(days: float) -> datetime:
    return START + timedelta(days=days)


LATE: Files = [
    (at(0.5), [event(1, at(0.5)), event(2, at(0.5))], ""),
    (at(9.5), [event(3, at(0.25)), event(4, at(9.5))], ""),
]


def test_a_straggler_that_stands_in_the_part_of_its_own_day_is_there() -> None:
    """Delivered in time and late, it is published once, by whoever came first."""
    files = [*LATE, (at(5.5), [event(1, at(0.5)), event(7, at(5.5))], "")]

    assert verify(converted(files)) == []


@pytest.mark.parametrize(("first", "last", "kinds"), [(0, 0, {Kind.ELSEWHERE}), (9, 9, set())])
def test_stragglers_beyond_the_range(first: int, last: int, kinds: set[Kind]) -> None:
    stores = converted(LATE)
    days = [date(2026, 1, 1) + timedelta(days=n) for n in (first, last)]

    found = verify(stores, Scope(first=days[0], last=days[1]))

    assert {finding.kind for finding in found} == kinds


def test_a_part_of_an_owner_without_a_receipt_is_unknown() -> None:
    stores = converted(LATE)
    stores.state.delete(
        [f"receipts/account={ACCOUNT}/region={REGION}/year=2026/month=01/day=10.json"]
    )

    found = {finding.kind for finding in faults(stores)}

    assert found == {Kind.RECEIPT_MISSING, Kind.PART_UNKNOWN}


def test_a_receipt_of_an_older_version_has_no_digest_and_size_and_rows_are_compared() -> None:
    stores = converted(LATE)
    _without_digests(stores)
    assert {finding.kind for finding in verify(stores)} == {Kind.UNHASHED}
    key = next(entry.key for entry in stores.dataset.files(""))
    part = pq.ParquetFile(io.BytesIO(stores.dataset.read(key)))
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, part.schema_arrow, compression="none") as writer:
        writer.add_key_value_metadata(part.metadata.metadata)
        writer.write_table(part.read())
    stores.dataset.write(key, sink.getvalue())

    (named,) = faults(stores)
    assert (named.kind, named.part) == (Kind.PART_ALTERED, key)
    assert "bytes" in named.what


def _without_digests(stores: WritableStores) -> None:
    for entry in stores.state.files("receipts/"):
        receipt = json.loads(stores.state.read(entry.key))
        for part in receipt["parts"]:
            del part["sha256"]
        stores.state.write(entry.key, json.dumps(receipt).encode())


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (ACCOUNT.encode(), b"999999999999", "owned by"),
        (b'"source_fingerprint":', b"", "fingerprint"),
        (b"zstd", b"snap", "settings"),
    ],
)
def test_a_footer_that_does_not_belong_to_its_receipt_is_found_without_a_digest(
    old: bytes, new: bytes, what: str
) -> None:
    stores = converted(LATE[:1])
    _without_digests(stores)
    (key,) = [entry.key for entry in stores.dataset.files("")]
    part = pq.ParquetFile(io.BytesIO(stores.dataset.read(key)))
    name = {"owned by": b"owner", "fingerprint": b"source_fingerprint"}.get(what, b"settings")
    metadata = dict(part.metadata.metadata)
    metadata[b"cloudtrail_parquet." + name] = (
        metadata[b"cloudtrail_parquet." + name].replace(old, new) if new else b"sum:0"
    )
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, part.schema_arrow, store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        writer.write_table(part.read())
    stores.dataset.write(key, sink.getvalue())

    assert any(what in finding.what for finding in faults(stores))


def test_rows_are_counted_without_a_digest() -> None:
    stores = converted(LATE[:1])
    _without_digests(stores)
    (entry,) = stores.state.files("receipts/")
    text = stores.state.read(entry.key).decode()
    assert '"rows": 2' in text
    stores.state.write(entry.key, text.replace('"rows": 2', '"rows": 3').encode())

    assert any("2 rows, and 3 by its receipt" in finding.what for finding in faults(stores))


def test_a_damaged_log_file_that_is_removed_is_not_missed() -> None:
    stores, key = converted(LATE[:1]), f"{ACCOUNT}/CloudTrail/{REGION}/2026/01/01/cut.json.gz"
    stores.source.write(key, b"\x1f\x8b")
    convert_unit(Unit(ACCOUNT, REGION, date(2026, 1, 1)), TRAILS, stores, Settings())
    assert {finding.kind for finding in verify(stores)} == {Kind.QUARANTINED}
    stores.source.delete([key])

    assert verify(stores) == []


def test_a_damaged_log_file_that_its_receipt_does_not_name_is_a_false_receipt() -> None:
    stores, key = converted(LATE[:1]), f"{ACCOUNT}/CloudTrail/{REGION}/2026/01/01/cut.json.gz"
    stores.source.write(key, b"\x1f\x8b")
    convert_unit(Unit(ACCOUNT, REGION, date(2026, 1, 1)), TRAILS, stores, Settings())
    for entry in stores.state.files("receipts/"):
        receipt = json.loads(stores.state.read(entry.key)) | {"quarantined": []}
        receipt["files"] |= {"read": receipt["files"]["listed"], "quarantined": 0}
        stores.state.write(entry.key, json.dumps(receipt).encode())

    assert {finding.kind for finding in faults(stores)} == {Kind.RECEIPT_FALSE}


def test_a_unit_costs_a_get_for_each_part_and_log_file_and_four_for_its_state() -> None:
    counts = Counts()
    for day in range(6):
        deliver(counts.stores, at(day + 0.5), [event(day, at(day + 0.5))], "AWSLogs/")
    trails = [f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"]
    for day in range(6):
        unit = Unit(ACCOUNT, REGION, date(2026, 1, 1) + timedelta(days=day))
        convert_unit(unit, trails, counts.stores, Settings())
    counts.requests.clear()

    assert faults(counts.stores) == []

    assert counts.requests["LOG"] == 6
    assert counts.requests["GET"] <= 6 * (1 + 4 + 2) + 4  # parts, receipts and intents, identities
    assert counts.requests["PUT"] == counts.requests["DELETE"] == 0


def test_copies_of_what_a_rewrite_discards_may_count_as_repeated_but_not_be_forgotten() -> None:
    same = [event(number, START) for number in range(3)]
    files: Files = [(START, same, folder) for folder in ("", "o-abcdefghij/")]
    stores = converted([*files, (START, [event(3, START) | {"eventName": "Other"}], "")])
    unit = Unit(ACCOUNT, REGION, START.date())
    rules = Settings(discard=(Discard(name="calls", eventName=("Call",)),))

    records = rewrite_unit(unit, stores, rules).records

    assert (records.discarded, records.duplicate, records.written) == (3, 3, 1)
    assert not faults(stores)

    _falsify(stores, unit, discarded=-1, elsewhere=1)

    what = "it says 2 records discarded; its log files have 6"
    assert what in {finding.what for finding in faults(stores)}


def _falsify(stores: WritableStores, unit: Unit, **more: int) -> None:
    """Add to what a unit's receipt counts."""
    key = StateKeys.of(unit).receipt
    told = json.loads(stores.state.read(key))
    for name, number in more.items():
        told["records"][name] += number
    stores.state.write(key, json.dumps(told).encode())
