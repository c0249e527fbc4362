"""`verify` of a dataset whose receipts were lost and made again from its parts."""

import json
import shutil
from pathlib import Path

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.altered import replaced, rewrite, without
from tests.end_to_end.datasets import Json
from tests.end_to_end.program import run, succeed

SPEC = TreeSpec(accounts=2, regions=2, days=3, records=400, late=0.05, duplicates=0.1)
LAYOUTS = ("account/region/year/month/day", "dt")


UNITS_WITHOUT_PARTS = "not converted yet"


class Rebuilt:
    """A dataset and its logs; `--rebuild` has made its receipts."""

    def __init__(self, folder: Path, layout: str) -> None:
        self.logs, self.dataset = folder / "logs", folder / "cloudtrail"
        generate_tree(self.logs, SPEC)
        convert = ("convert", self.logs, self.dataset, "--partition-layout", layout)
        succeed(*convert, "--workers", 1)
        shutil.rmtree(f"{self.dataset}.state")
        run("status", self.dataset, "--rebuild")

    @property
    def part(self) -> Path:
        return min(self.dataset.rglob("part-*.parquet"), key=lambda path: path.parent)

    def verify(self, *options: object) -> tuple[int, Json]:
        done = run("verify", self.dataset, "--json", "--workers", 1, *options)
        summary: Json = json.loads(done.stdout.splitlines()[-1])
        return done.returncode, summary["found"]

    def compare(self) -> tuple[int, Json]:
        return self.verify("--source", self.logs)


@pytest.fixture(params=LAYOUTS, ids=["by place", "folded"])
def rebuilt(request: pytest.FixtureRequest, tmp_path: Path) -> Rebuilt:
    return Rebuilt(tmp_path, request.param)


def test_what_only_log_files_tell_is_not_called_wrong(rebuilt: Rebuilt) -> None:
    for status, found in (rebuilt.verify(), rebuilt.compare()):
        assert status == 0
        assert found.keys() <= {"receipt rebuilt", "no hash", UNITS_WITHOUT_PARTS}
        assert found["no hash"] == len(list(rebuilt.dataset.rglob("*.parquet")))
    assert "receipt rebuilt" in run("verify", rebuilt.dataset).stdout


def test_rows_are_compared_with_the_log_files_all_the_same(rebuilt: Rebuilt) -> None:
    rewrite(rebuilt.part, lambda table: replaced(table, "sourceIPAddress", 0, "192.0.2.1"))

    status, found = rebuilt.compare()

    assert status == 5
    assert found["record altered"] == 1


def test_sizes_and_rows_are_compared_with_the_receipt(rebuilt: Rebuilt) -> None:
    rewrite(rebuilt.part, lambda table: without(table, 0))

    status, found = rebuilt.verify()

    assert status == 5
    assert found["part altered"] >= 1


def test_log_files_that_have_expired_are_no_fault_and_others_are(rebuilt: Rebuilt) -> None:
    first, second, *_ = sorted({path.name for path in rebuilt.logs.rglob("2026/01/*")})
    for folder in rebuilt.logs.rglob(f"2026/01/{first}"):
        shutil.rmtree(folder)

    status, found = rebuilt.compare()

    assert status == 0
    assert found.keys() <= {"receipt rebuilt", "no hash", "expired", UNITS_WITHOUT_PARTS}
    assert found["expired"] > 0
    next(rebuilt.logs.rglob(f"2026/01/{second}/*T0*.json.gz")).unlink()
    last = max({path.name for path in rebuilt.logs.rglob("2026/01/*")} & {"12"})
    for path in rebuilt.logs.rglob(f"2026/01/{last}/*.json.gz"):
        path.unlink()
    assert rebuilt.compare()[0] == 5


def test_the_rows_of_each_place_are_compared(tmp_path: Path) -> None:
    folded = Rebuilt(tmp_path, LAYOUTS[1])
    receipt = next(
        path
        for path in sorted(Path(f"{folded.dataset}.state/receipts").rglob("*.json"))
        if len(json.loads(path.read_text())["places"]) > 1
    )
    told = json.loads(receipt.read_text())
    one, other = (next(iter(regions.values())) for regions in [*told["places"].values()][:2])
    for number in (0, 1):  # read, written
        one[3][number] -= 1
        other[3][number] += 1
    receipt.write_text(json.dumps(told))

    status, found = folded.verify()

    assert status == 5
    assert found["receipt false"] == 2
