"""The logs of the benchmarks, made once below build/bench and kept.

Each is one unit: account, region and day are the same for all of its log files.
"""

import gzip
import json
import os
import random
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree

FOLDER = Path("build/bench")
ACCOUNT, REGION, DAY = "012345678901", "us-east-1", datetime(2026, 1, 10, tzinfo=UTC)
TINY_FILES = 20_000
_RESOURCE_ID = re.compile(r"\b(i|vol|snap|eni|ami|sg)-[0-9a-z]{8,17}\b")


def corpus(name: str, records: int) -> Path:
    """The folder of a corpus, made if it is not there.

    Raises:
        KeyError: There is no such corpus.
        FileNotFoundError: ``real`` needs CLOUDTRAIL_CORPUS.
    """
    make = MAKERS[name]
    return made(FOLDER / f"{name}-{records}", lambda folder: make(folder, records))


def made(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder, made if it is not there; what an interrupted run leaves is made again."""
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        make(unfinished)
        unfinished.rename(folder)
    return folder


def _generated(folder: Path, records: int) -> None:
    """Believable traffic of one account: about 480 records a file and one burst."""
    generate_tree(folder, TreeSpec(accounts=1, regions=1, days=1, records=records))


def _tiny(folder: Path, records: int) -> None:
    """Files of one to five records, most below 2 kB gzipped, as quiet regions have them."""
    rng = random.Random(1)
    texts = iter(_texts(corpus("generated", records)))
    for number in range(TINY_FILES):
        drawn = [text for text, _ in zip(texts, range(rng.choice((1, 1, 2, 3))), strict=False)]
        _write(folder, number, TINY_FILES, drawn)


def _real(folder: Path, records: int) -> None:
    """Real records drawn again and again, with ids, times and resource ids of their own."""
    rng = random.Random(1)
    templates = list(_real_records(Path(os.environ["CLOUDTRAIL_CORPUS"])))
    files = max(records * 292 // 120_000, 1)
    for number in range(files):
        texts = [
            _redrawn(rng, rng.choice(templates), number / files) for _ in range(records // files)
        ]
        _write(folder, number, files, texts)


MAKERS: dict[str, Callable[[Path, int], None]] = {
    "generated": _generated,
    "tiny": _tiny,
    "real": _real,
}


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*_CloudTrail_*.json.gz")):
        for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]:
            yield json.dumps(record, separators=(",", ":"))


def _real_records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("stratus-red-team/*.json")):
        yield from json.loads(path.read_text())
    for path in sorted(folder.glob("security-datasets/*.json")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            del record["@timestamp"], record["@version"]  # a log shipper's, not CloudTrail's
            yield record


def _redrawn(rng: random.Random, template: dict[str, Any], at: float) -> str:
    moment = DAY + timedelta(seconds=at * 86_000 + rng.random() * 290)
    fresh = {"eventTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    for name in ("eventID", "requestID"):
        if name in template:
            fresh[name] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    text = json.dumps(template | fresh, separators=(",", ":"))
    return _RESOURCE_ID.sub(lambda match: f"{match[1]}-{rng.getrandbits(68):017x}", text)


def _write(folder: Path, number: int, files: int, texts: list[str]) -> None:
    moment = DAY + timedelta(seconds=number / files * 86_000 + 300)
    name = f"{ACCOUNT}_CloudTrail_{REGION}_{moment:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
    path = folder / f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{moment:%Y/%m/%d}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    body = '{"Records":[' + ",".join(texts) + "]}"
    path.write_bytes(gzip.compress(body.encode(), 6, mtime=0))
