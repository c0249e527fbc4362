"""What a command writes: a file that appears whole or not at all, or standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from isal.igzip import IGzipFile

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage import is_below, is_bucket, local_path, location_beside

_ROOM = "Make room or write to another disk, then run it again"


def output_to(location: str | None, *, force: bool) -> AbstractContextManager[BinaryIO]:
    """What is written in the context goes to a file, or to standard output for None and ``-``."""
    return standard_output() if location in {None, "-"} else new_file(str(location), force=force)


def check_outside(location: str, dataset: str) -> None:
    """Make sure that what is written lies neither in a dataset nor in its state.

    Args:
        location: Of a file or a folder; ``-`` is standard output.
        dataset: The location of the dataset; its state is sought where it is by default.

    Raises:
        UsageError: It does, or it is empty.
    """
    if location == "-":
        return
    if not location.strip():
        raise UsageError("the location is empty", "--output", "Name a file")
    hint = "Name a location outside it: readers expect nothing but Parquet there"
    if is_below(location, dataset):
        raise UsageError("it lies in the dataset", location, hint)
    try:
        state = location_beside(dataset, ".state")
    except UsageError:  # a whole bucket has nothing beside it
        return
    if is_below(location, state):
        hint = "Name a location outside it, which says what has been converted"
        raise UsageError("it lies in the state of the dataset", location, hint)


@contextmanager
def new_file(location: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file that is put in place when the context ends well; else there is nothing of it.

    What is written to a name that ends in ``.gz`` is compressed; the same text gives the same
    bytes.

    Args:
        location: Its path. A device or a pipe is written to directly.
        force: Whether to replace a file that is there.

    Raises:
        UsageError: It cannot be written: it is there, it is a folder, its folder is not there, the
            disk is full, ...
    """
    path = _checked(location, force=force)
    with _told(str(path)):
        if path.exists() and not path.is_file():
            with path.open("wb") as sink:
                yield sink
            return
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with unfinished.open("xb") as sink:
                if path.suffix == ".gz":
                    with _compressing(sink) as compressed:
                        yield compressed
                else:
                    yield sink
                sink.flush()
                os.fsync(sink.fileno())
            _put(unfinished, path, force=force)
        finally:
            unfinished.unlink(missing_ok=True)


def _compressing(sink: BinaryIO) -> BinaryIO:
    """A file that writes one gzip member without a name or a time in its header."""
    file = IGzipFile(filename="", mode="wb", fileobj=sink, mtime=0)  # type: ignore[no-untyped-call]
    return cast("BinaryIO", file)


def _checked(location: str, *, force: bool) -> Path:
    path = local_path(location)
    if path is None:
        what = "a file is written to a disk"
        hint = "Name a path"
        if is_bucket(location):
            hint = f"Use a pipe: -o - | aws s3 cp - {location}; or --as aws for a tree of log files"
        raise UsageError(what, location, hint)
    if path.is_dir():
        raise UsageError("it is a folder", str(path), "Name a file in it")
    if path.exists() and not path.is_file():
        return path
    path = path.resolve()  # what a link leads to is replaced, not the link
    if not path.parent.is_dir():
        what = f"there is no folder {path.parent}"
        raise UsageError(what, str(path), "Make it, or name another file")
    if path.is_file() and not force:
        raise UsageError("the file exists", str(path), "Name another, or replace it with --force")
    return path


def _put(unfinished: Path, path: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(unfinished, path)  # which fails if somebody else has made it meanwhile
        except FileExistsError:
            _checked(str(path), force=force)
            raise
        except OSError:  # not every file system has links
            pass
        else:
            return
    unfinished.replace(path)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What the system says of a file that is written becomes our error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"it cannot be written ({error.strerror})", where, _ROOM) from error


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, in bytes.

    Raises:
        UsageError: It is a file on a disk that is full, for example.
        BrokenPipeError: Nobody reads it any more.
    """
    with _told("standard output"):
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except OSError:
            with suppress(OSError):  # what is left in the buffer fails again when the process ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
