"""Where log files, parts, receipts and leases live: a folder on a disk, or an object store.

`open_store` takes a path or a URI. Keys are relative to it, with ``/`` between names, on a disk
too. A disk is read and written directly; everything else goes through obstore, whose in-memory
store also serves the tests.
"""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import obstore.exceptions
import obstore.store

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage.disk import LocalStore
from cloudtrail_parquet.storage.interface import Entry, Staging, Store
from cloudtrail_parquet.storage.objects import ObjectStore

__all__ = [
    "Entry",
    "LocalStore",
    "ObjectStore",
    "Staging",
    "Store",
    "Stores",
    "local_path",
    "open_store",
]


class Stores(NamedTuple):
    """The three places of a conversion.

    Attributes:
        source: At or above ``AWSLogs``.
        dataset: Receives the partitions, and nothing but Parquet.
        state: Receives receipts and leases.
    """

    source: Store
    dataset: Store
    state: Store


def open_store(uri: str | Path, *, staging: Path | None = None) -> Store:
    """The store at a path, a ``file://`` URI or any URI that obstore knows (``s3://``, ``memory://``).

    Args:
        uri: The place.
        staging: On a disk: where parts wait, best on the same file system.

    Raises:
        UsageError: The URI names no known kind of store.
    """
    path = local_path(uri)
    if path is not None:
        return LocalStore(path, staging)
    try:
        return ObjectStore(str(uri), obstore.store.from_url(str(uri)))
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise UsageError(
            f"not a usable location ({error})", str(uri), "Name a folder or s3://…"
        ) from error


def local_path(uri: str | Path) -> Path | None:
    """The absolute path of a place on a disk; None for any other place."""
    if isinstance(uri, str) and uri.startswith("file:"):
        uri = unquote(urlsplit(uri).path)
    elif isinstance(uri, str) and "://" in uri:
        return None
    return Path(os.path.abspath(uri))  # noqa: PTH100 - without ".." in it, links as they are
