"""Digest files for a generated tree, signed with a key that is made of the tree's seed.

Source: AWS CloudTrail User Guide, "CloudTrail digest file structure". Anybody can make the keys
again, so the signatures prove nothing but that whoever checks them does it right.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cloudtrail_parquet.sample_logs.digests.signing import SigningKey
from cloudtrail_parquet.sample_logs.tree import LoggedText, Tree, gzip_bytes

BUCKET = "example-logs"
HOME = "us-east-1"

_HOUR = timedelta(hours=1)
_OFFSET = timedelta(minutes=1, seconds=31)  # hours of digest files begin at any moment
_STAMP = "%Y%m%dT%H%M%SZ"
_PREVIOUS = (
    "previousDigestS3Bucket",
    "previousDigestS3Object",
    "previousDigestHashValue",
    "previousDigestHashAlgorithm",
    "previousDigestSignature",
)
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class WrittenDigest(NamedTuple):
    """A digest file that was written.

    Attributes:
        key: Its key.
        signature: Its signature, in hexadecimal: metadata of the object, where there are any.
    """

    key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail, in one account and region.

    Attributes:
        above: The prefix of the account.
        account: Twelve digits, as text.
        region: Region code.
        name: The trail's.
    """

    above: str
    account: str
    region: str
    name: str

    def key(self, end: datetime, ending: str = "") -> str:
        """The key of the digest file that ends at a moment."""
        folder = f"{self.above}CloudTrail-Digest/{self.region}/{end:%Y/%m/%d}"
        names = f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{HOME}"
        return f"{folder}/{names}_{end.strftime(_STAMP)}{ending}.json.gz"


def write_digests(tree: Tree, seed: int) -> Iterator[WrittenDigest]:
    """Write the digest files of a tree, hour by hour, and the public keys, see `keys_of`.

    The first one of each trail covers the hour of the first log file of the tree; the last one ends
    after the last log file of the tree.
    """
    by_trail = defaultdict[Trail, list[LoggedText]](list)
    for text in tree.logged or ():
        by_trail[_trail_of(text.key, tree.organization)].append(text)
    times = [text.delivered for texts in by_trail.values() for text in texts]
    if not times:
        return
    first = min(times).replace(minute=0, second=0) - _HOUR + _OFFSET
    last = max(times) + _HOUR
    keys: dict[str, SigningKey] = {}
    for trail in sorted(by_trail, key=lambda trail: (trail.above, trail.region)):
        if trail.region not in keys:
            keys[trail.region] = SigningKey(seed, trail.region)
        by_hour = defaultdict[int, list[LoggedText]](list)
        for text in by_trail[trail]:
            by_hour[(text.delivered - first) // _HOUR].append(text)
        chain = ChainWriter(tree.write, trail, keys[trail.region])
        for hour in range(-(-(last - first) // _HOUR)):
            start = first + hour * _HOUR
            yield chain.add(by_hour[hour], start, start + _HOUR)
    month = timedelta(days=30)
    entries = [keys[region].to_json(first - month, last + month) for region in sorted(keys)]
    keys_of(tree.root).write_text(json.dumps({"PublicKeyList": entries}, indent=2) + "\n")


def keys_of(root: Path) -> Path:
    """The file with the public keys of a tree: beside its folder, so that it is not among logs.

    The tree in ``logs`` has its keys in ``logs.public-keys.json``.
    """
    root = root.resolve()
    return root.with_name(f"{root.name}.public-keys.json")


def _trail_of(key: str, organization: str) -> Trail:
    above, _, rest = key.partition("/CloudTrail/")
    is_own = f"/{organization}/" not in above
    name = "own-trail" if is_own else "organization_trail-main"  # names may hold underscores
    return Trail(f"{above}/", above.rpartition("/")[2], rest.partition("/")[0], name)


class ChainWriter:
    """Writes the digest files of a trail, in one account and region, each after the other."""

    def __init__(self, write: Callable[[str, bytes], None], trail: Trail, key: SigningKey) -> None:
        """Begin a chain.

        Args:
            write: Writes a file of the tree.
            trail: The trail.
            key: Signs.
        """
        self._write, self._trail, self._key = write, trail, key
        self._before: dict[str, str | None] = dict.fromkeys(_PREVIOUS)

    def restart(self) -> None:
        """Begin another chain, as CloudTrail does when a trail is started again."""
        self._before = dict.fromkeys(_PREVIOUS)

    def add(
        self, texts: Iterable[LoggedText], start: datetime, end: datetime, ending: str = ""
    ) -> WrittenDigest:
        """Write the next digest file.

        Args:
            texts: The log files that were delivered from start to end.
            start: The beginning of what it covers.
            end: The end.
            ending: Ends its name: ``_backfill``, or nothing.
        """
        where = self._trail.key(end, ending)
        members = {
            "awsAccountId": self._trail.account,
            "digestStartTime": start.strftime(_MOMENT),
            "digestEndTime": end.strftime(_MOMENT),
            "digestS3Bucket": BUCKET,
            "digestS3Object": where,
            "digestPublicKeyFingerprint": self._key.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            **_contents(texts),
            **self._before,
        }
        content = json.dumps(members).encode()
        digest = sha256(content).hexdigest()
        before = self._before["previousDigestSignature"] or "null"
        signed = f"{members['digestEndTime']}\n{BUCKET}/{where}\n{digest}\n{before}"
        signature = self._key.sign(signed.encode())
        self._write(where, gzip_bytes(content))
        values = (BUCKET, where, digest, "SHA-256", signature)
        self._before = dict(zip(_PREVIOUS, values, strict=True))
        return WrittenDigest(where, signature)


def _contents(texts: Iterable[LoggedText]) -> dict[str, Any]:
    """The members of a digest file that depend on log files."""
    logs = sorted(texts, key=lambda text: text.key)
    return {
        "newestEventTime": max((text.newest for text in logs if text.newest), default=None),
        "oldestEventTime": min((text.oldest for text in logs if text.oldest), default=None),
        "logFiles": [
            {
                "s3Bucket": BUCKET,
                "s3Object": text.key,
                "hashValue": text.sha256,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": text.newest,
                "oldestEventTime": text.oldest,
            }
            for text in logs
        ],
    }
