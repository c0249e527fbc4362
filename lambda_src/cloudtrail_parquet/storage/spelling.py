"""How locations are written, and what people write in their place.

A console's address, an ARN or ``s3:/bucket`` would otherwise be taken for a folder of that name.

Sources: Amazon S3 User Guide, "Methods for accessing a general purpose bucket" and "Amazon S3
resources" (ARNs); the addresses of the console as a browser shows them.
"""

import os
import re
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cloudtrail_parquet.errors import UsageError, existing

_SCHEMES = ("s3", "s3a", "file", "memory", "gs", "az", "azure", "adl", "abfs", "abfss")
"""Those of buckets, and of whatever else the client of object stores knows."""

_LEGAL = "Name a folder or s3://bucket/prefix"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_NEARLY_S3 = re.compile(r"(?i)s3a?:/?(?!/)(.*)", re.DOTALL)
_ARN = re.compile(r"arn:aws[a-z-]*:s3:([a-z0-9-]*):(\d*):(.*)", re.DOTALL)
_ADDRESS = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?(?:website[.-])?[a-z0-9-]+)?\.amazonaws\.com(\.cn)?"
)
_CONSOLE = re.compile(
    r"(?:[a-z0-9-]+\.)*console\.(?:aws\.amazon|amazonaws-us-gov|amazonaws)\.(?:com|cn)"
)
_OF_CONSOLE = re.compile(r"/s3/(?:buckets|object|get|upload)/([^/?]+)")
_LIKE_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{2,62}")


def check_spelling(location: str) -> None:
    """Make sure that a location is written as one.

    Raises:
        UsageError: It is not; says how to write what was most likely meant.
    """
    if not location.strip():
        raise UsageError("the location is empty", "location", "Name a folder or a URI")
    if "\0" in location:
        raise UsageError("has a character that no name may have", repr(location), _LEGAL)
    if scheme := _SCHEME.fullmatch(location):
        _check_scheme(location, scheme[1], scheme[2])
    elif arn := _ARN.fullmatch(location):
        raise UsageError("is an ARN", location, _of_arn(arn[3]))
    elif nearly := _NEARLY_S3.fullmatch(location):
        raise UsageError(
            "lacks the slashes of a location in a bucket", location, f"Write {_s3(nearly[1])}"
        )
    elif location == "~" or re.match(r"~[\w.-]*/", location):
        hint = f"Write {_home(location)}, or leave out the quotes"
        raise UsageError("~ stands for a home folder only where a shell reads it", location, hint)


def _check_scheme(location: str, scheme: str, rest: str) -> None:
    if scheme.lower() in {"http", "https"}:
        what = "is the address of a web page, not a location"
        raise UsageError(what, location, _of_address(location))
    if scheme.lower() in {"s3", "s3a"} and scheme != scheme.lower():
        raise UsageError("s3:// is written in small letters", location, f"Write {_s3(rest)}")
    if scheme == "file" and rest.partition("/")[0] not in {"", "localhost"}:
        what = f"names the machine {rest.partition('/')[0]}, not a folder"
        raise UsageError(what, location, f"Write file:///path, or just {rest}")
    if scheme not in _SCHEMES:
        raise UsageError(f"{scheme}:// is of no kind that can be read here", location, _LEGAL)


def _s3(rest: str) -> str:
    return f"s3://{rest.lstrip('/') or 'bucket/prefix'}"


def _of_arn(resource: str) -> str:
    if resource.startswith(("accesspoint/", "accesspoint:")):
        return "Write s3:// and the alias of the access point, which S3 takes for a bucket's name"
    return f"Write {_s3(resource.removesuffix('*'))}"


def _of_address(address: str) -> str:
    """What to do about an address of the web: the URI of the folder that it shows, if it does."""
    try:
        parts = urlsplit(address)
        host, query = parts.hostname or "", parse_qs(parts.query)
    except ValueError:
        return _LEGAL
    path = unquote(parts.path).lstrip("/")
    if _CONSOLE.fullmatch(host):
        found = _OF_CONSOLE.match(f"/{path}")
        return f"Write {_s3('/'.join([found[1], *query.get('prefix', [])]))}" if found else _LEGAL
    if found := _ADDRESS.fullmatch(host):
        return f"Write {_s3('/'.join(filter(None, (found['bucket'], path))))}"
    server = f"{parts.scheme}://{parts.netloc}"
    return f"{_LEGAL}; of another server than AWS's, s3://bucket/prefix?endpoint={server}"


def _home(location: str) -> str:
    meant = os.path.expanduser(location)  # noqa: PTH111 - as it is where there is no such home
    return meant if meant != location else "the whole path"


def no_folder(name: str, location: str, path: Path) -> UsageError:
    """The error for a folder that does not exist; says which are named alike.

    Args:
        name: What it was to be: ``source``, ``dataset``, ...
        location: As it was written.
        path: The folder.
    """
    if path.is_symlink():
        return UsageError(f"{location} is a link to nothing", name, "Name a folder")
    above = existing(path)
    missing = path.relative_to(above).parts[0] if path != above else ""
    hint = f"Check its name; the nearest folder that exists is {above}"
    if not above.is_dir():
        hint = f"{above} is a file"
    elif near := _near(missing, above):
        hint = f"Did you mean {above / near}?"
    elif not location.startswith((".", "/", "file:")) and _LIKE_BUCKET.fullmatch(missing):
        hint += f". If it is a bucket, write s3://{location}"
    return UsageError(f"there is no folder {location}", name, hint)


def _near(name: str, folder: Path) -> str | None:
    """The name in a folder that a wrong name is nearest to."""
    try:
        names = {each.lower(): each for each in sorted(os.listdir(folder))}  # noqa: PTH208
    except OSError:
        return None
    close = get_close_matches(name.lower(), names, 1, 0.75)
    return names[close[0]] if close else None
