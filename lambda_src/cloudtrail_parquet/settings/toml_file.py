"""TOML files of people: what they say, or what keeps them from being read.

TOML 1.0 has UTF-8 only; the mark with which some editors on Windows begin it is left out.
"""

import codecs
import re
import tomllib
from pathlib import Path
from typing import Any

from cloudtrail_parquet.errors import of_system

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_UNQUOTED = re.compile(r"""\s*([\w."-]+)\s*=\s*([^\s"'\[{#][^#]*?)\s*(?:#.*)?""")
_MAX_SHOWN = 60


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        ValueError: It cannot be read, or is not TOML; its message says why, and what to do.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"it {of_system('read', path, error).what}") from error
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be read ({_explained(error, data)})") from error


def _explained(error: ValueError | RecursionError, data: bytes) -> str:
    """Why a file is not TOML; of a text also the line and, if it is plain, what to write."""
    if data.startswith(_UTF_16):
        return "it is UTF-16: save it as UTF-8"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8: save it as that"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found, lines = _AT_LINE.search(str(error)), data.decode("utf-8-sig").splitlines()
    line = lines[int(found[1]) - 1].strip() if found and int(found[1]) <= len(lines) else ""
    why = f"{error}: {line[:_MAX_SHOWN]}" if line else str(error)
    if (unquoted := _UNQUOTED.fullmatch(line)) and why.startswith("Invalid value"):
        why += f'; text stands in quotes: {unquoted[1]} = "{unquoted[2]}"'
    return why
