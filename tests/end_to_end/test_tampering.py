"""A dataset and its logs, of which something is changed: each time `verify` names just that."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.altered import flip, replaced, rewrite, sign, swap, without
from tests.end_to_end.program import run, succeed

WRONG = 5
SPEC = TreeSpec(
    accounts=2, regions=2, days=2, records=300, late=0.05, duplicates=0.05, digests=True
)
LAYOUTS = ("account/region/year/month/day", "dt")
NOTES = {"signature unknown", "not looked at"}
"""What may be said of a dataset with which nothing is wrong."""

Found = set[tuple[str, str]]


class Case(NamedTuple):
    """A dataset, its state, the logs that it was made of, and their public keys."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def dataset(self) -> Path:
        return self.folder / "set"

    @property
    def keys(self) -> Path:
        return self.folder / "logs.public-keys.json"

    @property
    def parts(self) -> list[Path]:
        """The parts of the first day, which are parts of its own records, and of the second."""
        found = self.dataset.rglob("part-*.parquet")
        return sorted(found, key=lambda path: (path.parent.name, path))[:: 1 if self.is_dt else 4]

    @property
    def is_dt(self) -> bool:
        return any(self.dataset.glob("dt=*"))

    @property
    def part(self) -> Path:
        return self.parts[0]

    @property
    def busy(self) -> list[Path]:
        """Log files of one place with several records, far from midnight."""
        found = [
            path
            for path in sorted(self.logs.rglob("*_CloudTrail_*"))
            if "T06" < path.name.split("_")[3][8:11] < "T20" and len(records_of(path)) > 2
        ]
        assert len(found) > 1
        return [path for path in found if path.parent == found[0].parent]

    @property
    def chain(self) -> list[Path]:
        """Digest files of one place, but for the first and the last ones."""
        places = {path.parents[3] for path in self.logs.rglob("*_CloudTrail-Digest_*")}
        return sorted(min(places).rglob("*_CloudTrail-Digest_*"))[4:-4]

    def receipt_of(self, part: Path) -> Path:
        """The receipt that names a part."""
        (path,) = [
            path
            for path in Path(f"{self.dataset}.state/receipts").rglob("*.json")
            if self.key(part) in path.read_text()
        ]
        return path

    def key(self, path: Path) -> str:
        """The key of a part, a log file or a digest file."""
        return str(path.relative_to(self.dataset if path.suffix == ".parquet" else self.logs))

    def verify(self, keys: Path | None = None) -> Found:
        """What is wrong, and with what; the exit status says whether anything is."""
        options = ("--source", self.logs, "--digests", "--public-keys", keys or self.keys)
        done = run("verify", self.dataset, *options, "--workers", 1, "--json")
        *lines, summary = map(json.loads, done.stdout.splitlines())
        wrong = [line for line in lines if line["kind"] not in NOTES]
        assert summary["clean"] == (not wrong), done.stderr
        assert done.returncode == (WRONG if wrong else 0)
        return {(line["kind"], _where(line)) for line in wrong}


def _where(line: dict[str, Any]) -> str:
    return str(line.get("where") or line.get("part") or line.get("log_file") or line["unit"])


def records_of(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["Records"]
    return records


def write_log(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """A clean dataset in each layout."""
    folder = tmp_path_factory.mktemp("whole")
    generate_tree(folder / "logs", SPEC)
    cases = {}
    for layout in LAYOUTS:
        cases[layout] = case = Case(folder / layout.replace("/", "-"))
        shutil.copytree(folder / "logs", case.logs)
        shutil.copyfile(folder / "logs.public-keys.json", case.keys)
        succeed("convert", case.logs, case.dataset, "--partition-layout", layout, "--workers", 1)
        assert case.verify() == set()
    return cases


@pytest.fixture(params=LAYOUTS, ids=["by place", "folded"])
def case(whole: dict[str, Case], request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """A copy of it that may be changed."""
    shutil.copytree(whole[request.param].folder, tmp_path / "case")
    return Case(tmp_path / "case")


# Log files. What is found in the rows is named by the record and its log file.


def flipped_log(case: Case) -> Found:
    log = case.busy[0]
    flip(log)
    return {("log file damaged", case.key(log)), ("log altered", case.key(log))}


def log_deleted(case: Case) -> Found:
    log = case.busy[0]
    log.unlink()
    return {("log missing", case.key(log)), ("log file gone", "")}


def logs_swapped(case: Case) -> Found:
    one, other = case.busy[:2]
    swap(one, other)
    keys = {case.key(one), case.key(other)}
    return {("log swapped", key) for key in keys}


def log_of_another_hour(case: Case) -> Found:
    one, other = case.busy[:2]
    shutil.copyfile(other, one)
    return {("log swapped", case.key(one)), ("log file changed", "")}


def record_changed(case: Case) -> Found:
    log = case.busy[0]
    records = records_of(log)
    write_log(log, [records[0] | {"sourceIPAddress": "192.0.2.1"}, *records[1:]])
    return {("log altered", case.key(log)), ("record altered", case.key(case.part))}


def record_removed(case: Case) -> Found:
    log = case.busy[0]
    write_log(log, records_of(log)[1:])
    return {("log altered", case.key(log)), ("log file changed", case.key(log))}


def log_added(case: Case) -> Found:
    log = case.busy[0]
    forged = log.with_name(
        log.name[: -len("0123456789abcdef.json.gz")] + "F0RGEDF0RGEDF0RG.json.gz"
    )
    write_log(forged, [records_of(log)[0] | {"eventID": "forged"}])
    key = case.key(forged)
    return {("log added", key), ("log file added", key)}


# Digest files.


def digest_deleted(case: Case) -> Found:
    digest = case.chain[3]
    digest.unlink()
    return {("digest missing", case.key(digest))}


def two_digests_deleted(case: Case) -> Found:
    first, second = case.chain[3:5]
    first.unlink()
    second.unlink()
    return {("digest missing", case.key(second))}


def flipped_digest(case: Case) -> Found:
    digest = case.chain[3]
    flip(digest)
    return {("digest unreadable", case.key(digest))}


def digest_edited(case: Case) -> Found:
    digest = next(one for one in case.chain if json.loads(gunzip(one))["logFiles"])
    told = json.loads(gunzip(digest))
    told["logFiles"][0]["hashValue"] = "0" * 64
    digest.write_bytes(gzip.compress(json.dumps(told).encode()))
    return {("digest altered", case.key(digest))}


def digest_replaced(case: Case) -> Found:
    digest, other = case.chain[3:5]
    shutil.copyfile(other, digest)
    return {("digest swapped", case.key(digest))}


def digest_with_the_signature_of_another(case: Case) -> Found:
    digest, other = case.chain[3:5]
    one, two = (json.loads(gunzip(path)) for path in (digest, other))
    one["previousDigestSignature"] = two["previousDigestSignature"]
    digest.write_bytes(gzip.compress(json.dumps(one).encode()))
    return {("digest altered", case.key(digest))}


def gunzip(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


# Parts and receipts.


def flipped_part(case: Case) -> Found:
    part = case.part
    flip(part)
    return {("part damaged", case.key(part)), ("part altered", case.key(part))}


def row_altered(case: Case) -> Found:
    part = case.part
    rewrite(part, lambda table: replaced(table, "sourceIPAddress", 3, "192.0.2.1"))
    return {("part altered", case.key(part)), ("record altered", case.key(part))}


def row_altered_and_signed(case: Case) -> Found:
    part = case.part
    rewrite(part, lambda table: replaced(table, "sourceIPAddress", 3, "192.0.2.1"))
    sign(case.receipt_of(part), case.key(part), part)
    return {("record altered", case.key(part))}


def row_added_and_signed(case: Case) -> Found:
    part = case.part

    def with_more(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, replaced(table.slice(3, 1), "eventID", 0, "forged")])

    rewrite(part, with_more)
    sign(case.receipt_of(part), case.key(part), part)
    return {("row without a log file", case.key(part)), ("receipt false", "")}


def row_added_for_another(case: Case) -> Found:
    """As many rows as before: one is gone, and one is new."""
    part = case.part

    def other(table: pa.Table) -> pa.Table:
        return pa.concat_tables([without(table, 3), replaced(table[3:4], "eventID", 0, "forged")])

    rewrite(part, other)
    sign(case.receipt_of(part), case.key(part), part)
    return {("row without a log file", case.key(part)), ("record missing", "")}


def row_doubled(case: Case) -> Found:
    part = case.part
    rewrite(part, lambda table: pa.concat_tables([table, table.slice(3, 1)]))
    sign(case.receipt_of(part), case.key(part), part)
    return {("row repeated", case.key(part)), ("receipt false", "")}


def row_deleted_and_counted(case: Case) -> Found:
    """Receipts add up again: only the log files tell."""
    part = case.part
    rewrite(part, lambda table: without(table, 3))
    receipt = case.receipt_of(part)
    sign(receipt, case.key(part), part)
    told = json.loads(receipt.read_text())
    told["records"]["written"] -= 1
    told["records"]["elsewhere"] += 1
    place = next(iter(told["places"].values()))
    figures = next(iter(place.values()))
    figures[3][1] -= 1
    figures[3][3] += 1
    receipt.write_text(json.dumps(told))
    return {("record missing", ""), ("receipt false", "")}


def part_of_another_day(case: Case) -> Found:
    one, other = case.parts[0], case.parts[-1]
    assert one.parent != other.parent
    shutil.copyfile(other, one)
    return {("part altered", case.key(one)), ("row misplaced", case.key(one))}


def parts_swapped(case: Case) -> Found:
    one, other = case.parts[0], case.parts[-1]
    swap(one, other)
    return {("part altered", case.key(path)) for path in (one, other)}


def part_renamed(case: Case) -> Found:
    part = case.part
    part.rename(part.with_name("part-00007.parquet"))
    other = case.key(part.with_name("part-00007.parquet"))
    return {("part missing", case.key(part)), ("part unknown", other)}


def part_added(case: Case) -> Found:
    part = case.part
    shutil.copyfile(part, part.with_name("events.parquet"))
    return {("part unknown", case.key(part.with_name("events.parquet")))}


def part_and_receipt_deleted(case: Case) -> Found:
    """Nothing tells of the unit any more but its log files."""
    part = case.part
    case.receipt_of(part).unlink()
    part.unlink()
    return {("unit missing", "")}


CHANGES: list[Callable[[Case], Found]] = [
    *(flipped_log, log_deleted, logs_swapped, log_of_another_hour, record_changed, record_removed),
    *(
        log_added,
        digest_deleted,
        two_digests_deleted,
        flipped_digest,
        digest_edited,
        digest_replaced,
    ),
    *(digest_with_the_signature_of_another, flipped_part, row_altered, row_altered_and_signed),
    *(row_added_and_signed, row_added_for_another, row_doubled, row_deleted_and_counted),
    *(part_of_another_day, parts_swapped, part_renamed, part_added),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_was_changed_is_named(case: Case, change: Callable[[Case], Found]) -> None:
    expected = change(case)

    found = case.verify()

    for kind in {kind for kind, _ in expected}:
        named, wanted = (
            {where for one, where in some if one == kind} for some in (found, expected)
        )
        assert named == wanted or (named and wanted == {""}), (kind, found)


def test_keys_of_somebody_else_vouch_for_nothing(whole: dict[str, Case], tmp_path: Path) -> None:
    generate_tree(tmp_path / "logs", replace(SPEC, seed=1, records=4, days=1))
    case = whole[LAYOUTS[0]]

    found = case.verify(keys=tmp_path / "logs.public-keys.json")

    assert {kind for kind, _ in found} == {"key unknown"}


def test_a_log_file_and_its_digest_file_altered_alike_lack_the_signature(case: Case) -> None:
    digest = next(one for one in case.chain if json.loads(gunzip(one))["logFiles"])
    told = json.loads(gunzip(digest))
    log = case.logs / told["logFiles"][0]["s3Object"].partition("AWSLogs/")[2]
    log = next(case.logs.rglob(log.name))
    write_log(log, [one | {"userAgent": "x"} for one in records_of(log)])
    told["logFiles"][0]["hashValue"] = sha256(gunzip(log)).hexdigest()
    digest.write_bytes(gzip.compress(json.dumps(told).encode()))

    found = case.verify()

    assert ("digest altered", case.key(digest)) in found
    assert "log altered" not in {kind for kind, _ in found}
