"""The ledger costs little, and is never believed against a receipt that was looked at."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from cloudtrail_parquet.coverage.ledger import SCHEMA, VERSION, days_in, to_bytes
from cloudtrail_parquet.coverage.rollup import NOTE, Ledger
from cloudtrail_parquet.coverage.rollup import roll_up as roll_up_any
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.state.marks import LONGEST, Marks, Month
from cloudtrail_parquet.storage import ObjectStore
from tests.builders import WritableStores
from tests.unit.counted import Counted
from tests.unit.coverage.organisation import HOME, MAIN, OTHER, VIRGINIA, Organisation, march

roll_up = partial(roll_up_any, few=0)
"""The ledger of a dataset so large that months are believed."""

APRIL, MARCH = Month(2026, 4), Month(2026, 3)
PLACES = [Place(MAIN, HOME), Place(OTHER, VIRGINIA)]


class World(Organisation):
    """An organisation with days in two months, whose requests to the state are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter[str]()
        state = ObjectStore("s3://state", Counted(self.requests), remove_if=Counted.remove_if)
        self.stores = WritableStores(
            self.stores.source, self.stores.dataset, state, clock=self.clock
        )
        self.clock.time = datetime.now(UTC)
        for place in PLACES:
            for day in (30, 31, 32, 33):
                self.deliver(place, march(1) + timedelta(days=day - 1))
        self.convert()

    def rows(self, ledger: Ledger | None = None) -> list[dict[str, Any]]:
        ledger = ledger or roll_up(self.stores)
        tables = [ledger.table(month) for month in sorted(ledger.months)]
        rows: list[dict[str, Any]] = pa.concat_tables([SCHEMA.empty_table(), *tables]).to_pylist()
        return rows

    def asked(self) -> Counter[str]:
        """What the ledger asks for when it is brought up to date."""
        self.requests.clear()
        roll_up(self.stores)
        return Counter(self.requests)

    def receipt(self, ending: str) -> str:
        """The key of the first receipt that ends so."""
        receipts = (entry.key for entry in self.stores.state.files("receipts/"))
        return next(key for key in receipts if key.endswith(ending))


def test_the_ledger_has_what_receipts_say() -> None:
    world = World()

    ledger = roll_up(world.stores)

    assert ledger.read == ledger.listed == 8
    assert {month: stored.units for month, stored in ledger.months.items()} == {MARCH: 4, APRIL: 4}
    rows = world.rows(ledger)
    assert [(row["account"], row["day"].day, row["written"], row["read"]) for row in rows] == [
        (account, day, 1, 1)
        for month in ((30, 31), (1, 2))
        for account, _ in PLACES
        for day in month
    ]
    assert all(row["is_first"] and len(row["parts"]) == 1 for row in rows)
    assert days_in(ledger.table(MARCH)) == (march(30), march(31))


def test_only_receipts_that_have_changed_are_read() -> None:
    world = World()
    before = world.rows()
    world.deliver(PLACES[0], march(30), hour=13, number=4)
    world.convert(march(30))

    ledger = roll_up(world.stores)

    assert (ledger.listed, ledger.read) == (8, 2)
    after = world.rows(ledger)
    assert [row["written"] for row in after if row not in before] == [5, 1]


def test_a_receipt_that_is_gone_is_gone_from_the_ledger() -> None:
    world = World()
    roll_up(world.stores)
    for ending in ("month=03/day=30.json", "month=04/day=01.json", "month=04/day=02.json"):
        world.stores.state.delete([world.receipt(ending)])

    rows = world.rows()

    assert [(row["account"], row["day"].day) for row in rows] == [
        *((MAIN, 31), (OTHER, 30), (OTHER, 31)),
        *((OTHER, 1), (OTHER, 2)),
    ]
    world.stores.state.delete([entry.key for entry in world.stores.state.files("receipts/")])
    assert world.rows() == []
    assert not [e for e in world.stores.state.files("ledger/") if e.key.endswith(".parquet")]


def test_months_that_were_marked_long_before_are_believed() -> None:
    world = World()
    roll_up(world.stores)
    world.clock.time += LONGEST + timedelta(hours=1)
    roll_up(world.stores)  # the months were marked by the one before

    assert world.asked() == {"LIST": 1, "GET": 1}

    Marks(world.stores.state, world.clock).mark(march(31))
    ledger = roll_up(world.stores)
    assert (ledger.listed, ledger.read) == (4, 0)


def test_whatever_has_changed_since_is_found_if_its_month_is_marked() -> None:
    world = World()
    roll_up(world.stores)
    world.clock.time += LONGEST + timedelta(hours=1)
    roll_up(world.stores)
    marks = Marks(world.stores.state, world.clock)

    world.stores.state.delete([world.receipt("month=03/day=31.json")])
    assert len(world.rows()) == 8, "nobody has marked it"
    assert len(world.rows(roll_up(world.stores, fresh=True))) == 7, "all are listed"

    marks.mark(march(31))
    world.stores.state.delete([world.receipt("month=03/day=30.json")])
    assert len(world.rows()) == 6


def test_of_few_receipts_nothing_is_believed_whoever_has_changed_them() -> None:
    world = World()
    roll_up(world.stores)
    world.clock.time += LONGEST + timedelta(hours=1)
    assert roll_up(world.stores).believed == 0
    assert roll_up(world.stores).believed == 2
    world.stores.state.delete([world.receipt("month=03/day=31.json")])

    ledger = roll_up_any(world.stores)

    assert (ledger.believed, ledger.since) == (0, None)
    assert len(world.rows(ledger)) == 7, "nobody has marked it"
    world.requests.clear()
    roll_up_any(world.stores)
    assert world.requests["GET"] == 1, "the note says what was listed, so no month is read"
    world.deliver(PLACES[0], march(30), hour=13, number=4)
    world.convert(march(30))
    assert [row["written"] for row in world.rows(roll_up_any(world.stores))] == [5, *[1] * 6]


def damaged_month(world: World) -> None:
    world.stores.state.write("ledger/year=2026/month=03.parquet", b"PAR1")


def lost_month(world: World) -> None:
    world.stores.state.delete(["ledger/year=2026/month=03.parquet"])


def damaged_note(world: World) -> None:
    world.stores.state.write(NOTE, b"{")


def lost_note(world: World) -> None:
    world.stores.state.delete([NOTE])


def lost_marks(world: World) -> None:
    keys = [entry.key for entry in world.stores.state.files("ledger/marks/")]
    world.stores.state.delete(keys)


def lost_ledger(world: World) -> None:
    world.stores.state.delete([entry.key for entry in world.stores.state.files("ledger/")])


def older_columns(world: World) -> None:
    month = roll_up(world.stores).table(MARCH).drop_columns(["parts", "receipt"])
    world.stores.state.write("ledger/year=2026/month=03.parquet", to_bytes(month))


def newer_version(world: World) -> None:
    month, note = roll_up(world.stores).table(MARCH), world.stores.state.read(NOTE)
    at, out = month.column_names.index("written"), pa.BufferOutputStream()
    month = month.set_column(at, "written", pa.array([99] * month.num_rows, pa.int64()))
    of_version = {"cloudtrail_parquet.ledger": str(VERSION + 1)}
    pa.parquet.write_table(month.replace_schema_metadata(of_version), out)
    key = "ledger/year=2026/month=03.parquet"
    world.stores.state.write(key, out.getvalue().to_pybytes())
    (written,) = [e.version for e in world.stores.state.files("ledger/") if e.key == key]
    told = msgspec.json.decode(note)
    told["version"] += 1
    told["months"]["2026-03"][0] = written
    world.stores.state.write(NOTE, msgspec.json.encode(told))


def of_another_dataset(world: World) -> None:
    other = World()
    other.deliver(PLACES[0], march(30), hour=13, number=9)
    other.convert()
    roll_up(other.stores)
    world.stores.state.delete([entry.key for entry in world.stores.state.files("ledger/")])
    for entry in other.stores.state.files("ledger/"):
        world.stores.state.write(entry.key, other.stores.state.read(entry.key))


@pytest.mark.parametrize(
    "spoil",
    [
        *(damaged_month, lost_month, damaged_note, lost_note, lost_marks, lost_ledger),
        *(older_columns, newer_version, of_another_dataset),
    ],
)
@pytest.mark.parametrize("hours", [0, 25])
def test_a_spoilt_ledger_is_made_again(spoil: Callable[[World], None], hours: int) -> None:
    world = World()
    expected = world.rows()
    world.clock.time += timedelta(hours=hours)
    roll_up(world.stores)
    spoil(world)

    assert world.rows() == expected
    assert world.rows() == expected


def test_a_state_that_may_not_be_written_is_told_from_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    def refuse(*_: object) -> None:
        raise StorageError("may not be written", "state", "")

    for name in ("swap", "write"):
        monkeypatch.setattr(ObjectStore, name, refuse)
    ledger = roll_up(world.stores)

    assert ledger.unstored == "may not be written"
    assert len(world.rows(ledger)) == 8
    assert not list(world.stores.state.files("ledger/"))


def test_another_that_has_written_meanwhile_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    roll_up(world.stores)
    world.deliver(PLACES[0], march(30), hour=13)
    world.convert()
    swap, done = ObjectStore.swap, list[str]()

    def late(store: ObjectStore, key: str, data: bytes, version: str | None) -> str:
        if not done and key.endswith(".parquet"):
            done.append(key)
            roll_up(world.stores)
        return swap(store, key, data, version)

    monkeypatch.setattr(ObjectStore, "swap", late)
    ledger = roll_up(world.stores)

    assert done
    assert ledger.unstored == "", "the other has stored it"
    assert [row["written"] for row in world.rows(ledger)] == [2, *[1] * 7]
    assert [row["written"] for row in world.rows()] == [2, *[1] * 7]
