"""The locations that a conversion reads and writes."""

from dataclasses import dataclass

from cloudtrail_parquet.contract import LOGS_ROOT, MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage import (
    LocalStore,
    Stores,
    is_below,
    is_bucket,
    local_path,
    location_beside,
    locations_in,
    open_source,
    open_store,
    without_parameters,
)


@dataclass(frozen=True, slots=True)
class Locations:
    """The three locations of a conversion, as paths or URIs.

    Attributes:
        source: At or above ``AWSLogs``; several have white space between them.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases; not inside the dataset.
    """

    source: str
    dataset: str
    state: str

    @classmethod
    def of(cls, source: str, dataset: str, state: str | None = None) -> "Locations":
        """Check the locations; the state is by default a sibling of the dataset.

        Raises:
            UsageError: One of them is empty, or the state lies inside the dataset, where readers
                would trip over it, or one of both among the logs.
        """
        for name, location in (("source", source), ("dataset", dataset), ("state", state)):
            if location is not None and not location.strip():
                raise UsageError("the location is empty", name, "Name a folder or a URI")
        if state is None:
            state = location_beside(dataset, ".state")
        if is_below(state, dataset):
            raise UsageError(
                "the state would lie inside the dataset",
                state,
                "Name a location outside it: readers expect nothing but Parquet there",
            )
        for name, location in (("dataset", dataset), ("state", state)):
            for logs in locations_in(source):
                if _is_among(location, logs):
                    what = f"the {name} would lie in {LOGS_ROOT} of {without_parameters(logs)}"
                    hint = "Name a location outside it: only logs lie there"
                    raise UsageError(what, location, hint)
        return cls(source, dataset, state)

    def check(self, part_bytes: int) -> None:
        """Make sure that the dataset takes parts of this size.

        Raises:
            UsageError: Parts would be larger than a bucket takes in one request.
        """
        if is_bucket(self.dataset) and part_bytes > MAX_BUCKET_PART_BYTES:
            raise UsageError(
                f"part_bytes = {part_bytes:,} is too much for a bucket: a part is one"
                f" conditional request of at most {MAX_BUCKET_PART_BYTES:,} bytes",
                without_parameters(self.dataset),
                f"Set part_bytes to {MAX_BUCKET_PART_BYTES} (64 MiB) or less",
            )

    def open(self) -> Stores:
        """The stores at the three locations."""
        state = open_store(self.state)
        staging = state.root / "staging" if isinstance(state, LocalStore) else None
        return Stores(open_source(self.source), open_store(self.dataset, staging=staging), state)


def _is_among(location: str, source: str) -> bool:
    """Whether a location lies in ``AWSLogs`` of a source."""
    if not is_below(location, source):
        return False
    outer, inner = map(_plain, (source, location))
    return LOGS_ROOT in {outer.rpartition("/")[2], *inner.removeprefix(outer).split("/")}


def _plain(location: str) -> str:
    path = local_path(location)
    return without_parameters(location) if path is None else path.resolve().as_posix()
