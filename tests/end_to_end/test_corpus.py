"""Real records, delivered as CloudTrail would, converted and exported again: nothing is lost.

``CLOUDTRAIL_CORPUS`` names a folder of JSON files, each a list of records or one record a line.
Some publishers have put their own fields around the records; those are kept, as everything is.
"""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders import REGION, exact, log_file, log_key, normal
from tests.end_to_end.program import run_apart

CORPUS = os.environ.get("CLOUDTRAIL_CORPUS", "")
PATH_ACCOUNT = "012345678901"
DELIVERED_AFTER = timedelta(minutes=5)

pytestmark = pytest.mark.skipif(
    not CORPUS, reason="CLOUDTRAIL_CORPUS is not set: NO REAL RECORDS WERE TESTED"
)

_TIMESTAMP = re.compile(r'"@timestamp"\s*:\s*"([^"]+?)(?:\.\d+)?Z"')


def texts_of(path: Path) -> Iterator[str]:
    """The JSON text of each record of a corpus file, with its digits, and with an event time."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        yield from _elements(text)
        return
    for line in text.splitlines():
        yield line if '"eventTime"' in line else _with_event_time(line)


def _elements(text: str) -> Iterator[str]:
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        if text[at] == "]":
            return
        _, end = decoder.raw_decode(text, at)
        yield text[at:end]
        at = end


def _with_event_time(line: str) -> str:
    """The log shipper had moved the event time away, and added milliseconds."""
    match = _TIMESTAMP.search(line)
    assert match, line[:80]
    return f'{{"eventTime":"{match[1]}Z",{line.lstrip().removeprefix("{")}'


class Corpus(NamedTuple):
    texts: list[str]
    exported: list[str]
    receipts: list[dict[str, Any]]
    verified: dict[str, Any]


def deliver_corpus(tree: Path) -> list[str]:
    """Deliver the corpus as CloudTrail would; returns the texts of its records."""
    texts = [text for path in sorted(Path(CORPUS).rglob("*.json")) for text in texts_of(path)]
    assert texts, f"no records in {CORPUS}"
    days = defaultdict(list)
    for text in texts:
        days[datetime.fromisoformat(json.loads(text)["eventTime"]).date()].append(text)
    for day, members in days.items():
        last = max(datetime.fromisoformat(json.loads(text)["eventTime"]) for text in members)
        key = log_key(PATH_ACCOUNT, REGION, last + DELIVERED_AFTER, unique=f"{day:%Y%m%d}AbCdEfGh")
        (tree / key).parent.mkdir(parents=True, exist_ok=True)
        (tree / key).write_bytes(log_file(*members))
    return texts


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    tree, dataset = folder / "logs", folder / "dataset"
    texts = deliver_corpus(tree)
    done = run_apart("convert", tree, dataset, "--json")
    assert done.returncode == 0, done.stderr
    out = run_apart("export", dataset)
    assert out.returncode == 0, out.stderr
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    verified = run_apart("verify", dataset, "--source", tree, "--json")
    assert verified.returncode == 0, verified.stdout
    summary = json.loads(verified.stdout.splitlines()[-1])
    return Corpus(texts, out.stdout.split("\n")[:-1], receipts, summary)


def canonical(text: str) -> str:
    """The normal form of a record: null members absent, members sorted, numbers by their digits."""
    return json.dumps(normal(exact(text)), sort_keys=True)


def test_every_record_is_exported_as_it_was_delivered(corpus: Corpus) -> None:
    delivered = set(map(canonical, corpus.texts))
    assert Counter(map(canonical, corpus.exported)) == Counter(delivered)


def test_every_real_record_is_accounted_for(corpus: Corpus) -> None:
    written = sum(one["records"]["written"] for one in corpus.receipts)
    repeated = sum(one["records"]["duplicate"] for one in corpus.receipts)

    assert written == len(set(map(canonical, corpus.texts)))
    assert written + repeated == len(corpus.texts)
    assert not [one for receipt in corpus.receipts for one in receipt["quarantined"]]


def test_verify_has_compared_every_record(corpus: Corpus) -> None:
    looked_at = corpus.verified["looked_at"]

    assert looked_at["rows"] == len(set(map(canonical, corpus.texts)))
    assert looked_at["records"] >= len(corpus.texts)  # some files are read for two days
    assert corpus.verified["clean"] is True


def test_only_what_the_publishers_have_added_is_without_a_column(corpus: Corpus) -> None:
    unmapped = {name for receipt in corpus.receipts for name in receipt["unmapped"]}

    assert not [name for name in unmapped if not name.startswith("@")]
