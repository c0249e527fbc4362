"""Where log files, parts, receipts and leases live: a folder on a disk, or an object store.

`open_store` takes a path or a URI, `open_source` also several. Keys are relative to that location,
with ``/`` between names, on a disk, too. A disk is read and written directly; everything else goes
through obstore, whose in-memory store also serves the tests.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import permutations
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore.exceptions
import obstore.store

from cloudtrail_parquet.clock import SYSTEM_CLOCK, Clock
from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.errors import UsageError, system_errors
from cloudtrail_parquet.storage.disk import LocalStore
from cloudtrail_parquet.storage.interface import (
    Details,
    Entry,
    Lease,
    Level,
    ReadStore,
    Staging,
    Store,
    Stored,
    files_between,
)
from cloudtrail_parquet.storage.objects import ObjectStore
from cloudtrail_parquet.storage.s3 import SCHEMES, Bucket, client_elsewhere, client_of, sibling
from cloudtrail_parquet.storage.s3_details import details_of
from cloudtrail_parquet.storage.s3_removal import remove_if
from cloudtrail_parquet.storage.spelling import check_spelling, no_folder
from cloudtrail_parquet.storage.union import Forwarding, UnionStore, top_of

__all__ = [
    "Details",
    "Entry",
    "Forwarding",
    "Lease",
    "Level",
    "LocalStore",
    "ObjectStore",
    "ReadStore",
    "Staging",
    "Store",
    "Stored",
    "Stores",
    "UnionStore",
    "check_source",
    "check_spelling",
    "check_there",
    "files_between",
    "is_below",
    "is_bucket",
    "joined",
    "local_path",
    "location_beside",
    "locations_in",
    "open_existing",
    "open_source",
    "open_store",
    "top_of",
    "without_parameters",
]

_NEXT_LOCATION = re.compile(r"\s+(?=[a-z][a-z0-9+.-]*://)")
_BELOW_LOGS = re.compile(rf"([^/]*//[^/]*(?:/[^/]+)*?/{LOGS_ROOT})/.+")
_BELOW_ACCOUNTS = re.compile(rf"(.*/{LOGS_ROOT})/([0-9]{{12}}|o-[a-z0-9]{{10,32}})(/.*)?")
"""The same on a disk, where folders above may have any name: with an account or organization."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The three stores of a conversion.

    Attributes:
        source: At or above ``AWSLogs``; only read.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases.
        clock: Dates the receipts.
    """

    source: ReadStore
    dataset: Store
    state: Store
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True)

    @property
    def parallel(self) -> int:
        """How many requests are worth making at a time; 1 if all stores are disks."""
        return max(store.parallel for store in (self.source, self.dataset, self.state))

    def now(self) -> datetime:
        """The time to the second, as receipts have it."""
        return self.clock.now().replace(microsecond=0)


def open_store(uri: str | Path, *, staging: Path | None = None) -> Store:
    """The store at a path, a ``file://`` or an ``s3://`` URI, or any other that obstore knows.

    This makes no request yet.

    Args:
        uri: The location. Parameters of a bucket: `cloudtrail_parquet.storage.s3`.
        staging: Folder for parts that are not yet published: for a disk best on the same file
            system, for an object store any with room for a day's parts.

    Raises:
        UsageError: The URI is of no known kind of store, or there are no credentials for it.
    """
    check_spelling(str(uri))
    path = local_path(uri)
    if path is not None:
        return LocalStore(path, staging)
    uri = str(uri)
    if uri.startswith(SCHEMES):
        bucket = Bucket.of(uri)
        client, moved = client_of(bucket, os.environ), client_elsewhere(bucket, os.environ)
        return ObjectStore(
            bucket.uri,
            client,
            scratch=staging,
            moved=moved,
            remove_if=remove_if,
            details_of=details_of,
        )
    try:
        return ObjectStore(uri, obstore.store.from_url(uri), scratch=staging)
    except (obstore.exceptions.BaseError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"not a usable location ({reason})", uri, "Name a folder or s3://bucket/prefix"
        ) from error


def open_existing(uri: str, name: str) -> Store:
    """The store at a location that is read, which on a disk has to be a folder that exists.

    Args:
        uri: The location.
        name: What it is: ``dataset``, ...

    Raises:
        UsageError: As `open_store` does, or there is no such folder.
    """
    check_spelling(uri)
    check_there(uri, name)
    if (path := local_path(uri)) and not path.is_dir():
        raise UsageError("is a file, not a folder", uri, "Name the folder")
    return open_store(uri)


def check_there(uri: str, name: str) -> None:
    """Make sure that a location, if it is on a disk, exists.

    Raises:
        UsageError: It does not; says which is named alike.
    """
    path = local_path(uri)
    if path is None:
        return
    with system_errors("read", path):
        if not path.exists():
            raise no_folder(name, uri, path)


def open_source(locations: str) -> ReadStore:
    """The store of one location, or of several read as one.

    Args:
        locations: Paths or URIs; all but the first are URIs, with white space before each.

    Raises:
        UsageError: As `open_store` does, or a location lies below ``AWSLogs``, or one of several
            lies in another.
    """
    uris = check_source(locations)
    for uri in uris:
        _check_above_logs(uri)
    return joined(list(map(open_store, uris)))


def joined(stores: Sequence[ReadStore]) -> ReadStore:
    """Stores read as one, of which there may be only one."""
    return stores[0] if len(stores) == 1 else UnionStore(stores)


def check_source(locations: str) -> list[str]:
    """Make sure that the locations of a source are some, without asking for any.

    Returns:
        Each of them.

    Raises:
        UsageError: One is written like none, or lies in another.
    """
    uris = locations_in(locations)
    for uri in uris:
        check_spelling(uri)
    for inner, outer in permutations(uris, 2):
        if is_below(inner, outer):
            what = "is named twice" if is_below(outer, inner) else f"lies in {outer}, named as well"
            raise UsageError(what, inner, "Name each location of the source once")
    return uris


def locations_in(source: str) -> list[str]:
    """The locations of a source, as `open_source` takes it."""
    return _NEXT_LOCATION.split(source.strip())


def _check_above_logs(uri: str) -> None:
    """Raise if a location lies below ``AWSLogs``, where neither account nor region can be told."""
    path = local_path(uri)
    if path is None:
        below = _BELOW_LOGS.fullmatch(without_parameters(uri))
    else:
        below = _BELOW_ACCOUNTS.fullmatch(path.as_posix())
    if below:
        hint = f"Name {below[1]}, and the accounts and regions that are wanted"
        raise UsageError(f"a source lies at or above {LOGS_ROOT}, not below it", uri, hint)


def local_path(uri: str | Path) -> Path | None:
    """The absolute path of a location on a disk; None for any other location."""
    if isinstance(uri, str) and uri.startswith("file:"):
        uri = unquote(urlsplit(uri).path)
    elif isinstance(uri, str) and "://" in uri:
        return None
    return Path(os.path.abspath(uri))  # noqa: PTH100 - without ".." in it, links as they are


def location_beside(uri: str, ending: str) -> str:
    """The location beside another, with an ending added to its name; parameters stay.

    Raises:
        UsageError: It is a whole bucket, which has nothing beside it.
    """
    path = local_path(uri)
    if path is not None:
        return f"{path}{ending}"
    return sibling(uri, ending) if uri.startswith(SCHEMES) else uri.rstrip("/") + ending


def is_below(inner: str, outer: str) -> bool:
    """Whether a location is another one or lies in it, whatever their parameters."""
    inner_path, outer_path = local_path(inner), local_path(outer)
    if inner_path and outer_path:
        real, above = (Path(os.path.realpath(path)) for path in (inner_path, outer_path))
        return real.is_relative_to(above) or _has_above(real, above)
    return f"{without_parameters(inner)}/".startswith(f"{without_parameters(outer)}/")


def _has_above(inner: Path, outer: Path) -> bool:
    """Whether one of the folders of a path is another one, by whatever name it has there."""
    with suppress(OSError):
        identity = outer.stat()
        above = (path for path in (inner, *inner.parents) if path.exists())
        return any(os.path.samestat(path.stat(), identity) for path in above)
    return False  # it does not exist


def is_bucket(uri: str) -> bool:
    """Whether a location is a bucket, or a folder of one."""
    return uri.startswith(SCHEMES)


def without_parameters(uri: str) -> str:
    """A location as messages name it."""
    return Bucket.of(uri).uri if uri.startswith(SCHEMES) else uri.rstrip("/")
