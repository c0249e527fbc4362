"""WritableStores that die at the nth change, as those of a process do that is killed."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, BinaryIO, Self

from cloudtrail_parquet.storage import Staging, Store
from tests.builders import WritableStores


class KilledError(Exception):
    pass


class Killed:
    """A store that dies at the nth change, and everything that is to come after it."""

    def __init__(self, stores: WritableStores, changes: int) -> None:
        self._left = changes
        self.stores = WritableStores(
            stores.source, Mortal(stores.dataset, self.tick), Mortal(stores.state, self.tick)
        )

    def tick(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise KilledError


class Mortal:
    def __init__(self, store: Store, tick: Callable[[], None]) -> None:
        self._store, self._tick = store, tick

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._store, name)

    def write(self, key: str, data: bytes) -> None:
        self._tick()
        self._store.write(key, data)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._tick()
            self._store.delete([key])

    def swap(self, key: str, data: bytes, version: str | None) -> str:
        self._tick()
        return self._store.swap(key, data, version)

    def remove(self, key: str, version: str) -> None:
        self._tick()
        self._store.remove(key, version)

    def staging(self) -> Staging:
        return MortalStaging(self._store.staging(), self._tick)


class MortalStaging:
    def __init__(self, staging: Staging, tick: Callable[[], None]) -> None:
        self._staging, self._tick = staging, tick

    def create(self, key: str) -> BinaryIO:
        return self._staging.create(key)

    def rename(self, key: str, name: str) -> None:
        self._staging.rename(key, name)

    def publish(self, key: str, version: str | None) -> str:
        self._tick()
        return self._staging.publish(key, version)

    def __enter__(self) -> Self:
        self._staging.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._staging.__exit__(kind, error, trace)
