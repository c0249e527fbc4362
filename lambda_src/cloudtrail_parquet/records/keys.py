"""How records are told apart: by keys, which may collide, and by digests of their content.

Records that may be the same have equal keys. A key is made of what no rule and no encoding changes,
so that a row of a part has the key of the record that it was made of.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from cloudtrail_parquet.formats import jsontext


def keys_of(records: list[Any], times: pa.Array) -> list[int]:
    """The keys of n records at their event times; salted by the process, so never store them."""
    ids = [record.eventID for record in records]
    keys = list(map(hash, ids))
    if None in ids:
        for row, record in enumerate(records):
            if ids[row] is None:
                keys[row] = key_without_id(
                    times[row].as_py(), record.eventSource, record.eventName, record.sourceIPAddress
                )
    return keys


def key_without_id(time_us: int, source: str | None, name: str | None, address: str | None) -> int:
    """The key of a record without ``eventID``, from columns that hold what was delivered."""
    return hash((time_us, source, name, address))


def place_salt(values: Iterable[str]) -> int:
    """What is added to the keys of a place's records, modulo 2**64, in rows that name the place.

    Args:
        values: The account, the region or both, as rows have them.
    """
    return hash(tuple(values))


def content(raw: bytes) -> bytes:
    """A digest of a record's content, whatever the order of its members; 16 bytes."""
    return blake2b(jsontext.canonical(raw).encode(), digest_size=16).digest()
