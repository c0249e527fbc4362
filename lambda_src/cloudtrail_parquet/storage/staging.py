"""Staging for an object store: parts are files in a temporary folder, uploaded when published."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self

from cloudtrail_parquet.storage.scratch import scratch_folder


class ObjectStaging:
    """Keeps parts in a temporary folder until they are published."""

    def __init__(self, upload: Callable[[str, Path, str | None], str], parent: Path | None) -> None:
        """``upload`` replaces a version of an object by a file; its folder is in ``parent``."""
        self._upload, self._parent = upload, parent
        self._open = ExitStack()
        self._staged: dict[str, tuple[Path, BinaryIO]] = {}
        self._folder = Path()
        self._numbers = count()

    def __enter__(self) -> Self:
        self._folder = self._open.enter_context(scratch_folder(self._parent))
        return self

    def create(self, key: str) -> BinaryIO:
        path = self._folder / f"{next(self._numbers):05d}"
        sink = self._open.enter_context(path.open("wb"))
        self._staged[key] = path, sink
        return sink

    def publish(self, key: str, version: str | None) -> str:
        path, sink = self._staged[key]
        sink.close()
        new_version = self._upload(key, path, version)
        path.unlink()  # there may be little room
        return new_version

    def __exit__(self, *_: object) -> None:
        self._open.close()
