"""Log files are found, and belong to windows, as the converter finds them; by code of its own."""

import gzip
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.layout import Place, Unit
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.source.log_files import delivered_file, usual_keys, window_files
from cloudtrail_parquet.storage import Entry, open_store
from cloudtrail_parquet.verification.logs import Bounds, LogTree, delivered_at, elements_of
from tests.builders import ACCOUNT, REGION, as_text, envelope, log_file, log_key, record

DAY = date(2026, 1, 10)
TRAIL = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"
USUAL = usual_keys(TRAIL, DAY)
FOLDER = f"{TRAIL}2026/01/10/"
names = st.one_of(
    st.integers(0, 1439).map(lambda n: f"{USUAL}{n // 60:02d}{n % 60:02d}Z_x.json.gz"),
    st.text("0129TZ_x~", max_size=8).map(lambda end: f"{USUAL}{end}"),
    st.text("0129TZ_x~", max_size=8).map(lambda name: f"{FOLDER}{name or 'x'}"),
    st.sampled_from(
        [
            f"{FOLDER}{ACCOUNT}_CloudTrail_{REGION}_20260109T2350Z_x.json.gz",
            f"{FOLDER}{ACCOUNT}_CloudTrail_{REGION}_20260110T2460Z_x.json.gz",
            f"{FOLDER}{ACCOUNT}_CloudTrail-Insight_{REGION}_20260110T1205Z_x.json.gz",
            f"{FOLDER}999_CloudTrail_us-east-1_20260111T0100Z_x.json.gz",
        ]
    ),
)
moments = st.integers(0, 5 * 86_400).map(
    lambda second: datetime(2026, 1, 8, tzinfo=UTC) + timedelta(seconds=second)
)


@given(names, moments)
@example(f"{USUAL}2359Z~", datetime(2026, 1, 1, tzinfo=UTC))
def test_the_time_of_delivery_is_the_same(key: str, modified: datetime) -> None:
    entry = Entry(key, 1, modified)

    assert delivered_at(entry, DAY, USUAL) == delivered_file(entry, DAY, USUAL).delivered


@given(moments, st.integers(0, 200_000), st.integers(0, 200_000))
def test_a_window_holds_the_same(moment: datetime, before_s: int, after_s: int) -> None:
    bounds, window = Bounds(before_s, after_s), Window(before_s, after_s)

    assert bounds.hold(moment, DAY) == window.holds(moment, DAY)
    assert set(window.delivery_days(DAY)) <= set(bounds.days(DAY))


def test_all_trails_are_found_and_nothing_beside_them() -> None:
    store = open_store("memory:///")
    when = datetime(2026, 1, 10, 12, tzinfo=UTC)
    keys = [
        log_key(ACCOUNT, REGION, when),
        log_key(ACCOUNT, REGION, when, organization="o-abcdefghij", unique="b"),
        log_key("222222222222", "us-east-1", when, prefix="team/a", unique="c"),
        log_key(ACCOUNT, REGION, when, folder="CloudTrail-Insight"),
        log_key(ACCOUNT, REGION, when, folder="CloudTrail-Digest"),
        f"AWSLogs/{ACCOUNT}/Config/{REGION}/2026/1/10/x.json.gz",
        f"other/{ACCOUNT}/CloudTrail/{REGION}/2026/01/10/x.json.gz",
        f"{FOLDER}.hidden.json.gz",
        f"{FOLDER}sub/folder.json.gz",
    ]
    for key in keys:
        store.write(key, b"x")
    store.write(f"{FOLDER}empty.json.gz", b"")
    tree = LogTree(store, ["CloudTrail"])

    found = discover(store, ["CloudTrail"])
    assert {place: [trail for trail, _ in trails] for place, trails in tree.trails.items()} == {
        Place(*place): trails for place, trails in found.trails.items()
    }
    for place in tree.trails:
        unit = Unit(*place, DAY)
        ours = [file.key for file in tree.files(unit, Bounds(900, 7200))]
        theirs = window_files(store, found.trails_of(unit), unit, Window(900, 7200))
        assert sorted(ours) == sorted(file.key for file in theirs)
        assert tree.days(place, date.min, date.max) == {DAY}
        assert tree.oldest(place) == DAY
    assert tree.oldest(Place("1", "2")) == date.max


def elements(data: bytes) -> tuple[list[object], bool]:
    found, is_odd = elements_of(data, "a.json.gz")
    return [each.record and each.record.get("eventID") for each in found], is_odd


def test_what_cloudtrail_writes_is_read_with_the_standard_library() -> None:
    assert elements(log_file(record(eventID="a"), "7", record(eventID="b"))) == (
        ["a", None, "b"],
        False,
    )


@pytest.mark.parametrize(
    "data",
    [
        envelope([record(eventID="a")]),
        as_text(record(eventID="a")).encode(),
        log_file(record(eventID="a")) + gzip.compress(b" ", mtime=0),
        gzip.compress(b"\xef\xbb\xbf" + envelope([record(eventID="a")])),
        gzip.compress(envelope([record(eventID="a")])[:-1] + b',"more":1}'),
    ],
)
def test_other_shapes_are_taken_apart_by_the_converters_reader(data: bytes) -> None:
    assert elements(data) == (["a"], True)


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b", gzip.compress(b"{", mtime=0), log_file("7")[:-9]]
)
def test_what_cannot_be_read_is_said(data: bytes) -> None:
    with pytest.raises(UnreadableLogError):
        elements(data)


def test_a_record_that_is_no_utf8_has_its_own_bytes_beside_it() -> None:
    data = gzip.compress(b'{"Records":[{"eventID":"a","x":"\xff"}]}')

    found, is_odd = elements_of(data, "a")
    (element,) = found
    assert is_odd
    assert element.record == {
        "eventID": "a",
        "x": "\ufffd",
        "invalidUtf8": "eyJldmVudElEIjoiYSIsIngiOiL/In0=",
    }
