"""The locations that a conversion reads and writes."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from cloudtrail_parquet.contract import LOGS_ROOT, MAX_BUCKET_PART_BYTES
from cloudtrail_parquet.errors import RefusedError, UsageError, existing, of_system
from cloudtrail_parquet.storage import (
    LocalStore,
    ReadStore,
    Stores,
    check_source,
    is_below,
    is_bucket,
    local_path,
    location_beside,
    locations_in,
    open_source,
    open_store,
    without_parameters,
)
from cloudtrail_parquet.storage.spelling import check_spelling

_PARTITION = re.compile(r"(account|region|year|month|day|dt)=.*")
_OF_STATE = {"receipts", "leases"}


class SourceOpener(Protocol):
    """Opens a source that is more than its locations; worker processes get copies of it."""

    def open(self) -> ReadStore:
        """The store of the source, for this process."""
        ...


@dataclass(frozen=True, slots=True)
class Locations:
    """The three locations of a conversion, as paths or URIs.

    Attributes:
        source: At or above ``AWSLogs``; several have white space between them.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases; not inside the dataset.
        opener: Opens the source, wherever its logs lie; by default `open_source` does.
    """

    source: str
    dataset: str
    state: str
    opener: SourceOpener | None = field(default=None, kw_only=True)

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
            if location is not None:
                for each in locations_in(location) if name == "source" else [location]:
                    check_spelling(each)
        state = cls.state_of(dataset, state)
        for name, location in (("dataset", dataset), ("state", state)):
            for logs in locations_in(source):
                if _is_among(location, logs):
                    what = f"the {name} would lie in {LOGS_ROOT} of {without_parameters(logs)}"
                    hint = "Name a location outside it: only logs lie there"
                    raise UsageError(what, location, hint)
        return cls(source, dataset, state)

    @classmethod
    def state_of(cls, dataset: str, state: str | None) -> str:
        """The location of a dataset's state, which is a sibling of it unless it is named.

        Raises:
            UsageError: It lies inside the dataset, where readers would trip over it.
        """
        state = state or location_beside(dataset, ".state")
        if is_below(state, dataset):
            raise UsageError(
                "the state would lie inside the dataset",
                state,
                "Name a location outside it: readers expect nothing but Parquet there",
            )
        return state

    def check(self, part_bytes: int, *, writes: bool = True) -> None:
        """Make sure that source, dataset and state do not mix, and that the dataset takes parts.

        Args:
            part_bytes: The size of parts.
            writes: Whether dataset and state are to be written.

        Raises:
            UsageError: One of them lies in the source or holds it, or is a file; or parts would
                be larger than a bucket takes in one request.
            LocationError: The dataset or the state cannot be written.
        """
        check_source(self.source)
        for name, location in (("dataset", self.dataset), ("state", self.state)):
            for logs in locations_in(self.source):
                _check_apart(name, location, logs)
            _check_folder(location, writes=writes)
        self._check_size(part_bytes)

    def check_parts(self, part_bytes: int) -> None:
        """Make sure that dataset and state can be written, and that the dataset takes parts.

        Raises:
            UsageError, LocationError: See `check`.
        """
        for location in (self.dataset, self.state):
            _check_folder(location, writes=True)
        self._check_size(part_bytes)

    def _check_size(self, part_bytes: int) -> None:
        if is_bucket(self.dataset) and part_bytes > MAX_BUCKET_PART_BYTES:
            raise UsageError(
                f"part_bytes = {part_bytes:,} is too much for a bucket: a part is one"
                f" conditional request of at most {MAX_BUCKET_PART_BYTES:,} bytes",
                without_parameters(self.dataset),
                f"Set part_bytes to {MAX_BUCKET_PART_BYTES} (64 MiB) or less",
            )

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """A context that leaves no folder of dataset and state that it has found no use for.

        One that was there before stays.
        """
        paths = [path for path in map(local_path, (self.dataset, self.state)) if path]
        missing = [path for path in paths if not path.exists()]
        try:
            yield
        finally:
            for path in missing:
                with suppress(OSError):  # not empty, or not made
                    path.rmdir()

    def open(self) -> Stores:
        """The stores at the three locations."""
        state = open_store(self.state)
        staging = state.root / "staging" if isinstance(state, LocalStore) else None
        source = self.opener.open() if self.opener else open_source(self.source)
        return Stores(source, open_store(self.dataset, staging=staging), state)


def _check_apart(name: str, location: str, source: str) -> None:
    """Raise if a location is the source, lies in it or holds it.

    What lies in the source is searched for logs, and nothing but Parquet lies in a dataset.
    """
    is_in, holds = is_below(location, source), is_below(source, location)
    if is_in or holds:
        logs = without_parameters(source)
        what = "is" if is_in and holds else "would lie in" if is_in else "would hold"
        hint = f"Name another location, best beside {logs}"
        if is_in and not holds:
            hint = f"Name a location outside it, or {logs}/{LOGS_ROOT} as the source if that is it"
        raise UsageError(f"the {name} {what} the source, {logs}", location, hint)


def _check_folder(location: str, *, writes: bool) -> None:
    """Raise if a location on a disk is a file, or if it is to be written and cannot be."""
    path = local_path(location)
    if path is None:
        if location.startswith("memory:"):
            what = "would be forgotten when this ends"
            raise UsageError(what, location, "Name a folder or s3://bucket/prefix")
        return
    found = existing(path)
    if not found.is_dir():
        raise UsageError(f"{found} is a file, not a folder", location, "Name a folder")
    if any(each.is_symlink() for each in (path, *path.parents) if not each.exists()):
        raise UsageError("is a link to nothing", location, "Name a folder")
    if writes and not os.access(found, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(found).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise of_system("written", location, OSError(number, os.strerror(number)))


def check_kinds(dataset: ReadStore, state: ReadStore) -> None:
    """Make sure that a dataset and its state are not each other's, nor a folder of logs.

    Raises:
        UsageError: They hold something else than they are to hold.
    """
    for name, store in (("dataset", dataset), ("state", state)):
        with suppress(RefusedError):  # to list it is not needed otherwise
            kind = kind_of(store)
            if kind not in {name, None}:
                what = f"holds {KINDS[str(kind)]}, so it cannot be the {name}"
                raise UsageError(what, store.uri, "Name a new location, or that of a dataset")


KINDS = {"source": "CloudTrail's logs", "dataset": "a dataset", "state": "the state of a dataset"}


def kind_of(store: ReadStore, prefix: str = "") -> str | None:
    """What a location holds, as its folders tell: one of `KINDS`, or None for anything else."""
    level = store.level(prefix)
    if LOGS_ROOT in level.folders:
        return "source"
    if any(map(_PARTITION.fullmatch, level.folders)):
        return "dataset"
    return "state" if "dataset.json" in level.files or set(level.folders) >= _OF_STATE else None


def check_is_source(store: ReadStore, tops: Iterable[str]) -> None:
    """Make sure that what is named as a source is not a dataset, or its state.

    Raises:
        UsageError: It is.
    """
    for top in tops:
        kind = kind_of(store, top)
        if kind in {"dataset", "state"}:
            where = f"{store.uri}/{top}".rstrip("/")
            hint = "Name the logs that it was made of"
            raise UsageError(f"holds {KINDS[kind]}, not CloudTrail's logs", where, hint)


def _is_among(location: str, source: str) -> bool:
    """Whether a location lies in ``AWSLogs`` of a source."""
    if not is_below(location, source):
        return False
    outer, inner = map(_plain, (source, location))
    return LOGS_ROOT in {outer.rpartition("/")[2], *inner.removeprefix(outer).split("/")}


def _plain(location: str) -> str:
    path = local_path(location)
    return without_parameters(location) if path is None else os.path.realpath(path)
