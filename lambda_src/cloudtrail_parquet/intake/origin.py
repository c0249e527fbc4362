"""The locations of a source: what each of them is, and how it is opened in any process."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.intake.arranged import ArrangedStore
from cloudtrail_parquet.intake.narrowed import NarrowedStore
from cloudtrail_parquet.intake.placement import path_in_source
from cloudtrail_parquet.storage import (
    Entry,
    ReadStore,
    joined,
    local_path,
    open_store,
    top_of,
    without_parameters,
)

_BELOW_LOGS = re.compile(
    rf"(?P<above>.*?)/(?P<inside>{LOGS_ROOT}/"
    r"(?:o-[A-Za-z0-9]+|(?:o-[A-Za-z0-9]+/)?\d{12}(?:/[^/]+){0,2}(?:/\d{4}(?:/\d\d){0,2})?"
    r"|(?:o-[A-Za-z0-9]+/)?\d{12}/[^/]+/[^/]+/\d{4}/\d\d/\d\d/.+))",
    re.ASCII | re.DOTALL,
)
"""A folder of a delivered tree: an organization, an account, and below it no other folders than a
trail makes."""


class Origin(NamedTuple):
    """One location of a source, and how it is looked at.

    Attributes:
        location: What the user has named.
        store: The location of the store: the same, or one above it.
        folder: The prefix that is looked at; "" for all of the store.
        scratch: The folder of an `ArrangedStore`; None for a delivered tree.
    """

    location: str
    store: str
    folder: str = ""
    scratch: Path | None = None

    @classmethod
    def of(cls, location: str) -> "Origin":
        """The origin that a location is by its path, if there are files in it."""
        around = tree_around(location)
        if around and next(iter(open_store(around[0]).files(around[1])), None):
            return cls(location, *around)
        return cls(location, location)

    @property
    def uri(self) -> str:
        """The location as messages name it."""
        path = local_path(self.location)
        return without_parameters(self.location) if path is None else str(path)

    def open(self) -> ReadStore:
        """The store that shows what is looked at, and nothing else."""
        store = open_store(self.store)
        if self.scratch:
            return ArrangedStore(store, self.uri, self.scratch)
        return NarrowedStore(store, self.folder, self.uri) if self.folder else store

    def file(self) -> "tuple[Origin, Entry] | None":
        """The location as a file of the folder above it, if it is one."""
        above, _, name = self.uri.rpartition("/")
        if not above or above.endswith("/"):  # a disk, or a bucket
            return None
        is_local = local_path(self.location) is not None
        parameters = () if is_local else self.location.partition("?")[1:]
        origin = self._replace(store="".join((above, *parameters)))
        for entry in open_store(origin.store).files("", after=name[:-1]):
            if entry.key >= name:
                return (origin, entry) if entry.key == name else None
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """The locations of a source, for each process to open."""

    origins: tuple[Origin, ...]

    def open(self) -> ReadStore:
        """The store of the source."""
        return joined([origin.open() for origin in self.origins])

    def path_of(self, key: str) -> str:
        """Where a person finds what has a key: without what was only arranged."""
        for origin in self.origins:
            top = top_of(origin.uri) if len(self.origins) > 1 else ""
            if origin.scratch and key.startswith(top):
                return top + path_in_source(key[len(top) :])
        return key


def tree_around(location: str) -> tuple[str, str] | None:
    """The tree that a location is a folder of, as its path tells.

    Returns:
        The location that ``AWSLogs`` lies in, and the prefix of the folder within it; None for a
        location that is not below an account, or an organization, in ``AWSLogs``.
    """
    path = local_path(location)
    plain = without_parameters(location) if path is None else path.as_posix()
    match = _BELOW_LOGS.fullmatch(plain)
    if match is None:
        return None
    parameters = location.partition("?")[1:] if path is None else ()
    return "".join((match["above"] or "/", *parameters)), f"{match['inside']}/"
