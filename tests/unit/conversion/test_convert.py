"""How many requests a unit costs beside those for its log files; LIST and PUT are the dear ones."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from obstore.store import MemoryStore

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.keys import split_units
from cloudtrail_parquet.state.receipt import Receipt
from cloudtrail_parquet.storage import ObjectStore
from tests.builders import WritableStores
from tests.unit.deliveries import ACCOUNT, REGION, deliver, event

DAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
UNIT = Unit(ACCOUNT, REGION, DAY)
TRAIL = f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/"
KINDS = {
    "list": "LIST",
    "list_with_delimiter": "LIST",
    "get": "GET",
    "get_range": "GET",
    "head": "GET",
    "put": "PUT",
    "delete": "DELETE",
}


class Counted:
    """A client in memory that counts requests by kind, but for log files."""

    def __init__(self, requests: Counter[str]) -> None:
        self._store, self._requests = MemoryStore(), requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def ask(*args: Any, **more: Any) -> Any:  # noqa: ANN401
            if name != "get" or not args[0].endswith(".json.gz"):
                self._requests[KINDS[name]] += 1
            return method(*args, **more)

        return ask

    def remove_if(self, key: str, version: str) -> bool:
        self._requests["DELETE"] += 1
        if self._store.head(key)["e_tag"] != version:
            return False
        self._store.delete(key)
        return True


class Counts:
    """Stores that count what is asked of them."""

    def __init__(self) -> None:
        self.requests = Counter[str]()
        self.stores = WritableStores(
            *(
                ObjectStore(uri, Counted(self.requests), remove_if=Counted.remove_if)
                for uri in ("s3://logs", "s3://lake", "s3://state")
            )
        )

    def deliver(self, when: datetime, *numbers: int) -> None:
        records = [event(number, when) for number in numbers]
        deliver(self.stores, when, records, prefix="AWSLogs/")

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        self.requests.clear()
        counted = Counter[str]()
        yield counted
        counted.update(self.requests)


def convert(stores: WritableStores, settings: Settings | None = None) -> Receipt | None:
    return convert_unit(UNIT, [TRAIL], stores, settings or Settings(), splits=frozenset())


def quiet() -> Counts:
    counts = Counts()
    for hour in range(3):
        counts.deliver(NOON + timedelta(hours=hour), hour)
    return counts


def test_a_new_unit_lists_its_place_and_its_partition_and_puts_a_lease_and_what_stays() -> None:
    counts = quiet()

    with counts.counting() as requests:
        assert convert(counts.stores) is not None

    # the lease, the identities, the part, the receipt
    assert requests == {"LIST": 2, "PUT": 4, "GET": 7, "DELETE": 1}


def test_a_unit_that_is_replaced_has_an_intent_and_keeps_the_identities_of_the_same_files() -> None:
    counts = quiet()
    convert(counts.stores)

    with counts.counting() as requests:
        convert(counts.stores, Settings(row_group_rows=2))

    # the lease, the intent, the part, the receipt; then lease and intent go
    assert requests == {"LIST": 2, "PUT": 4, "GET": 5, "DELETE": 2}


def test_the_shards_of_many_units_are_listed_once() -> None:
    counts = quiet()
    with counts.counting() as requests:
        splits = split_units(counts.stores.state)
    assert (splits, requests) == (frozenset(), {"LIST": 1})

    with counts.counting() as requests:
        convert_unit(UNIT, [TRAIL], counts.stores, Settings())
    assert requests["LIST"] == 2 + 1
