"""A folder below ``AWSLogs`` as a source: the tree around it, of which nothing else is shown."""

from collections.abc import Iterator

from cloudtrail_parquet.storage import Entry, Forwarding, Level, ReadStore


class NarrowedStore(Forwarding):
    """One folder of a store; of those above it, each is seen to hold the next and nothing else."""

    def __init__(self, store: ReadStore, folder: str, uri: str) -> None:
        """Narrow a store.

        Args:
            store: The store.
            folder: The prefix of the folder, ending in "/".
            uri: The location of the folder.
        """
        self._store, self._folder = store, folder
        self.uri, self.parallel = uri, store.parallel
        self.tops: tuple[str, ...] = ("",)

    def level(self, prefix: str) -> Level:
        if prefix.startswith(self._folder):
            return self._store.level(prefix)
        if self._folder.startswith(prefix):
            return Level([self._folder[len(prefix) :].partition("/")[0]], [])
        return Level([], [])

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        if prefix.startswith(self._folder):
            return self._store.files(prefix, *skip, after=after)
        if self._folder.startswith(prefix):
            return self._store.files(self._folder, *skip, after=after)
        return iter(())

    def _locate(self, key: str) -> tuple[ReadStore, str]:
        return self._store, key
