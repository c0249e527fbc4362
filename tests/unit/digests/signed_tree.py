"""A small tree of logs with signed digest files, and what checking it finds."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from obstore.store import MemoryStore

from cloudtrail_parquet.digests.check import check_digests, digested_places
from cloudtrail_parquet.digests.findings import DigestFinding
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.public_keys import PublicKeys, keys_in
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.sample_logs.digests import ChainWriter, Trail
from cloudtrail_parquet.sample_logs.digests import keys_of as keys_path
from cloudtrail_parquet.sample_logs.digests.signing import SigningKey
from cloudtrail_parquet.sample_logs.tree import LoggedText, gzip_bytes
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.storage import ObjectStore

ACCOUNT = "012345678901"
REGION = "us-east-1"
ABOVE = f"AWSLogs/o-abcdefghij/{ACCOUNT}/"
TRAIL = Trail(ABOVE, ACCOUNT, REGION, "my_trail")
START = datetime(2026, 1, 10, 5, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)


@cache
def signing_key(region: str = REGION, seed: int = 7) -> SigningKey:
    return SigningKey(seed, region)


def keys_of(*keys: SigningKey, **changes: object) -> PublicKeys:
    entries = [key.to_json(START - HOUR, START + 60 * HOUR) | changes for key in keys]
    return PublicKeys(keys_in(json.dumps({"PublicKeyList": entries}).encode(), "keys"))


@dataclass
class SignedTree:
    """Files by key, and the metadata of digest files."""

    files: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    generated: dict[str, str] = field(default_factory=dict)

    def store(self, uri: str = "s3://example-logs", *, metadata: bool = True) -> ObjectStore:
        client = MemoryStore()
        for key, data in self.files.items():
            attributes: Any = {}
            if metadata and key in self.signatures:
                attributes = {"signature": self.signatures[key]}
                if key in self.generated:
                    attributes["backfill-generation-timestamp"] = self.generated[key]
            client.put(key, data, attributes=attributes)
        return ObjectStore(uri, client)

    def check(
        self,
        keys: PublicKeys | None = None,
        *,
        metadata: bool = True,
        uri: str = "s3://example-logs",
        period: Period | None = None,
    ) -> list[DigestFinding]:
        """All findings, with the keys of the tree unless others are given."""
        source = self.store(uri, metadata=metadata)
        places = digested_places(source, discover(source, ["CloudTrail"]))
        period = period or Period.of_days(date.min, date.max)
        keys = keys_of(signing_key()) if keys is None else keys
        return [
            finding
            for report in check_digests(lambda: source, places, period, keys)
            for finding in report.findings
        ]

    def digests(self) -> list[str]:
        return sorted(key for key in self.files if "CloudTrail-Digest" in key)

    def logs(self) -> list[str]:
        return sorted(key for key in self.files if "/CloudTrail/" in key)

    def change_digest(self, key: str, **changes: object) -> None:
        """Change members of a digest file, which nobody signs again."""
        content = json.loads(gzip.decompress(self.files[key]))
        self.files[key] = gzip.compress(json.dumps(content | changes).encode(), mtime=0)


def log_text(number: int, delivered: datetime) -> tuple[LoggedText, bytes]:
    """The log file of a number, delivered at a moment: what is said of it, and its bytes."""
    stamp = f"{delivered:%Y%m%dT%H%MZ}"
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{stamp}_{number:016d}.json.gz"
    key = f"{ABOVE}CloudTrail/{REGION}/{delivered:%Y/%m/%d}/{name}"
    record = {"eventID": f"{number}", "eventTime": f"{delivered:%Y-%m-%dT%H:%M:%SZ}"}
    body = json.dumps({"Records": [record]}, separators=(",", ":")).encode()
    return LoggedText.of(key, body), gzip_bytes(body)


def signed_tree(hours: Iterable[int] = range(30), logs_an_hour: int = 2) -> SignedTree:
    """Hours in a row, each with log files and a digest file; every fifth one has no log file.

    Where a number is left out, nothing is delivered, and the chain begins anew after it.
    """
    tree, number, before = SignedTree(), 0, None
    writer = writer_into(tree)
    for hour in hours:
        start, texts = START + hour * HOUR, []
        for n in range(logs_an_hour if hour % 5 else 0):
            text, data = log_text(number, start + HOUR * (n + 1) / (logs_an_hour + 2))
            tree.files[text.key] = data
            texts.append(text)
            number += 1
        if before is not None and hour != before + 1:
            writer.restart()
        before = hour
        written = writer.add(texts, start, start + HOUR)
        tree.signatures[written.key] = written.signature
    return tree


def writer_into(
    tree: SignedTree, trail: Trail = TRAIL, key: SigningKey | None = None
) -> ChainWriter:
    return ChainWriter(tree.files.__setitem__, trail, key or signing_key())


def kinds(findings: Iterable[DigestFinding]) -> Counter[str]:
    return Counter(finding.kind for finding in findings)


def wrong(findings: Iterable[DigestFinding]) -> list[tuple[str, str]]:
    """Kind and key of what is wrong."""
    return [(finding.kind, finding.where) for finding in findings if finding.is_wrong]


@cache
def generated() -> tuple[dict[str, bytes], bytes]:
    """The files of a generated tree, and its public keys."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "logs"
        generate_tree(root, TreeSpec(accounts=2, regions=1, days=2, records=400, digests=True))
        files = (path for path in root.rglob("*") if path.is_file())
        tree = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
        return tree, keys_path(root).read_bytes()
