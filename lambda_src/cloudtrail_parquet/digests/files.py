"""Digest files: their names, and what they say of log files and of each other.

    [PREFIX/]AWSLogs/[ORG/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME_YYYYMMDDTHHmmSSZ[_backfill].json.gz

Source: AWS CloudTrail User Guide, "CloudTrail digest file structure"; for metadata, AWS CLI,
cloudtrail validate-logs. The time is the end of what the digest file covers.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from cloudtrail_parquet.digests.proof import signed_text
from cloudtrail_parquet.errors import UnreadableLogError
from cloudtrail_parquet.formats.gzip_text import inflate
from cloudtrail_parquet.storage import Stored

FOLDER = "CloudTrail-Digest"
MAX_TEXT_BYTES = 4 << 30
"""Of a log file, or a digest file: none is larger."""

_NAME = re.compile(
    r"\d{12}_CloudTrail-Digest_[^_]+_(?P<trail>.+)_(?P<home>[^_]+)_(?P<stamp>\d{8}T\d{6}Z)"
    r"(?P<backfill>_backfill)?\.json(?:\.gz)?",
    re.ASCII,
)
_TAIL = 7  # ACCOUNT/FOLDER/REGION/YYYY/MM/DD/NAME


class DigestName(NamedTuple):
    """What the name of a digest file says.

    Attributes:
        trail: Of which trail it is.
        home: The region in which the trail was made.
        end: The end of what it covers.
        is_backfill: Whether it names log files that an earlier one has left out.
    """

    trail: str
    home: str
    end: datetime
    is_backfill: bool

    @classmethod
    def of(cls, key: str) -> "DigestName | None":
        """The parts of a name, or None for any other file."""
        match = _NAME.fullmatch(key.rpartition("/")[2])
        try:
            end = datetime.fromisoformat(match["stamp"]) if match else None
        except ValueError:
            return None
        if match is None or end is None:
            return None
        return cls(match["trail"], match["home"], end, match["backfill"] is not None)


class LoggedFile(msgspec.Struct, frozen=True, rename="camel"):
    """What a digest file says of a log file; the hash is that of its text, in hexadecimal."""

    s3_bucket: str
    s3_object: str
    hash_value: str
    hash_algorithm: Literal["SHA-256"]


class DigestText(msgspec.Struct, frozen=True, rename="camel"):
    """The members of a digest file."""

    digest_start_time: str
    digest_end_time: str
    digest_s3_bucket: str
    digest_s3_object: str
    digest_public_key_fingerprint: str
    digest_signature_algorithm: Literal["SHA256withRSA"]
    previous_digest_s3_object: str | None
    previous_digest_hash_value: str | None
    previous_digest_signature: str | None
    log_files: list[LoggedFile]


_DECODER = msgspec.json.Decoder(DigestText)


class Link(NamedTuple):
    """What a digest file says of the one before it.

    Attributes:
        tail: The end of its key, see `tail_of`.
        sha256: Of its text, in hexadecimal.
        signature: Its signature, in hexadecimal.
    """

    tail: str
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class DigestFile:
    """A digest file.

    Attributes:
        key: Its key below the source.
        tail: The end of the key that CloudTrail has given to it, see `tail_of`.
        name: What the name in this says.
        origin: Where CloudTrail has delivered it: bucket and prefix, up to the account.
        sha256: Of its text, in hexadecimal.
        start: The beginning of what it covers.
        end: The end.
        fingerprint: Names the public key.
        signed: The text of which its signature is.
        link: What it says of the one before it; None for the first of a chain.
        logs: The log files that were delivered between start and end.
        signature: Its signature in hexadecimal, from the metadata of the object; "" if these are
            gone, as on a disk.
        generated: When a backfill digest was made, likewise.
    """

    key: str
    tail: str
    name: DigestName
    origin: str
    sha256: str
    start: datetime
    end: datetime
    fingerprint: str
    signed: bytes = field(repr=False)
    link: Link | None
    logs: tuple[LoggedFile, ...] = field(repr=False)
    signature: str = ""
    generated: datetime | None = None

    @classmethod
    def of(cls, key: str, stored: Stored) -> "DigestFile":
        """Read a digest file.

        Raises:
            ValueError: It is damaged, or something else.
        """
        try:
            text = inflate(stored.data, MAX_TEXT_BYTES, key)
        except UnreadableLogError as error:
            raise ValueError(error.what) from error
        try:
            content, digest = _DECODER.decode(text), sha256(text).hexdigest()
        except RecursionError as error:
            raise ValueError("its values are nested too deeply") from error
        name = DigestName.of(content.digest_s3_object)
        if name is None:
            raise ValueError(f"it says that its key is {content.digest_s3_object}")
        link, previous = None, content.previous_digest_s3_object
        if previous is not None:
            link = Link(
                tail_of(previous),
                content.previous_digest_hash_value or "",
                content.previous_digest_signature or "",
            )
        location = f"{content.digest_s3_bucket}/{content.digest_s3_object}"
        generated = stored.metadata.get("backfill-generation-timestamp")
        return cls(
            key=key,
            tail=tail_of(location),
            name=name,
            origin=location.removesuffix(tail_of(location)),
            sha256=digest,
            start=_moment(content.digest_start_time),
            end=_moment(content.digest_end_time),
            fingerprint=content.digest_public_key_fingerprint,
            signed=signed_text(
                content.digest_end_time, location, digest, content.previous_digest_signature
            ),
            link=link,
            logs=tuple(content.log_files),
            signature=stored.metadata.get("signature", ""),
            generated=_moment(generated) if generated else None,
        )

    @property
    def signed_at(self) -> datetime | None:
        """About when it was signed; None if that is not known, as of backfills on a disk."""
        return self.generated or (None if self.name.is_backfill else self.end)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text} is of no zone")
    return moment


def tail_of(key: str) -> str:
    """The end of a key that stays the same wherever a tree is copied to, from the account on."""
    return "/".join(key.split("/")[-_TAIL:])
