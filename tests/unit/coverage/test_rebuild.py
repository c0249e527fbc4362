"""A state that is lost takes no record with it, and no protection."""

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.coverage.rebuild import Rebuilt, rebuild
from cloudtrail_parquet.layout import Place, Shard, Unit
from cloudtrail_parquet.settings.options import LeaseOptions
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import read_notes
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import Store
from tests.unit.coverage.organisation import (
    DAY,
    HOME,
    MAIN,
    OTHER,
    VIRGINIA,
    Organisation,
    march,
)
from tests.unit.coverage.test_cover import LAYOUTS
from tests.unit.deliveries import checksums, rows
from tests.unit.mortal import Killed, KilledError

PLACES = [Place(MAIN, HOME), Place(MAIN, VIRGINIA), Place(OTHER, HOME)]
FIRST, UNIT = PLACES[0], Unit(MAIN, HOME, march(2))


def organisation(layout: str = "account/region/year/month/day") -> Organisation:
    """Three days of three places, of which the last has a straggler of the first."""
    world = Organisation(layout)  # type: ignore[arg-type]
    for place in PLACES:
        for day in (1, 2, 3):
            late = {"eventTime": "2026-03-01T11:00:00Z"} if day == 3 else None
            world.deliver(place, march(day), *([late] if late else []), number=3)
    world.convert()
    return world


def lose_state(world: Organisation) -> None:
    world.stores.state.delete([entry.key for entry in world.stores.state.files("")])


def again(world: Organisation) -> Rebuilt:
    lease = LeaseOptions.of(world.settings)
    return rebuild(world.stores, lease, world.settings.settle_margin_s)


def receipts(world: Organisation) -> dict[str, Receipt]:
    state = world.stores.state
    return {
        entry.key: msgspec.json.decode(state.read(entry.key), type=Receipt)
        for entry in state.files("receipts/")
    }


def ids(world: Organisation) -> Counter[str]:
    return Counter(str(msgspec.json.decode(text)["eventID"]) for _, text in rows(world.stores))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_receipts_are_made_again_but_for_what_only_log_files_tell(layout: str) -> None:
    world = organisation(layout)
    before, said = receipts(world), world.said(last=march(4))
    lose_state(world)

    done = again(world)

    assert (done.made, done.there, done.left, done.properties) == (len(before), 0, [], True)
    after = receipts(world)
    assert after.keys() == before.keys()
    for key, receipt in after.items():
        was = before[key]
        assert receipt.rebuilt
        assert {part.sha256 for part in receipt.parts} == {""}
        assert (receipt.files.read, receipt.bytes_in, receipt.quarantined) == (0, 0, [])
        for name in ("settings", "source_fingerprint", "schema_version", "stragglers", "settled"):
            assert getattr(receipt, name) == getattr(was, name), name
        assert (receipt.lookbehind_s, receipt.folders) == (was.lookbehind_s, was.folders)
        assert sorted((part.key, part.rows, part.bytes) for part in receipt.parts) == sorted(
            (part.key, part.rows, part.bytes) for part in was.parts
        )
        assert receipt.records.written == was.records.written
        assert {
            (account, region): figures.records[1:3]
            for account, regions in receipt.places.items()
            for region, figures in regions.items()
        } == {
            (account, region): figures.records[1:3]
            for account, regions in was.places.items()
            for region, figures in regions.items()
        }
    told = {
        key: what if what[1] != "rebuilt" else (what[0], "")
        for key, what in world.said(last=march(4)).items()
    }
    assert told == said


def test_a_month_is_marked_once_however_many_receipts_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, written = organisation(), list[str]()
    lose_state(world)
    write = type(world.stores.state).write

    def note(store: Store, key: str, data: bytes) -> None:
        written.append(key)
        write(store, key, data)

    monkeypatch.setattr(type(world.stores.state), "write", note)

    assert again(world).made == 9
    assert [key for key in written if "marks" in key] == ["ledger/marks/year=2026/month=03.txt"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_place_whose_records_all_are_elsewhere_was_converted_all_the_same(layout: str) -> None:
    """The only record of a day was published before, by a day on which it was delivered again."""
    world = Organisation(layout)  # type: ignore[arg-type]
    twice = {"eventID": "twice", "eventTime": "2026-03-02T12:00:00Z"}
    for place in PLACES:
        world.deliver(place, march(4), *([twice] if place == FIRST else []))
        world.deliver(place, march(2), *([twice] if place == FIRST else [{}]), number=0)
    world.convert(march(4))
    world.convert()
    before = world.said(first=march(2), last=march(2))
    lose_state(world)
    again(world)

    after = world.said(first=march(2), last=march(2))

    assert set(before.values()) == {("converted", "")}
    is_known = layout != LAYOUTS[0]
    lost = ("converted", "rebuilt") if is_known else ("missing", "never converted")
    assert after.pop((*FIRST, 2)) == lost
    assert set(after.values()) == {("converted", "rebuilt")}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_source_gives_the_same_parts_and_receipts(layout: str) -> None:
    world = organisation(layout)
    before, parts = receipts(world), checksums(world.stores)
    lose_state(world)
    again(world)

    world.convert()

    assert checksums(world.stores) == parts
    of_run = {"run": "", "seconds": 0.0, "converted_at": world.clock.time}
    assert {
        key: msgspec.structs.replace(one, **of_run) for key, one in receipts(world).items()
    } == {key: msgspec.structs.replace(one, **of_run) for key, one in before.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_source_that_has_shrunk_replaces_nothing(layout: str) -> None:
    world = organisation(layout)
    before = ids(world)
    lose_state(world)
    again(world)
    logs = [entry.key for entry in world.stores.source.files("")]
    world.stores.source.delete([key for key in logs if "/02/" in key])
    world.deliver(FIRST, march(2), hour=14, number=2)

    world.convert()

    after = ids(world)
    assert before <= after
    assert set(after.values()) == {1}
    assert after.total() == before.total() + 2
    kept = [receipt for receipt in receipts(world).values() if receipt.kept]
    assert kept
    assert all(receipt.rebuilt for receipt in kept)


def test_a_record_less_in_the_same_log_files_is_not_overlooked() -> None:
    """Rows are not what was read: a duplicate may make up for a record that is gone."""
    world = Organisation()
    twice = {"eventID": "twice", "eventTime": "2026-03-02T12:00:00Z"}
    for hour in (12, 13):
        world.deliver(FIRST, march(2), twice, hour=hour, number=0)
    key = world.deliver(FIRST, march(2), hour=14)
    world.convert()
    before = ids(world)
    lose_state(world)
    again(world)
    size = len(world.stores.source.read(key))
    world.stores.source.write(key, b"x" * size)  # the fingerprint stays

    world.convert()

    assert len(before) == 2
    assert ids(world) == before


def test_what_can_be_read_is_not_replaced_nor_what_is_under_way() -> None:
    world = organisation()
    key, state = StateKeys.of(UNIT), world.stores.state
    state.write(key.receipt, b"{")
    unfinished = StateKeys.of(UNIT.on(march(3)))
    state.write(unfinished.intent, b"{}")
    state.delete([unfinished.receipt])
    others = receipts_readable(world)

    done = again(world)

    assert (done.made, done.there) == (1, 8)
    assert read_notes(state, UNIT).receipt is not None
    assert state.read_if_there(unfinished.receipt) is None
    assert all(state.read(name) == text for name, text in others.items())


def receipts_readable(world: Organisation) -> dict[str, bytes]:
    texts = {e.key: world.stores.state.read(e.key) for e in world.stores.state.files("receipts/")}
    return {key: text for key, text in texts.items() if text != b"{"}


def test_parts_that_may_not_be_all_of_a_unit_are_left_to_a_conversion() -> None:
    world = organisation()
    trails = discover(world.stores.source, ("CloudTrail",)).trails[FIRST]
    world.deliver(FIRST, march(2), hour=2)
    world.deliver(FIRST, march(2), hour=22)
    shards = Shard(1, 2).siblings
    convert_unit(UNIT, trails, world.stores, world.settings, shard=shards[0])
    lose_state(world)
    assert [why for unit, why in again(world).left] == ["it has parts of several splits"]

    lose_state(world)
    own = "account=111111111111/region=eu-central-1/year=2026/month=03/day=02/part-00000.parquet"
    world.stores.dataset.delete([own])
    assert [why for unit, why in again(world).left] == ["1 shard of it has no part"]

    lose_state(world)
    for shard in shards:
        convert_unit(UNIT, trails, world.stores, world.settings, shard=shard)
    before = read_notes(world.stores.state, UNIT).receipt
    lose_state(world)
    assert again(world).left == []
    after = read_notes(world.stores.state, UNIT).receipt
    assert before is not None
    assert after is not None
    assert (after.records.written, after.source_fingerprint) == (
        before.records.written,
        before.source_fingerprint,
    )


@pytest.mark.parametrize("text", [None, b"{"])
def test_the_properties_of_the_dataset_are_recorded_again(text: bytes | None) -> None:
    world = organisation("dt")
    before = world.stores.state.read("dataset.json")
    if text is None:
        world.stores.state.delete(["dataset.json"])
    else:
        world.stores.state.write("dataset.json", text)

    assert again(world).properties
    assert world.stores.state.read("dataset.json") == before
    assert not again(world).properties


actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("deliver"), st.sampled_from(PLACES), st.integers(1, 3), st.integers(0, 2)
        ),
        st.tuples(st.just("expire"), st.integers(1, 3)),
        st.tuples(st.just("lose all")),
        st.tuples(st.just("lose some"), st.integers(0, 2**16)),
        st.tuples(st.just("rebuild"), st.integers(0, 12)),
        st.tuples(st.just("convert"), st.one_of(st.none(), st.integers(1, 3))),
    ),
    max_size=12,
)


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(st.sampled_from(LAYOUTS), actions)
def test_no_record_is_lost_or_doubled_whenever_the_state_is_lost(
    layout: str, what: list[tuple[object, ...]]
) -> None:
    """Whatever was published stays, once, and whatever the source has comes to it."""
    world, published = organisation(layout), Counter[str]()
    state = world.stores.state
    for action in [*what, ("rebuild", 99), ("convert", None)]:
        match action:
            case ("deliver", Place() as place, int(day), int(late)):
                time = {"eventTime": f"{march(day) - late * DAY:%Y-%m-%d}T10:00:00Z"}
                world.deliver(place, march(day), time, hour=10)
            case ("expire", int(day)):
                logs = [entry.key for entry in world.stores.source.files("")]
                world.stores.source.delete([key for key in logs if f"/{day:02d}/" in key])
                world.deliver(FIRST, march(5))  # there is always something
            case ("lose all",):
                lose_state(world)
            case ("lose some", int(bits)):
                keys = [entry.key for entry in state.files("")]
                state.delete([key for n, key in enumerate(keys) if bits >> n % 16 & 1])
            case ("rebuild", int(changes)):
                stores, killed = world.stores, Killed(world.stores, changes)
                world.stores = killed.stores
                try:
                    again(world)
                except KilledError:
                    world.clock.time += timedelta(hours=1)
                finally:
                    world.stores = stores
            case ("convert", day):
                world.convert(march(day) if isinstance(day, int) else None)
        now = ids(world)
        assert set(now.values()) <= {1}
        assert published <= now, "a record is gone"
        published = now
    assert world.delivered <= published.keys()
