"""A unit converted in shards: whatever their order, it comes to what one conversion gives."""

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.batch.preview import preview_unit
from cloudtrail_parquet.contract import DEFAULT_LAYOUT
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.conversion.published import PublishedParts
from cloudtrail_parquet.conversion.shards import IncompleteSplitError
from cloudtrail_parquet.errors import LeaseTimeoutError, StorageError, SupersededError
from cloudtrail_parquet.layout import WHOLE, Bound, Shard, Unit, owner_of, shard_of, unit_of
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.schema.columns import TIMESTAMP
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.log_files import window_files
from cloudtrail_parquet.state.cuts import note_cut
from cloudtrail_parquet.state.keys import StateKeys, partition_lease
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt, ShardReceipt
from cloudtrail_parquet.storage import Staging, Store, open_store
from tests.builders import WritableStores, log_file
from tests.examples import FEW
from tests.unit.deliveries import (
    ACCOUNT,
    REGION,
    checksums,
    deliver_all,
    deliveries,
    event,
    expected,
    found,
    memory,
)
from tests.unit.mortal import Killed, KilledError, Mortal, MortalStaging

DAY = date(2026, 1, 10)
START = datetime(2026, 1, 10, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, DAY)
TRAILS = [f"{folder}{ACCOUNT}/CloudTrail/{REGION}/" for folder in ("", "o-abcdefghij/")]
SETTINGS = Settings(row_group_rows=4, fetch_threads=1)
SMALL_PARTS = dataclasses.replace(SETTINGS, part_bytes=1)
HOUR = timedelta(hours=1)


File = tuple[str, bytes]


def convert(
    stores: WritableStores, shard: Shard = WHOLE, unit: Unit = UNIT, settings: Settings = SETTINGS
) -> Receipt | None:
    return convert_unit(unit, TRAILS, stores, settings, shard=shard)


def split(stores: WritableStores, of: int, settings: Settings = SETTINGS) -> Receipt:
    for shard in Shard(1, of).siblings:
        convert(stores, shard, settings=settings)
    return receipt_of(stores)


def receipt_of(stores: WritableStores, unit: Unit = UNIT) -> Receipt:
    receipt = read_notes(stores.state, unit).receipt
    assert receipt is not None
    return receipt


def file(delivered: datetime, number: int, body: bytes, *, stamped: bool = True) -> File:
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{delivered:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
    name = name if stamped else f"copy-{number}.json.gz"
    return f"{TRAILS[0]}{delivered:%Y/%m/%d}/{name}", body


def put(stores: WritableStores, files: Iterable[File]) -> None:
    for key, body in files:
        stores.source.write(key, body)


def of_files(files: Iterable[File]) -> WritableStores:
    stores = memory()
    put(stores, files)
    return stores


def state_keys(stores: WritableStores) -> list[str]:
    return [entry.key for entry in stores.state.files("")]


def parts(stores: WritableStores) -> list[str]:
    return [entry.key for entry in stores.dataset.files("")]


def shards_that_wrote(stores: WritableStores) -> set[int]:
    """Into how many shards the unit was split when its parts were written."""
    owners = [(owner_of(key, day_of(key)), key) for key in parts(stores)]
    return {owner.shard.of for owner, _ in owners if owner and owner.day == DAY}


def day_of(key: str) -> date:
    unit = unit_of(key)
    assert unit is not None
    return unit.day


def assert_like_a_lone_conversion(stores: WritableStores, files: list[File], of: int) -> None:
    lone = of_files(files)
    convert(lone)
    assert found(stores) == found(lone)
    assert shards_that_wrote(stores) <= {of}
    some = window_files(stores.source, TRAILS, UNIT, SETTINGS.window)
    names = sorted(f"{shard.name}.json" for shard in Shard(1, of).siblings if some)
    keys = [key.rpartition("/")[2] for key in state_keys(stores) if key.startswith("shards/")]
    assert keys == names
    if not some:
        assert state_keys(stores) == []
        return
    assert {key.split("/")[0] for key in state_keys(stores)} == {"identities", "receipts", "shards"}
    theirs, mine = read_notes(lone.state, UNIT).receipt, receipt_of(stores)
    if theirs is not None:
        assert comparable(mine) == comparable(theirs)
    assert sorted(part.key for part in mine.parts) == parts(stores)


def comparable(receipt: Receipt) -> dict[str, Any]:
    """What the sums of shards have in common with one conversion."""
    plain = receipt.to_json()
    for name in ("converted_at", "seconds", "parts", "bytes_out", "conflicts", "derived", "run"):
        del plain[name]
    for name in ("quarantined", "unstamped"):
        plain[name] = sorted(plain[name], key=str)
    return plain


# What a window holds: files of its day and around it, some late, some bad, some with copies.


@st.composite
def windows(draw: st.DrawFn) -> list[File]:
    made: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    minutes = st.integers(-30, 26 * 60 + 30)
    for number in range(draw(st.integers(0, 10))):
        event_minute = draw(st.one_of(st.integers(-60, 25 * 60), st.integers(-9000, 1500)))
        one = event(number, START + timedelta(minutes=event_minute), with_id=draw(st.booleans()))
        for copy in range(draw(st.integers(1, 3))):
            conflict = copy and draw(st.integers(0, 4)) == 0
            content = one | {"errorCode": "Other"} if conflict else one
            key = draw(minutes), draw(st.integers(0, 3)) > 0
            made.setdefault(key, []).append(content)
    for _ in range(draw(st.integers(0, 2))):
        made.setdefault((draw(minutes), True), []).append({"eventName": "no time"})
    files = [
        file(START + timedelta(minutes=minute), number, log_file(*records), stamped=stamped)
        for number, ((minute, stamped), records) in enumerate(made.items())
    ]
    for number in range(draw(st.integers(0, 2))):
        delivered = START + timedelta(minutes=draw(minutes))
        files.append(file(delivered, 1000 + number, b"\x1f\x8b damaged"))
    return files


def orders(of: int) -> st.SearchStrategy[list[Shard]]:
    """Every shard at least once, in any order, some again."""
    siblings = Shard(1, of).siblings
    return st.builds(
        lambda again, all_: again + all_,
        st.lists(st.sampled_from(siblings), max_size=3),
        st.permutations(siblings),
    )


@FEW
@given(windows(), st.integers(2, 6), st.data())
def test_shards_in_any_order_come_to_what_one_conversion_gives(
    files: list[File], of: int, data: st.DataObject
) -> None:
    stores = memory()
    put(stores, files[: data.draw(st.integers(0, len(files)), "files of before")])
    for one in data.draw(st.lists(st.integers(1, 6), max_size=2), "splits of before"):
        before = Shard(1, one).siblings
        for shard in before[: data.draw(st.integers(1, one))]:
            convert(stores, shard, settings=SMALL_PARTS)
    stood = set(found(stores))
    put(stores, files)

    for shard in data.draw(orders(of), "order"):
        convert(stores, shard)
        assert set(found(stores)) >= stood

    if files:
        assert_like_a_lone_conversion(stores, files, of)
    again = data.draw(st.sampled_from(Shard(1, of).siblings), "again")
    checks = checksums(stores)
    convert(stores, again)
    assert checksums(stores) == checks


Action = tuple[date, Shard]


@FEW
@given(deliveries(), st.data())
def test_every_record_stands_once_whatever_is_split_when(
    files: list[tuple[datetime, list[dict[str, Any]], str]], data: st.DataObject
) -> None:
    stores, days = deliver_all(files)

    def shards_of(day: date, of: int) -> list[Action]:
        return [(day, shard) for shard in Shard(1, of).siblings]

    some = [action for day in days for of in (1, 2, 3) for action in shards_of(day, of)]
    all_ = [action for day in days for action in shards_of(day, data.draw(st.integers(1, 3)))]
    order = data.draw(st.lists(st.sampled_from(some), max_size=8))
    order += data.draw(st.permutations(all_))
    for day, shard in order:
        convert(stores, shard, UNIT.on(day))

    everything = [record for _, records, _ in files for record in records]
    assert found(stores) == expected(everything)


# Killed.


@FEW
@given(windows(), st.integers(1, 4), st.data())
def test_a_shard_that_was_killed_anywhere_is_healed_by_running_it_again(
    files: list[File], of: int, data: st.DataObject
) -> None:
    stores = of_files(files)
    before = data.draw(st.integers(0, 3), "shards of before")
    for shard in Shard(1, before).siblings if before else []:
        convert(stores, shard, settings=SMALL_PARTS)
    stood = set(found(stores))
    waiting: list[Shard] = data.draw(orders(of), "order")
    kills = 0
    while waiting:
        shard = waiting.pop(0)
        changes = data.draw(st.integers(0, 12), "changes") if kills < 8 else 1000
        try:
            convert(Killed(stores, changes).stores, shard)
        except KilledError:
            kills += 1
            waiting.insert(data.draw(st.integers(0, len(waiting)), "later"), shard)
        assert set(found(stores)) >= stood

    if of > 1 and files:
        assert_like_a_lone_conversion(stores, files, of)
    elif files:
        lone = of_files(files)
        convert(lone)
        assert found(stores) == found(lone)
        assert {key.split("/")[0] for key in state_keys(stores)} <= {"identities", "receipts"}


WITH_STRAGGLERS = [
    file(START + 3 * HOUR, 1, log_file(event(1, START), event(2, START - timedelta(days=3)))),
    file(START + 20 * HOUR, 2, log_file(event(3, START), event(4, START - timedelta(days=4)))),
]


@pytest.mark.parametrize("changes", range(14))
def test_stragglers_of_an_older_split_go_wherever_the_last_shard_was_killed(changes: int) -> None:
    stores = of_files(WITH_STRAGGLERS)
    convert(stores, Shard(3, 3))
    convert(stores, Shard(1, 2))

    with suppress(KilledError):
        convert(Killed(stores, changes).stores, Shard(2, 2))
    convert(stores, Shard(2, 2))

    assert_like_a_lone_conversion(stores, WITH_STRAGGLERS, 2)


@pytest.mark.parametrize("changes", range(6))
def test_stragglers_of_a_killed_shard_go_with_a_whole_conversion(changes: int) -> None:
    stores, lone = of_files(WITH_STRAGGLERS), of_files(WITH_STRAGGLERS[:1])

    with suppress(KilledError):
        convert(Killed(stores, changes).stores, Shard(2, 2))
    stores.source.delete([WITH_STRAGGLERS[1][0]])
    for one in (stores, lone):
        convert(one, settings=SHRINK)

    assert checksums(stores) == checksums(lone)
    assert state_keys(stores) == state_keys(lone)


# At the same time.


def test_a_shard_publishes_nothing_while_its_unit_is_published() -> None:
    stores = of_files(WITH_STRAGGLERS)
    impatient = dataclasses.replace(SETTINGS, lease_wait_s=0)

    with (
        stores.state.lease(partition_lease(UNIT), 0, 60),
        pytest.raises(LeaseTimeoutError),
    ):
        convert(stores, Shard(1, 2), settings=impatient)

    assert parts(stores) == []


def places(kind: str, folder: Path) -> WritableStores:
    if kind == "memory":
        return memory()
    source, dataset, state = (open_store(folder / name) for name in ("logs", "lake", "state"))
    return WritableStores(source, dataset, state)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_shards_converted_at_the_same_time_come_to_the_same(
    kind: str, before: int, tmp_path: Path
) -> None:
    stores, files = places(kind, tmp_path), busy_day()
    put(stores, files)
    for shard in Shard(1, before).siblings if before else []:
        convert(stores, shard, settings=SMALL_PARTS)
    at_once(stores, [*Shard(1, 4).siblings, Shard(2, 4), Shard(1, 4)])

    assert_like_a_lone_conversion(stores, files, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_whole_conversion_amid_shards_loses_nothing(kind: str, tmp_path: Path) -> None:
    stores, files = places(kind, tmp_path), busy_day()
    put(stores, files)
    at_once(stores, [*Shard(1, 3).siblings, WHOLE])
    split(stores, 3)

    assert_like_a_lone_conversion(stores, files, 3)


def busy_day() -> list[File]:
    """Records of the whole day, each delivered again hours later; with stragglers, and one bad."""
    files = []
    for hour in range(0, 24, 2):
        when = START + hour * HOUR
        some = [event(100 * hour + n, when, with_id=n % 3 > 0) for n in range(12)]
        late = [event(5000 + n, START - timedelta(days=3)) for n in range(hour, hour + 2)]
        files.append(file(when, 2 * hour, log_file(*some, *late)))
        files.append(file(START + (hour * 7 % 24) * HOUR, 2 * hour + 1, log_file(*some[:6], *late)))
    return [*files, file(START + 5 * HOUR, 99, b"damaged")]


def at_once(stores: WritableStores, shards: list[Shard]) -> None:
    """Convert shards in threads that begin together."""
    errors: list[BaseException] = []
    ready = threading.Barrier(len(shards))

    def act(shard: Shard) -> None:
        ready.wait()
        try:
            convert(stores, shard)
        except BaseException as error:  # noqa: BLE001  whatever it is, the test has to fail
            errors.append(error)

    threads = [threading.Thread(target=act, args=(shard,)) for shard in shards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# One thing at a time.

MORNING, EVENING = START + 3 * HOUR, START + 20 * HOUR
FIRST, SECOND = Shard(1, 2), Shard(2, 2)


def ids(stores: WritableStores) -> list[str]:
    return sorted(json.loads(text)["eventID"] for _, text in found(stores).elements())


def test_a_shard_publishes_only_what_was_delivered_in_its_range() -> None:
    files = [file(START + hour * HOUR, hour, log_file(event(hour, START))) for hour in range(24)]

    for shard in Shard(1, 5).siblings:
        stores = of_files(files)
        receipt = convert(stores, shard)
        assert isinstance(receipt, ShardReceipt)
        numbers = sorted(int(one.removeprefix("id-")) for one in ids(stores))
        # the window is 26.25 hours long and begins at a quarter to midnight
        assert numbers == [n for n in range(24) if (n + 0.25) * 5 // 26.25 == shard.number - 1]
        assert {shard_of(key) for key in parts(stores)} == {shard}
        assert (receipt.shard, receipt.files.listed) == (shard, len(numbers))
        assert read_notes(stores.state, UNIT).receipt is None


def test_a_shard_without_records_has_a_receipt_too() -> None:
    stores = of_files([file(MORNING, 1, log_file(event(1, MORNING)))])

    receipt = convert(stores, SECOND)

    assert receipt is not None
    assert (receipt.files.listed, receipt.parts) == (0, [])
    convert(stores, FIRST)
    assert receipt_of(stores).records.written == 1


def test_a_shard_of_a_unit_without_log_files_is_nothing_to_convert() -> None:
    stores = memory()

    assert convert(stores, FIRST) is None
    assert state_keys(stores) == []


def test_a_copy_that_another_shard_holds_is_left_out_and_stays_so_when_either_runs_again() -> None:
    one = event(1, MORNING)
    stores = of_files([file(MORNING, 1, log_file(one)), file(EVENING, 2, log_file(one))])

    for shard in (FIRST, SECOND, FIRST, SECOND, SECOND, FIRST):
        convert(stores, shard)

        assert ids(stores) == ["id-1"]
    assert receipt_of(stores).records.duplicate == 1


def test_what_the_unit_wrote_before_is_no_reason_to_leave_a_record_out() -> None:
    stores = of_files([file(MORNING, 1, log_file(event(1, MORNING)))])
    convert(stores)

    for of in (3, 2):
        split(stores, of)

        assert ids(stores) == ["id-1"]
        assert [shard_of(key).of for key in parts(stores)] == [of]


def test_what_was_converted_before_stands_until_all_shards_are_there() -> None:
    stores = of_files(
        [
            file(MORNING, 1, log_file(event(1, MORNING))),
            file(EVENING, 2, log_file(event(2, EVENING), event(3, START - timedelta(days=3)))),
        ]
    )
    convert(stores)
    whole = parts(stores)

    convert(stores, SECOND)
    assert set(whole) < set(parts(stores))
    assert {part.key for part in receipt_of(stores).parts} == set(whole)
    convert(stores, FIRST)

    assert not set(whole) & set(parts(stores))
    assert ids(stores) == ["id-1", "id-2", "id-3"]


def test_a_whole_conversion_removes_what_shards_have_left() -> None:
    files = busy_day()
    stores, lone = of_files(files), of_files(files)
    split(stores, 3)
    for number in (1, 2):
        convert(stores, Shard(number, 4))

    convert(stores)
    convert(lone)

    assert checksums(stores) == checksums(lone)
    assert state_keys(stores) == state_keys(lone)


def late(stores: WritableStores, settings: Settings = SETTINGS) -> Receipt | None:
    return convert_unit(UNIT, TRAILS, stores, settings, shard=FIRST, is_late=True)


def test_a_shard_that_comes_late_is_not_wanted_beside_the_unit_that_was_made_meanwhile() -> None:
    stores = of_files(busy_day())
    convert(stores)
    before = checksums(stores), state_keys(stores)

    with pytest.raises(SupersededError, match="has been converted since"):
        late(stores)

    assert (checksums(stores), state_keys(stores)) == before


@pytest.mark.parametrize("what", ["files", "settings", "part", "split", "no unit"])
def test_a_late_shard_is_wanted_where_the_unit_is_another_or_is_not_whole(what: str) -> None:
    stores = of_files(busy_day())
    if what == "split":
        split(stores, 2)
    elif what != "no unit":
        convert(stores)
    if what == "files":
        put(stores, [file(EVENING, 99, log_file(event(99, EVENING)))])
    if what == "part":
        stores.dataset.delete([receipt_of(stores).parts[0].key])

    assert late(stores, SMALL_PARTS if what == "settings" else SETTINGS) is not None


def test_shards_of_different_sources_make_no_unit() -> None:
    stores = of_files([file(MORNING, 1, log_file(event(1, MORNING)))])
    convert(stores, FIRST)
    put(stores, [file(EVENING, 2, log_file(event(2, EVENING)))])

    convert(stores, SECOND)
    assert read_notes(stores.state, UNIT).receipt is None
    convert(stores, FIRST)

    assert receipt_of(stores).records.written == 2


def test_shards_whose_parts_are_gone_make_no_unit() -> None:
    stores = of_files(
        [
            file(MORNING, 1, log_file(event(1, MORNING))),
            file(EVENING, 2, log_file(event(2, EVENING))),
        ]
    )
    split(stores, 2)
    stores.dataset.delete(parts(stores))
    before = receipt_of(stores)

    convert(stores, FIRST)
    assert receipt_of(stores) == before
    convert(stores, SECOND)

    assert ids(stores) == ["id-1", "id-2"]


def test_a_preview_of_a_shard_replaces_nothing() -> None:
    stores = of_files([file(MORNING, 1, log_file(event(1, MORNING)))])

    receipt = preview_unit(UNIT, TRAILS, stores, SETTINGS, FIRST)

    assert receipt is not None
    assert receipt.records.written == 1
    assert (parts(stores), state_keys(stores)) == ([], [])


def test_only_the_log_files_of_the_shard_are_shown_before_any_is_read() -> None:
    stores = of_files([file(MORNING, 1, log_file()), file(EVENING, 2, log_file())])
    shown: list[str] = []

    convert_unit(
        UNIT, TRAILS, stores, SETTINGS, lambda files: shown.extend(one.key for one in files), SECOND
    )

    assert shown == [file(EVENING, 2, b"")[0]]


# A source that has shrunk.

TWO = [
    file(MORNING, 1, log_file(event(1, MORNING))),
    file(MORNING, 2, log_file(event(2, MORNING))),
    file(EVENING, 3, log_file(event(2, MORNING), event(3, EVENING))),
]
SHRINK = dataclasses.replace(SETTINGS, replace_shrunk=True)


def test_a_shard_that_has_lost_log_files_is_kept_and_the_unit_says_so() -> None:
    stores = of_files(TWO)
    split(stores, 2)
    stores.source.delete([TWO[1][0]])

    receipt = split(stores, 2)

    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert receipt.status == "partial"
    assert receipt.kept == "shard 1 of 2: 1 of 2 log files is gone from the source"
    assert receipt.records.written == 3


def test_a_unit_of_which_a_shard_is_kept_is_not_replaced_by_other_records_of_that_number() -> None:
    noon = START + 12 * HOUR
    early, late = file(START + HOUR, 1, log_file(event(1, START + HOUR))), busy_day()[-1]
    stores = of_files([early, late])
    split(stores, 2)
    stores.source.delete([early[0]])
    put(stores, [file(noon - HOUR, 2, log_file(event(2, noon - HOUR)))])
    kept = split(stores, 2)
    stood = ids(stores)

    again = convert(stores)

    assert kept.kept
    assert again is not None
    assert again.kept
    assert set(stood) <= set(ids(stores))


def test_a_unit_is_not_replaced_by_less_because_the_names_of_a_shard_s_log_files_are_lost() -> None:
    early, late = (file(START + n * HOUR, n, log_file(event(n, START + HOUR))) for n in (2, 20))
    stores = of_files([early, late])
    split(stores, 2)
    stores.state.delete([StateKeys.of(UNIT, SECOND).identities])
    convert(stores, FIRST)
    stores.source.delete([late[0]])

    again = convert(stores)

    assert again is not None
    assert again.kept
    assert ids(stores) == ["id-2", "id-20"]


@pytest.mark.parametrize("now", [SETTINGS, dataclasses.replace(SETTINGS, json_encoding="json")])
def test_what_is_new_is_added_to_a_unit_that_is_kept_beside_a_split_that_was_begun(
    now: Settings,
) -> None:
    early, late = (file(START + n * HOUR, n, log_file(event(n, START + HOUR))) for n in (2, 20))
    stores = of_files([early])
    convert(stores)
    put(stores, [late])
    convert(stores, FIRST)
    stores.dataset.delete([key for key in parts(stores) if shard_of(key) != WHOLE])
    stores.source.delete([early[0]])

    again = convert(stores, settings=now)

    assert again is not None
    assert again.kept
    assert ids(stores) == ["id-2", "id-20"]
    assert not [key for key in state_keys(stores) if key.startswith("shards/")]


def test_what_is_new_is_added_to_a_rewritten_split_wherever_a_run_is_killed() -> None:
    for changes in range(100):
        stores = of_files(TWO)
        split(stores, 2)
        rewrite_unit(UNIT, stores, dataclasses.replace(SETTINGS, compression="gzip"))
        stores.source.delete([TWO[1][0]])
        put(stores, [file(MORNING + HOUR, 4, log_file(event(3, EVENING), event(4, MORNING)))])
        with suppress(KilledError):
            convert(Killed(stores, changes).stores)
            break

        again = convert(stores)

        assert again is not None
        assert again.kept
        assert ids(stores) == ["id-1", "id-2", "id-3", "id-4"], changes
        assert {part.key for part in again.parts} == set(parts(stores))
        assert {shard_of(part.key).of for part in again.parts} == {2}
    else:
        pytest.fail("it is never done")
    assert changes > 3


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
def test_a_copy_outlives_the_log_file_that_it_was_left_out_for(order: tuple[Shard, Shard]) -> None:
    stores = of_files(TWO)
    split(stores, 2)
    assert [part.rows for part in receipt_of(stores).parts] == [2, 1]
    stores.source.delete([TWO[1][0]])

    for shard in order:
        convert(stores, shard, settings=SHRINK)

    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert (receipt_of(stores).status, receipt_of(stores).files.listed) == ("complete", 2)


@pytest.mark.parametrize("before", [WHOLE, Shard(1, 3)])
@pytest.mark.parametrize("published", [0, 1])
def test_a_split_does_not_replace_what_was_made_of_more_log_files(
    before: Shard, published: int
) -> None:
    stores = of_files(TWO)
    split(stores, before.of)
    stood = checksums(stores)
    for shard in (FIRST, SECOND)[:published]:
        convert(stores, shard)
    stores.source.delete([TWO[1][0]])

    receipt = split(stores, 2)

    assert checksums(stores) == stood
    assert (receipt.status, receipt.records.written) == ("partial", 3)
    assert receipt.kept == "1 of 3 log files is gone from the source"
    assert not [key for key in state_keys(stores) if "of02" in key]


def test_what_is_kept_forgets_a_split_that_another_had_replaced_before_it_was_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = of_files(TWO)
    split(stores, 2)
    remove = stores.state.remove

    def ended(key: str, version: str) -> None:
        if "of02" in key:
            raise StorageError("it is ended", key, "")
        remove(key, version)

    with monkeypatch.context() as patched:
        patched.setattr(stores.state, "remove", ended)
        with pytest.raises(StorageError, match="it is ended"):
            split(stores, 3)
    assert shards_that_wrote(stores) == {3}
    stores.source.delete([TWO[1][0]])

    receipt = convert(stores)

    assert receipt is not None
    assert receipt.kept
    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert not [key for key in state_keys(stores) if "of02" in key]
    assert sorted(part.key for part in receipt_of(stores).parts) == parts(stores)


def test_shards_of_which_nobody_has_made_the_unit_make_it_before_anything_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = of_files(TWO)
    swap = stores.state.swap

    def ended(key: str, data: bytes, version: str | None) -> str:
        if key.startswith("intents/"):
            raise StorageError("it is ended", key, "")
        return swap(key, data, version)

    with monkeypatch.context() as patched:
        patched.setattr(stores.state, "swap", ended)
        with pytest.raises(StorageError, match="it is ended"):
            split(stores, 2)
    stores.source.delete([TWO[0][0]])

    receipt = convert(stores)

    assert receipt is not None
    assert receipt.kept == "1 of 3 log files is gone from the source"
    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert sorted(part.key for part in receipt_of(stores).parts) == parts(stores)
    assert not [key for key in state_keys(stores) if "intent" in key]


def test_a_split_does_not_replace_what_was_made_of_more_records() -> None:
    stores = of_files(TWO)
    convert(stores)
    stood = checksums(stores)
    stores.source.write(TWO[1][0], b"\x1f\x8b damaged")

    receipt = split(stores, 2)

    assert checksums(stores) == stood
    assert receipt.kept == "1 of 4 records can no longer be read"
    assert [bad.key for bad in receipt.quarantined] == [TWO[1][0]]


def test_a_split_replaces_what_was_made_of_more_when_that_is_asked_for() -> None:
    stores = of_files(TWO)
    convert(stores)
    stores.source.delete([TWO[0][0]])

    receipt = split(stores, 2, SHRINK)

    assert ids(stores) == ["id-2", "id-3"]
    assert (receipt.status, receipt.kept) == ("complete", "")


def test_shards_that_were_never_completed_are_not_replaced_by_less() -> None:
    stores = of_files(TWO)
    convert(stores, FIRST)
    stores.source.delete([TWO[0][0]])
    stood = checksums(stores)

    convert(stores, Shard(1, 3))
    convert(stores, Shard(2, 3))
    with pytest.raises(
        IncompleteSplitError,
        match="shard 1 of 2 would be removed, but 1 of 2 records that it holds is not in the",
    ):
        convert(stores, Shard(3, 3))
    assert stood.items() <= checksums(stores).items()


@pytest.mark.parametrize("bounds", [(), (Bound("111111111111", "us-east-1", 40_000),)])
def test_a_unit_of_which_a_split_was_never_completed_is_converted_by_its_shards(
    bounds: tuple[Bound, ...],
) -> None:
    stores = of_files(TWO)
    first = Shard.between(1, bounds) if bounds else FIRST
    if bounds:
        note_cut(stores.state, UNIT, bounds, WHOLE)
    convert(stores, first)
    stores.source.delete([TWO[0][0]])

    receipt = convert(stores)

    assert receipt == receipt_of(stores)
    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert receipt.kept.startswith(f"shard {first}: 1 of ")
    assert {shard_of(part.key).split for part in receipt.parts} == {first.split}


# What happens between reading and publishing.


class Interrupted(Mortal):
    """A dataset in which something else happens when a run begins to write its first part."""

    def __init__(self, store: Store, act: Callable[[], object]) -> None:
        super().__init__(store, lambda: None)
        self._act: Callable[[], object] | None = act

    def staging(self) -> Staging:
        return InterruptedStaging(self._store.staging(), self._interrupt)

    def _interrupt(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()


class InterruptedStaging(MortalStaging):
    def create(self, key: str) -> BinaryIO:
        self._tick()
        return super().create(key)


def test_a_copy_that_goes_while_another_shard_leaves_its_own_out_is_not_lost() -> None:
    stores = of_files(TWO)
    convert(stores, FIRST)

    def lose() -> None:
        stores.source.delete([TWO[1][0]])
        convert(stores, FIRST, settings=SHRINK)

    convert(dataclasses.replace(stores, dataset=Interrupted(stores.dataset, lose)), SECOND)

    assert ids(stores) == ["id-1", "id-2", "id-3"]


def test_a_copy_that_comes_while_another_shard_is_read_stands_once() -> None:
    stores = of_files(TWO)

    def add() -> None:
        convert(stores, FIRST)

    convert(dataclasses.replace(stores, dataset=Interrupted(stores.dataset, add)), SECOND)

    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert receipt_of(stores).records.duplicate == 1


def test_a_whole_conversion_while_a_shard_is_read_leaves_a_split_that_others_complete() -> None:
    stores = of_files(TWO)
    convert(stores, FIRST)

    def replace() -> None:
        convert(stores)

    convert(dataclasses.replace(stores, dataset=Interrupted(stores.dataset, replace)), SECOND)
    assert {"id-1", "id-2", "id-3"} == set(ids(stores))
    convert(stores, FIRST)

    assert ids(stores) == ["id-1", "id-2", "id-3"]
    assert shards_that_wrote(stores) == {2}


def test_only_row_groups_that_may_hold_a_copy_are_read() -> None:
    stores = of_files(
        [file(MORNING + n * HOUR, n, log_file(event(n, MORNING + n * HOUR))) for n in range(9)]
    )
    convert(stores, FIRST)
    (key,) = parts(stores)
    reads = Counter[str]()

    class Counting(Mortal):
        def open(self, key: str) -> BinaryIO:
            reads[key] += 1
            return self._store.open(key)

    standing = PublishedParts(Counting(stores.dataset, lambda: None), UNIT, DEFAULT_LAYOUT, SECOND)
    keys = pa.array([hash("id-0")], pa.int64())

    assert not standing.contents(DAY, keys, pa.array([EVENING], TIMESTAMP))
    assert reads == {key: 1}  # its footer
    assert len(standing.contents(DAY, keys, pa.array([MORNING], TIMESTAMP))) == 1
    assert len(standing.contents(DAY, keys)) == 1
    assert reads == {key: 3}
