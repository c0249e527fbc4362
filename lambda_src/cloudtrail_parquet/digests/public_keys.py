"""CloudTrail's public keys, as ``aws cloudtrail list-public-keys`` prints them.

Source: AWS CloudTrail API Reference, ListPublicKeys and PublicKey. Each region has its own keys.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from cloudtrail_parquet.digests.proof import loaded
from cloudtrail_parquet.errors import UsageError

_HINT = "Write it with aws cloudtrail list-public-keys --start-time … --region … > FILE"


_LATE = timedelta(days=1)
"""Digest files may be delivered late, and are signed then."""


class _Entry(msgspec.Struct, rename="pascal"):
    fingerprint: str
    value: str
    validity_start_time: str | float | None = None
    validity_end_time: str | float | None = None
    region: str = ""


class _Answer(msgspec.Struct, rename="pascal"):
    public_key_list: list[_Entry]


_DECODER = msgspec.json.Decoder(_Answer | list[_Entry])


class PublicKey(NamedTuple):
    """A public key.

    Attributes:
        fingerprint: Its name in digest files.
        value: An RSAPublicKey of PKCS #1: DER, in base64.
        start: Since when it is valid; None if nobody knows.
        end: Until when.
        region: Whose it is; "" if nobody knows.
    """

    fingerprint: str
    value: str
    start: datetime | None = None
    end: datetime | None = None
    region: str = ""

    def to_json(self) -> dict[str, str]:
        """The key as the AWS CLI prints it, with its region if that is known."""
        members = {
            "Fingerprint": self.fingerprint,
            "Value": self.value,
            "ValidityStartTime": self.start.isoformat() if self.start else "",
            "ValidityEndTime": self.end.isoformat() if self.end else "",
            "Region": self.region,
        }
        return {name: value for name, value in members.items() if value}


class PublicKeys:
    """Some public keys, by fingerprint."""

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self._keys: dict[str, list[PublicKey]] = {}
        for key in keys:
            self._keys.setdefault(key.fingerprint, []).append(key)

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    @classmethod
    def of_files(cls, files: Iterable[tuple[str, bytes]]) -> "PublicKeys":
        """The keys of some files, each given with its name.

        Raises:
            UsageError: One of them does not hold what ``list-public-keys`` prints.
        """
        return cls(key for where, text in files for key in keys_in(text, where))

    def named(self, fingerprint: str) -> Sequence[PublicKey]:
        """The keys with a fingerprint."""
        return self._keys.get(fingerprint, ())

    def fitting(
        self, fingerprint: str, region: str, when: datetime | None
    ) -> "PublicKey | tuple[str, str]":
        """The key that may have signed a digest file; else a kind of finding, and what is wrong.

        Args:
            fingerprint: As the digest file has it.
            region: The region that it was delivered for.
            when: About when it was signed; None if nobody knows.
        """
        keys = self.named(fingerprint)
        if not keys:
            return "key unknown", f"there is no public key {fingerprint}"
        here = [key for key in keys if key.region in {"", region}]
        if not here:
            what = f"the public key {fingerprint} is that of {keys[0].region}, not of {region}"
            return "key elsewhere", what
        valid = [key for key in here if when is None or _covers(key, when)]
        if not valid:
            first, last = here[0].start, here[0].end
            what = f"the public key {fingerprint} is valid from {first} to {last}"
            return "key expired", f"{what}, not at {when}"
        return valid[0]


def _covers(key: PublicKey, when: datetime) -> bool:
    """Whether a key is valid at a moment, or a day later or earlier."""
    has_begun = key.start is None or key.start - when <= _LATE
    return has_begun and (key.end is None or when - key.end <= _LATE)


def keys_in(text: bytes, where: str, region: str = "") -> list[PublicKey]:
    """The keys in an answer of ListPublicKeys as JSON, or in a list of such keys.

    Args:
        text: The answer.
        where: Names it in errors.
        region: The region that was asked; "" if nobody knows.

    Raises:
        UsageError: It is something else.
    """
    try:
        found = _DECODER.decode(text)
        entries = found.public_key_list if isinstance(found, _Answer) else found
        return [_key(entry, region) for entry in entries]
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"it does not hold public keys ({error})", where, _HINT) from error


def _key(entry: _Entry, region: str) -> PublicKey:
    try:
        loaded(entry.value)
    except (TypeError, ValueError) as error:
        raise ValueError("not an RSAPublicKey of PKCS #1 in base64") from error
    start, end = map(_moment, (entry.validity_start_time, entry.validity_end_time))
    return PublicKey(entry.fingerprint, entry.value, start, end, entry.region or region)


def _moment(value: str | float | None) -> datetime | None:
    """A time as version 2 of the AWS CLI prints it, or version 1 (seconds since 1970)."""
    if value is None:
        return None
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=value)
