"""How made-up things are drawn: a choice, a chance, and ids as AWS writes them.

Everything depends on the ``random.Random`` that is passed in and on nothing else.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import TypeVar

Json = dict[str, object]
Item = TypeVar("Item")

_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MIXED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# The character for each random byte.
_TO_UPPER = bytes(_UPPER[byte % len(_UPPER)] for byte in range(256))
_TO_MIXED = bytes(_MIXED[byte % len(_MIXED)] for byte in range(256))


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """One of the items; a good deal faster than ``rng.choice``."""
    return items[int(rng.random() * len(items))]


def favour(rng: Random, items: Sequence[Item]) -> Item:
    """One of the items, earlier ones more often: the first quarter has half of the draws."""
    draw = rng.random()
    return items[int(draw * draw * len(items))]


def chance(rng: Random, share: float) -> bool:
    """True in that share of calls."""
    return rng.random() < share


def hex_text(rng: Random, digits: int) -> str:
    """Lower-case hexadecimal digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def resource_id(rng: Random, kind: str) -> str:
    """An EC2 id such as ``i-0317f6c6b66ae9c40``; since 2018 they are long and begin with 0."""
    return f"{kind}-0{rng.getrandbits(64):016x}"


def uuid_text(rng: Random) -> str:
    """A version 4 UUID."""
    digits = f"{rng.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def id_text(rng: Random, length: int) -> str:
    """Upper-case letters and digits, as in access key ids and S3 request ids."""
    return rng.randbytes(length).translate(_TO_UPPER).decode()


def mixed_text(rng: Random, length: int) -> str:
    """Letters of both cases and digits, as at the end of a secret's ARN."""
    return rng.randbytes(length).translate(_TO_MIXED).decode()


def base64_text(rng: Random, size_bytes: int) -> str:
    """Random bytes in base 64, as in page tokens and ``x-amz-id-2``."""
    return b64encode(rng.randbytes(size_bytes)).decode()


def session_token(rng: Random, when: datetime, region: str, account: str, size_bytes: int) -> str:
    """A session token: not all of it is random.

    All real ones begin with ``IQoJb3JpZ2luX2Vj``, those of one hour with 16 characters or more, as
    they are protocol buffers of: the text ``origin_ec``, the hour (modulo 256, a signed number),
    the region, a signature in DER, the account in plain digits, and what is encrypted.
    """
    hour = (int(when.timestamp()) // 3600 + 129) % 256  # so in all nine real ones that have a time
    number = bytes((hour,)) if hour < 128 else bytes((hour, *[255] * 8, 1))  # noqa: PLR2004 - varint
    noise = rng.randbytes(size_bytes - 46 - len(number) - len(region))
    return b64encode(
        b"!\n\torigin_ec\x10%b\x1a%c%b"
        b'"F0D\x02 %b\x02 %b*\xb1\x02\x08O\x10\x01\x1a\x0c%b"\x0c%b'
        % (
            number,
            len(region),
            region.encode(),
            noise[:32],
            noise[32:64],
            account.encode(),
            noise[64:],
        )
    ).decode()


def time_text(when: datetime) -> str:
    """A UTC time as CloudTrail writes it: ``2026-01-10T14:05:09Z``."""
    return f"{when.isoformat(timespec='seconds')[:19]}Z"


def public_address(rng: Random) -> str:
    """An IPv4 address of RFC 5737, which is nobody's."""
    block = pick(rng, ("192.0.2", "198.51.100", "203.0.113"))
    return f"{block}.{rng.randrange(1, 255)}"
