"""Stores in memory that count what is asked of them: LIST and PUT are the dear requests."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from obstore.store import MemoryStore

from cloudtrail_parquet.storage import ObjectStore
from tests.builders import WritableStores
from tests.unit.deliveries import deliver, event

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
    """A client in memory that counts requests by kind; those for log files are a kind."""

    def __init__(self, requests: Counter[str]) -> None:
        self._store, self._requests = MemoryStore(), requests

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def ask(*args: Any, **more: Any) -> Any:  # noqa: ANN401
            is_log = name == "get" and args[0].endswith(".json.gz")
            self._requests["LOG" if is_log else KINDS[name]] += 1
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
        """A log file with some records of the moment of its delivery."""
        records = [event(number, when) for number in numbers]
        deliver(self.stores, when, records, prefix="AWSLogs/")

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """What is asked for meanwhile, once the context has ended."""
        self.requests.clear()
        counted = Counter[str]()
        yield counted
        counted.update(self.requests)
