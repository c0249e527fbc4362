"""What the slow S3 keeps: buckets, in memory, with their objects and listings."""

import hashlib
import time
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, with what is said of it in headers and in listings."""

    body: bytes
    etag: str
    headers: str
    listed: str

    @classmethod
    def of(cls, body: bytes, modified: float) -> "Stored":
        """An object with a time of modification, in seconds since 1970."""
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified))
        return cls(
            body,
            etag,
            f"ETag: {etag}\r\nLast-Modified: {formatdate(modified, usegmt=True)}\r\n",
            f"<LastModified>{stamp}</LastModified><ETag>{escape(etag)}</ETag>"
            f"<Size>{len(body)}</Size><StorageClass>STANDARD</StorageClass>",
        )


class Page(NamedTuple):
    """A page of a listing: keys, common prefixes, and the next page's token if there is one."""

    keys: list[str]
    prefixes: list[str]
    token: str | None


class Bucket:
    """The objects of a bucket by their keys, which are also kept in order for listings.

    Attributes:
        objects: At first, the files below a folder.
    """

    def __init__(self, folder: Path) -> None:
        self.objects = {
            path.relative_to(folder).as_posix(): Stored.of(path.read_bytes(), path.stat().st_mtime)
            for path in folder.rglob("*")
            if path.is_file()
        }
        self._folder = folder
        self._keys = sorted(self.objects)
        self._unsaved = set[str]()

    def put(self, key: str, body: bytes) -> Stored:
        """Add or replace an object."""
        if key not in self.objects:
            insort(self._keys, key)
        self._unsaved.add(key)
        self.objects[key] = stored = Stored.of(body, time.time())
        return stored

    def remove(self, key: str) -> None:
        """Remove an object, if there is one."""
        if self.objects.pop(key, None):
            del self._keys[bisect_left(self._keys, key)]

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> Page:
        """The part of a listing that comes after a key or a token."""
        keys, prefixes, last = list[str](), list[str](), ""
        at = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        while at < len(self._keys) and (key := self._keys[at]).startswith(prefix):
            if len(keys) + len(prefixes) == limit:
                return Page(keys, prefixes, last)
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                keys.append(last := key)
                at += 1
            else:
                prefixes.append(key[: end + 1])
                last = key[: end + 1] + _LAST
                at = bisect_right(self._keys, last)
        return Page(keys, prefixes, None)

    def save(self) -> None:
        """Write the objects that were put to the bucket's folder."""
        for key in self._unsaved & self.objects.keys():
            path = self._folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.objects[key].body)
        self._unsaved.clear()
