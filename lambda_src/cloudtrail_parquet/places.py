"""Where a conversion reads and writes."""

from dataclasses import dataclass

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage import (
    LocalStore,
    Stores,
    is_below,
    open_source,
    open_store,
    place_beside,
)


@dataclass(frozen=True, slots=True)
class Places:
    """The three places of a conversion, as paths or URIs.

    Attributes:
        source: At or above ``AWSLogs``; several have white space between them.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases; not inside the dataset.
    """

    source: str
    dataset: str
    state: str

    @classmethod
    def of(cls, source: str, dataset: str, state: str | None = None) -> "Places":
        """Check the places; the state is by default a sibling of the dataset.

        Raises:
            UsageError: The state lies inside the dataset, where readers would trip over it.
        """
        if state is None:
            state = place_beside(dataset, ".state")
        if is_below(state, dataset):
            raise UsageError(
                "the state would lie inside the dataset",
                state,
                "Name a place outside: readers expect nothing but Parquet there",
            )
        return cls(source, dataset, state)

    def open(self) -> Stores:
        """The three stores: source, dataset, state."""
        state = open_store(self.state)
        staging = state.root / "staging" if isinstance(state, LocalStore) else None
        return Stores(open_source(self.source), open_store(self.dataset, staging=staging), state)
