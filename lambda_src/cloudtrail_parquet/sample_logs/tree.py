"""The files of a generated CloudTrail tree: where they lie, and how some are damaged.

Source for the layout and the names: CloudTrail user guide, "Getting and viewing your CloudTrail
log files"; for the neighbours, the guides of the services that write them.
"""

import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from math import ceil
from pathlib import Path
from random import Random
from typing import NamedTuple

from cloudtrail_parquet.sample_logs.draws import hex_text, pick, uuid_text

SLOT_S = 300  # delivery stamps fall on multiples of five minutes
BASE36 = "abcdefghijklmnopqrstuvwxyz0123456789"

_EVENT_TIME = re.compile(rb'"eventTime":"([^"]+)"')
_BASE62 = BASE36 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_GZIP_LEVEL = 6
_GZIP_HEADER = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no time, no system: the same everywhere
)


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A log file that no reader can read to its end.

    Attributes:
        key: Path below the tree's root, with slashes.
        reason: How it is damaged; a key of ``DAMAGE``.
    """

    key: str
    reason: str


class LoggedText(NamedTuple):
    """What a digest file says of a log file.

    Attributes:
        key: Path below the tree's root, with slashes.
        sha256: Of its text, in hexadecimal; of a damaged file, of the text that it had.
        delivered: The stamp in its name.
        oldest: The time of its oldest event; "" if there is none.
        newest: The time of its newest event.
    """

    key: str
    sha256: str
    delivered: datetime
    oldest: str
    newest: str

    @classmethod
    def of(cls, key: str, body: bytes) -> "LoggedText":
        """What there is to say of a log file with some text."""
        stamp = key.split("_")[-2]
        delivered = datetime.strptime(stamp, "%Y%m%dT%H%M%z")
        times = sorted(time.decode() for time in _EVENT_TIME.findall(body)) or [""]
        return cls(key, sha256(body).hexdigest(), delivered, times[0], times[-1])


def text(rng: Random, alphabet: str, length: int) -> str:
    """Random characters from an alphabet."""
    return "".join([pick(rng, alphabet) for _ in range(length)])


def gzip_bytes(data: bytes) -> bytes:
    """One gzip member; ``gzip.compress`` would name the operating system in its header."""
    deflate = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    tail = struct.pack("<LL", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return b"".join((_GZIP_HEADER, deflate.compress(data), deflate.flush(), tail))


def _truncate(body: bytes) -> bytes:
    whole = gzip_bytes(body)
    return whole[: len(whole) * 2 // 3]


def _append(body: bytes) -> bytes:
    return gzip_bytes(body + b',{"eventVersion"')


def _break_json(body: bytes) -> bytes:
    return gzip_bytes(body[: len(body) // 2])


def _rename_records(body: bytes) -> bytes:
    return gzip_bytes(body.replace(b'"Records"', b'"Entries"', 1))


DAMAGE = {
    "truncated gzip": _truncate,
    "bytes after the closing brace": _append,
    "not JSON": _break_json,
    "no Records": _rename_records,
}


class Tree:
    """The log files of one organization, written one by one.

    Attributes:
        root: Folder that holds ``AWSLogs``.
        organization: Its id.
        files: Log files so far, damaged ones too.
        bytes_gzipped: Their size.
        bytes_json: What the undamaged ones inflate to.
        damaged: The damaged ones.
        logged: What digest files say of each log file; None if there are to be none.
    """

    def __init__(
        self,
        root: Path,
        organization: str,
        corrupt: float,
        tell: Callable[[int, int], None] = lambda *_: None,
        *,
        digests: bool = False,
    ) -> None:
        """Begin with none.

        Args:
            root: Folder that holds ``AWSLogs``.
            organization: Its id.
            corrupt: Share of the files that are to be damaged.
            tell: Is told of each log file, its bytes and its records.
            digests: Whether digest files are to be written.
        """
        self.root = root
        self.organization = organization
        self.files = 0
        self.bytes_gzipped = 0
        self.bytes_json = 0
        self.damaged: list[DamagedFile] = []
        self.logged: list[LoggedText] | None = [] if digests else None
        self._corrupt, self._tell = corrupt, tell
        self._folders: set[Path] = set()

    def put(self, folder: str, name: str, records: Sequence[bytes]) -> bool:
        """Write a log file; returns False if it is one of the damaged ones."""
        body = b"".join((b'{"Records":[', b",".join(records), b"]}"))
        reason = self._next_damage()
        data = DAMAGE[reason](body) if reason else gzip_bytes(body)
        self.write(f"{folder}/{name}", data)
        self.files += 1
        self.bytes_gzipped += len(data)
        self._tell(len(data), len(records))
        if self.logged is not None:
            self.logged.append(LoggedText.of(f"{folder}/{name}", body))
        if reason:
            self.damaged.append(DamagedFile(f"{folder}/{name}", reason))
            return False
        self.bytes_json += len(body)
        return True

    def write(self, key: str, data: bytes) -> None:
        """Write any file of the tree."""
        path = self.root / key
        if path.parent not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(path.parent)
        path.write_bytes(data)

    def _next_damage(self) -> str | None:
        """Damage files at even intervals, from the first one on, in each way in turn."""
        if ceil((self.files + 1) * self._corrupt) == ceil(self.files * self._corrupt):
            return None
        return tuple(DAMAGE)[len(self.damaged) % len(DAMAGE)]


def log_file_path(
    account: str, region: str, slot: int, organization: str | None, rng: Random
) -> tuple[str, str]:
    """Folder and name of a log file delivered at a slot, which counts five minutes since 1970.

    Without an organization the layout is that of an account's own trail.
    """
    stamp = datetime.fromtimestamp(slot * SLOT_S, UTC)
    owner = f"{organization}/{account}" if organization else account
    folder = f"AWSLogs/{owner}/CloudTrail/{region}/{stamp:%Y/%m/%d}"
    return (
        folder,
        f"{account}_CloudTrail_{region}_{stamp:%Y%m%dT%H%MZ}_{text(rng, _BASE62, 16)}.json.gz",
    )


def write_siblings(tree: Tree, account: str, region: str, day: date, rng: Random) -> int:
    """Write other files that lie in such a bucket beside the log files; returns how many."""
    corner = _Corner(tree.organization, account, region, day, rng)
    unsigned = [_digest(corner, hour) for hour in (1, 2, 3)]
    siblings = [
        *(unsigned if tree.logged is None else ()),
        _insight(corner),
        _aggregated(corner),
        (f"AWSLogs/{account}/Config/ConfigWritabilityCheckFile", b""),
        _load_balancer(corner),
    ]
    for key, data in siblings:
        tree.write(key, data)
    return len(siblings)


@dataclass(frozen=True, slots=True)
class _Corner:
    """The account, region and day of the siblings."""

    organization: str
    account: str
    region: str
    day: date
    rng: Random

    def at(self, clock: str) -> str:
        return f"{self.day:%Y-%m-%d}T{clock}Z"

    def key(self, kind: str, rest: str) -> str:
        folder = f"AWSLogs/{self.organization}/{self.account}/{kind}/{self.region}"
        name = f"{self.account}_{kind}_{self.region}_{rest}.json.gz"
        return f"{folder}/{self.day:%Y/%m/%d}/{name}"

    def stamped_key(self, kind: str, clock: str) -> str:
        return self.key(kind, f"{self.day:%Y%m%d}T{clock}Z_{text(self.rng, _BASE62, 16)}")


def _json_gz(content: object) -> bytes:
    return gzip_bytes(json.dumps(content, separators=(",", ":")).encode())


def _digest(corner: _Corner, hour: int) -> tuple[str, bytes]:
    content = {
        "awsAccountId": corner.account,
        "digestStartTime": corner.at(f"{hour - 1:02d}:23:45"),
        "digestEndTime": corner.at(f"{hour:02d}:23:45"),
        "digestPublicKeyFingerprint": hex_text(corner.rng, 32),
        "digestSignatureAlgorithm": "SHA256withRSA",
        "logFiles": [],
    }
    trail = f"organization_trail-main_{corner.region}"  # a trail's name may hold underscores
    rest = f"{trail}_{corner.day:%Y%m%d}T{hour:02d}2345Z"
    return corner.key("CloudTrail-Digest", rest), _json_gz(content)


def _insight(corner: _Corner) -> tuple[str, bytes]:
    statistics = {"baseline": {"average": 0.25}, "insight": {"average": 9}}
    event = {
        "eventVersion": "1.11",
        "eventTime": corner.at("12:00:00"),
        "awsRegion": corner.region,
        "eventID": uuid_text(corner.rng),
        "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": corner.account,
        "sharedEventID": uuid_text(corner.rng),
        "insightDetails": {
            "state": "Start",
            "eventSource": "ssm.amazonaws.com",
            "eventName": "UpdateInstanceInformation",
            "insightType": "ApiCallRateInsight",
            "insightContext": {"statistics": statistics},
        },
        "eventCategory": "Insight",
    }
    return corner.stamped_key("CloudTrail-Insight", "1230"), _json_gz({"Records": [event]})


def _aggregated(corner: _Corner) -> tuple[str, bytes]:
    event = {
        "eventVersion": "1.0",
        "accountId": corner.account,
        "eventId": uuid_text(corner.rng),
        "eventCategory": "Aggregated",
        "eventType": "AwsAggregatedEvent",
        "awsRegion": corner.region,
        "eventSource": "s3.amazonaws.com",
        "timeWindow": {
            "windowStart": corner.at("12:00:00"),
            "windowEnd": corner.at("12:05:00"),
            "windowSize": "PT5M",
        },
    }
    return corner.stamped_key("CloudTrail-Aggregated", "1210"), _json_gz([event])


def _load_balancer(corner: _Corner) -> tuple[str, bytes]:
    kind, region = "elasticloadbalancing", corner.region
    folder = f"AWSLogs/{corner.account}/{kind}/{region}/{corner.day:%Y/%m/%d}"
    name = f"{corner.account}_{kind}_{region}_app.web.{hex_text(corner.rng, 16)}"
    rest = f"{corner.day:%Y%m%d}T1205Z_203.0.113.80_{text(corner.rng, BASE36, 8)}"
    when = corner.at("12:00:01.234567")
    line = f"https {when} app/web 203.0.113.9:40112 10.0.0.7:443 0.000 0.021 0.000 200 200\n"
    return f"{folder}/{name}_{rest}.log.gz", gzip_bytes(line.encode())
