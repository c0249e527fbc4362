"""What the source has lost is not lost from the dataset, whatever has become of the receipt."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.dataset.properties import record_properties
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import WHOLE, Shard, Unit
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.rules import Discard
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state import identities
from cloudtrail_parquet.state.identities import Fingerprint, Identities
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from tests.builders import WritableStores
from tests.unit.deliveries import ACCOUNT, REGION, checksums, deliver, event, memory, rows
from tests.unit.mortal import Killed, KilledError

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, date(2026, 1, 10))
SETTINGS = Settings(fetch_threads=1)
LARGER = Settings(fetch_threads=1, lookbehind_s=901)  # so that nothing is added, but replaced
Break = Callable[[WritableStores], object]


def convert(
    stores: WritableStores, settings: Settings = SETTINGS, shard: Shard = WHOLE, unit: Unit = UNIT
) -> Receipt:
    trails = discover(stores.source, settings.folders).trails[ACCOUNT, REGION]
    receipt = convert_unit(unit, trails, stores, settings, shard=shard)
    assert receipt is not None
    return receipt


def put(stores: WritableStores, *numbers: int, hour: int = 0) -> str:
    """A log file with these records, of which the negative ones are of the day before; its key."""
    when = NOON + timedelta(hours=hour)
    before = {entry.key for entry in stores.source.files("")}
    records = [event(n, when - timedelta(days=1) * (n < 0)) for n in numbers]
    deliver(stores, when, records)
    (key,) = {entry.key for entry in stores.source.files("")} - before
    return key


def ids(stores: WritableStores) -> set[str]:
    return {json.loads(text)["eventID"] for _, text in rows(stores)}


def cut(stores: WritableStores) -> None:
    for entry in list(stores.state.files("receipts/")):
        stores.state.write(entry.key, stores.state.read(entry.key)[:200])


def other_form(stores: WritableStores) -> None:
    for entry in list(stores.state.files("receipts/")):
        stores.state.write(entry.key, b'{"version": 7}')


def other_unit(stores: WritableStores) -> None:
    for entry in list(stores.state.files("receipts/")):
        text = stores.state.read(entry.key).replace(b"2026-01-10", b"2026-01-11")
        stores.state.write(entry.key, text)


def without(*kinds: str) -> Break:
    def remove(stores: WritableStores) -> None:
        for entry in list(stores.state.files("")):
            if entry.key.startswith(kinds):
                stores.state.delete([entry.key])

    return remove


def both(one: Break, other: Break) -> Break:
    def break_(stores: WritableStores) -> None:
        one(stores)
        other(stores)

    return break_


def damaged_identities(stores: WritableStores) -> None:
    for entry in list(stores.state.files("identities/")):
        stores.state.write(entry.key, stores.state.read(entry.key)[:-3])


BROKEN: dict[str, Break] = {
    "receipt cut": cut,
    "receipt of another form": other_form,
    "receipt of another unit": other_unit,
    "no receipt": without("receipts/"),
    "no state": without(""),
    "no identities": without("identities/"),
    "identities cut": damaged_identities,
    "receipt and identities cut": both(cut, damaged_identities),
}


@pytest.fixture(params=[0, 100], ids=["many log files", "few"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many log files a receipt names; where it names none, they lie in an object."""
    limit: int = request.param
    monkeypatch.setattr(identities, "FEW", limit)
    return limit


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_records_whose_log_file_has_expired_stay_when_a_larger_one_comes(
    broken: Break, few: int
) -> None:
    if few and broken in {BROKEN["no identities"], damaged_identities}:
        pytest.skip("there is no such object")
    stores = memory()
    small = put(stores, *range(20), -1, -2)
    put(stores, *range(20, 25), hour=1)
    convert(stores)
    stood = checksums(stores)
    stores.source.delete([small])
    put(stores, *range(100, 130), hour=2)
    broken(stores)

    receipt = convert(stores)

    assert checksums(stores).items() > stood.items()
    assert receipt.status == "partial"
    assert receipt.kept
    assert {part.key for part in receipt.parts} == set(checksums(stores))
    assert (receipt.records.written, receipt.records.straggled) == (55, 2)
    assert receipt.stragglers == {"2026-01-09": 2}
    all_of_it = checksums(stores)
    assert convert(stores).kept, "once more, now with the receipt of what was kept"
    assert checksums(stores) == all_of_it
    assert ids(stores) >= {f"id-{n}" for n in (*range(25), *range(100, 130))}

    replaced = convert(stores, dataclasses.replace(SETTINGS, replace_shrunk=True))
    assert not replaced.kept
    assert ids(stores) >= {f"id-{n}" for n in (*range(20, 25), *range(100, 130))}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_source_that_only_grew_replaces_what_stands_whatever_is_broken(
    broken: Break, few: int
) -> None:
    stores = memory()
    put(stores, *range(20), -1)
    convert(stores)
    put(stores, *range(20, 25), -2, hour=1)
    broken(stores)

    receipt = convert(stores)

    assert not receipt.kept
    assert bool(receipt.identities) == bool(few)
    assert ids(stores) == {f"id-{n}" for n in (*range(25), -1, -2)}
    assert len(rows(stores)) == 27
    assert read_notes(stores.state, UNIT).is_true


@pytest.mark.usefixtures("few")
def test_what_a_killed_replacement_has_put_stays_when_its_log_file_is_gone() -> None:
    for changes in range(60):
        stores = memory()
        put(stores, 1, 2)
        convert(stores)
        new = put(stores, 3, 4, hour=1)
        with suppress(KilledError):
            convert(Killed(stores, changes).stores, LARGER)
            break
        stood = ids(stores)
        stores.source.delete([new])

        convert(stores, LARGER)

        assert ids(stores) == stood, changes
        assert len(rows(stores)) == len(stood)
    assert changes > 3


@pytest.mark.parametrize("broken", [cut, without("")], ids=["receipt cut", "no state"])
def test_the_same_source_replaces_what_stands_whatever_is_broken(broken: Break) -> None:
    stores = memory()
    put(stores, 1, 2, -1)
    convert(stores)
    stood = checksums(stores)
    broken(stores)

    assert not convert(stores).kept
    assert checksums(stores) == stood


def test_a_log_file_that_became_worse_is_not_made_up_for_by_another() -> None:
    stores = memory()
    worse = put(stores, *range(10))
    convert(stores)
    other = memory()
    put(other, 1)
    stores.source.write(worse, other.source.read(next(iter(other.source.files(""))).key))
    put(stores, *range(50, 90), hour=1)

    assert convert(stores).kept == "9 of 10 records can no longer be read"
    assert len(rows(stores)) == 10


def test_a_log_file_that_was_repaired_replaces_what_was_made_of_the_damaged_one() -> None:
    stores = memory()
    repaired = put(stores, 1, 2, 3)
    good = stores.source.read(repaired)
    stores.source.write(repaired, b"\x1f\x8b damaged")
    convert(stores)
    stores.source.write(repaired, good)

    assert not convert(stores).kept
    assert len(rows(stores)) == 3


def test_a_log_file_that_could_never_be_read_may_go() -> None:
    stores = memory()
    bad = put(stores, 1)
    stores.source.write(bad, b"\x1f\x8b damaged")
    put(stores, 2, hour=1)
    convert(stores)
    stores.source.delete([bad])

    receipt = convert(stores)
    assert (receipt.kept, receipt.status) == ("", "complete")


def test_records_that_a_new_rule_discards_are_not_missed_when_the_state_is_lost() -> None:
    stores = memory()
    when = NOON
    deliver(stores, when, [event(1, when), event(2, when) | {"eventName": "Noise"}])
    convert(stores)
    put(stores, 3, hour=1)
    without("")(stores)
    rule = Discard(name="noise", eventName=("Noise",))

    receipt = convert(stores, dataclasses.replace(SETTINGS, discard=(rule,)))

    assert not receipt.kept
    assert ids(stores) == {"id-1", "id-3"}


def test_a_split_keeps_what_the_state_has_forgotten() -> None:
    stores = memory()
    small = put(stores, *range(20))
    put(stores, 20, hour=1)
    convert(stores)
    stood = checksums(stores)
    stores.source.delete([small])
    put(stores, *range(100, 130), hour=2)
    without("")(stores)

    for shard in Shard(1, 2).siblings:
        convert(stores, shard=shard)

    assert checksums(stores) == stood
    receipt = read_notes(stores.state, UNIT).receipt
    assert receipt is not None
    assert "20 of 21 records that it holds are not in the source" in receipt.kept


# The dataset as a whole.


def test_a_dataset_whose_state_is_lost_is_not_begun_anew_in_another_layout() -> None:
    stores = memory()
    put(stores, 1)
    record_properties(stores, DatasetOptions.of(SETTINGS), LeaseOptions.of(SETTINGS))
    convert(stores)
    without("")(stores)

    for change in ({"partition_layout": "account/region/dt"}, {"lookahead_s": 0}):
        with pytest.raises(UsageError, match="the dataset was made with"):
            record_properties(
                stores,
                DatasetOptions.of(dataclasses.replace(SETTINGS, **change)),
                LeaseOptions.of(dataclasses.replace(SETTINGS, **change)),
            )
    assert stores.state.read_if_there("dataset.json") is None
    record_properties(stores, DatasetOptions.of(SETTINGS), LeaseOptions.of(SETTINGS))
    assert stores.state.read_if_there("dataset.json") is not None


# Damaged parts.


def damage(stores: WritableStores, where: str) -> str:
    """Change bytes in the pages of the part whose key has this in it; the key."""
    (key,) = [entry.key for entry in stores.dataset.files("") if where in entry.key]
    data = bytearray(stores.dataset.read(key))
    for at in range(40, len(data) // 4, 40):
        data[at] ^= 0xFF
    stores.dataset.write(key, bytes(data))
    return key


def test_a_damaged_part_of_another_unit_is_named_and_stops_only_who_has_to_read_it() -> None:
    stores = memory()
    put(stores, 1, 2)
    convert(stores)
    tomorrow = Unit(ACCOUNT, REGION, date(2026, 1, 11))
    deliver(stores, NOON + timedelta(days=1), [event(9, NOON), event(1, NOON)])
    stood = checksums(stores)
    key = damage(stores, "day=10/part-")
    page = stores.dataset.read(key)

    with pytest.raises(StorageError, match=f"{key}: the part is damaged .*again") as caught:
        convert(stores, unit=tomorrow)
    assert not isinstance(caught.value.__cause__, StorageError)
    assert stores.dataset.read(key) == page
    other = Unit(ACCOUNT, REGION, date(2026, 1, 20))
    deliver(stores, NOON + timedelta(days=10), [event(20, NOON + timedelta(days=10))])
    assert convert(stores, unit=other).records.written == 1

    convert(stores)  # its own day replaces it, without reading it
    assert checksums(stores)[key] == stood[key]
    assert convert(stores, unit=tomorrow).records.duplicate == 1


# Identities and fingerprints.

names = st.dictionaries(st.text("abc/", min_size=1, max_size=6), st.integers(0, 9), max_size=8)


@given(names)
def test_identities_are_read_as_they_were_written(counts: dict[str, int]) -> None:
    identities = Identities()
    for name, records in counts.items():
        identities.add(name, records)
    data = identities.to_bytes()

    assert Identities.of_bytes(data) == identities
    assert len(data) == 16 + 12 * len(identities)
    assert Identities.of_bytes(data[:-1]) is None
    assert Identities.of_bytes(data + b"x") is None


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 9), max_size=6), st.data())
def test_a_fingerprint_is_the_same_in_whatever_order_and_changes_with_any_file(
    sizes: dict[str, int], data: st.DataObject
) -> None:
    def of(files: list[tuple[str, int]]) -> str:
        fingerprint = Fingerprint()
        for name, size in files:
            fingerprint.add(f"{data.draw(st.sampled_from(['', 'a/', 'b/c/']))}{name}", size)
        return str(fingerprint)

    files = list(sizes.items())
    whole = of(files)

    assert of(data.draw(st.permutations(files))) == whole
    for gone in files:
        assert of([one for one in files if one != gone]) != whole
        assert of([(n, s + ((n, s) == gone)) for n, s in files]) != whole


def test_stragglers_that_nothing_tells_of_any_more_go_when_their_unit_no_longer_has_them() -> None:
    stores = memory()
    put(stores, 1, -1, -2)
    put(stores, -3, hour=1)
    convert(stores, dataclasses.replace(SETTINGS, row_group_rows=1))  # a part for each straggler
    cut(stores)
    rule = Discard(name="some", eventName=("Call",))

    convert(stores, dataclasses.replace(SETTINGS, discard=(rule,)))

    assert checksums(stores) == {}


# Splits that were never completed, while log files go.


def in_shards(stores: WritableStores, *shards: Shard) -> list[Receipt]:
    return [convert(stores, shard=shard) for shard in shards]


def spread() -> tuple[WritableStores, list[str]]:
    """A day with a log file of two records in each of its hours; their keys."""
    stores = memory()
    return stores, [put(stores, 10 * hour, 10 * hour + 1, hour=hour) for hour in range(-12, 12)]


def test_a_shard_that_is_kept_removes_nothing_of_other_splits() -> None:
    stores, keys = spread()
    in_shards(stores, Shard(1, 3), Shard(2, 3))
    stores.source.delete([keys[1]])
    with suppress(UsageError):
        in_shards(stores, Shard(2, 2), Shard(1, 2))
    stood = ids(stores)
    stores.source.delete([keys[5]])

    with suppress(UsageError):
        in_shards(stores, Shard(1, 2))

    assert ids(stores) >= stood


@pytest.mark.parametrize("damage", [lambda data: data[:-12], lambda data: data[:-9] + b"xxxxxxxxx"])
@pytest.mark.parametrize("then", [[WHOLE], [Shard(1, 2), Shard(2, 2)]], ids=["whole", "shards"])
def test_rows_of_a_log_file_that_was_damaged_after_a_shard_had_read_it_stay(
    damage: Callable[[bytes], bytes], then: list[Shard]
) -> None:
    stores, keys = spread()
    in_shards(stores, Shard(1, 3))
    stood = ids(stores)
    stores.source.write(keys[1], damage(stores.source.read(keys[1])))

    with suppress(UsageError):
        in_shards(stores, *then)

    assert ids(stores) >= stood


def test_rows_of_a_log_file_damaged_in_place_stay_though_no_receipt_can_be_read() -> None:
    stores = memory()
    bad = put(stores, 1, 2)
    put(stores, 3, hour=1)
    convert(stores)
    data = stores.source.read(bad)
    stores.source.write(bad, data[:-9] + b"x" * 9)
    without("receipts/", "identities/")(stores)

    assert convert(stores).kept
    assert ids(stores) == {"id-1", "id-2", "id-3"}


def test_conflicting_records_in_parts_of_several_runs_stay_though_the_state_is_lost() -> None:
    stores = memory()
    gone = put(stores, 1, 2, 3)
    convert(stores)
    deliver(stores, NOON, [event(1, NOON) | {"eventName": "Other"}])
    assert convert(stores).additions
    without("")(stores)
    stores.source.delete([gone])
    stood = checksums(stores)

    assert convert(stores).kept
    assert checksums(stores) == stood


def test_a_kept_unit_that_stands_whole_and_in_shards_keeps_each_record_once() -> None:
    stores, keys = spread()
    in_shards(stores, Shard(2, 3), Shard(3, 3))
    many_parts = dataclasses.replace(SETTINGS, row_group_rows=6, part_bytes=1)
    killed = Killed(stores, 4).stores  # intent, identities, two parts
    with suppress(KilledError):
        convert(killed, many_parts)
    stores.source.delete([keys[0]])

    with suppress(UsageError):
        convert(stores)

    twice = [one for one, count in Counter(rows(stores)).items() if count > 1]
    noted = read_notes(stores.state, UNIT)
    assert not twice or not (noted.is_true and noted.receipt), "doubled, and a receipt says final"


def test_a_kept_receipt_tells_of_the_parts_that_are_left() -> None:
    stores = memory()
    gone = put(stores, 1, 2, -1)
    put(stores, 3, hour=1)
    convert(stores)
    (straggler,) = [one.key for one in stores.dataset.files("") if "straggler" in one.key]
    stores.dataset.delete([straggler])
    stores.source.delete([gone])

    receipt = convert(stores)

    assert receipt.kept
    assert [part.key for part in receipt.parts] == [one.key for one in stores.dataset.files("")]


def test_the_last_day_of_the_calendar_is_converted_like_any_other() -> None:
    stores = memory()
    last = datetime(9999, 12, 31, 12, tzinfo=UTC)
    deliver(stores, last, [event(1, last)])

    receipt = convert(stores, unit=Unit(ACCOUNT, REGION, last.date()))

    assert (receipt.records.written, receipt.settled) == (1, False)
