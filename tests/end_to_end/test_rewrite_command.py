"""The command ``rewrite``: Parquet of Parquet, after the log files are gone."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from cloudtrail_parquet.dataset.export import export_records
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.storage import open_store
from tests.end_to_end.program import run, succeed
from tests.end_to_end.test_corpus import deliver_corpus
from tests.end_to_end.trees import contents, deliver

SPEC = TreeSpec(
    accounts=2, regions=2, days=2, records=1200, late=0.03, duplicates=0.03, corrupt=0, seed=4
)
CHANGES = {
    "codec": ["--compression", "gzip"],
    "encoding": ["--json-encoding", "json"],
    "row groups": ["--row-group-rows", "100"],
    "order": ["--sort-by", "eventTime"],
    "layout": ["--partition-layout", "year/month/day"],
    "layout of dates": ["--partition-layout", "account/dt"],
}


class Made(NamedTuple):
    """A dataset whose log files are gone, in a folder of its own."""

    dataset: Path
    exported: Counter[str]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    generate_tree(folder / "logs", SPEC)
    succeed("convert", folder / "logs", folder / "lake")
    shutil.rmtree(folder / "logs")
    return folder


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Made:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return Made(tmp_path / "lake", exported(tmp_path / "lake"))


def exported(dataset: Path) -> Counter[str]:
    return Counter(export_records(open_store(str(dataset))))


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_records_are_exported_byte_for_byte_without_the_logs(
    made: Made, change: str
) -> None:
    lake, other, back = (made.dataset.with_name(name) for name in ("lake", "other", "back"))
    there = [other] if "layout" in change else []
    back_again = [back] if there else []

    succeed("rewrite", lake, *there, *CHANGES[change])
    assert exported(there[0] if there else lake) == made.exported

    assert run("rewrite", *(there or [lake]), *back_again).returncode == 0
    assert exported(back_again[0] if there else lake) == made.exported


def test_a_dry_run_tells_what_would_change_and_writes_nothing(made: Made) -> None:
    before = contents(made.dataset.parent)

    text = succeed("rewrite", made.dataset, "--compression", "gzip", "--dry-run")
    lines = succeed("rewrite", made.dataset, "--compression", "gzip", "--dry-run", "--json")

    units = [json.loads(line) for line in lines.splitlines()]
    parts = sum(unit["parts"] for unit in units)
    assert parts == len(list(made.dataset.rglob("*.parquet")))
    assert f"would rewrite {len(units)} units, {parts} parts, " in text
    assert {change for unit in units for change in unit["changes"]} == {"compression"}
    assert contents(made.dataset.parent) == before


def test_what_is_as_wanted_is_left_alone(made: Made) -> None:
    before = contents(made.dataset.parent)

    done = run("rewrite", made.dataset)

    assert (done.returncode, done.stderr) == (0, "up to date: nothing to rewrite\n")
    assert contents(made.dataset.parent) == before


def test_receipts_say_what_they_were_rewritten_from(made: Made) -> None:
    lines = succeed("rewrite", made.dataset, "--json", "--compression", "gzip")

    for line in lines.splitlines():
        rewritten = json.loads(line)["rewritten"]
        assert rewritten["settings"] == {"compression": "zstd"}
        assert len(rewritten["runs"]) == 1


def test_several_workers_do_as_one_does(made: Made) -> None:
    one, two = (made.dataset.with_name(name) for name in ("one", "two"))
    layout = ["--partition-layout", "account/dt"]

    succeed("rewrite", made.dataset, one, *layout, "--workers", 1)
    succeed("rewrite", made.dataset, two, *layout, "--workers", 2)

    assert contents(one) == contents(two)


def test_the_layout_cannot_change_in_place(made: Made) -> None:
    done = run("rewrite", made.dataset, "--partition-layout", "dt")

    assert done.returncode == 2
    assert "its layout is account/region/year/month/day, which cannot become dt in place" in (
        done.stderr
    )


def test_the_window_cannot_change(made: Made) -> None:
    done = run("rewrite", made.dataset, "--lookahead-s", "60")

    assert done.returncode == 2
    assert "lookahead_s = 7200" in done.stderr


def test_another_dataset_lies_apart_and_is_new(made: Made) -> None:
    inside = run("rewrite", made.dataset, made.dataset / "other")
    other = made.dataset.with_name("other")
    deliver(other)
    (other / "dt=2026-01-01").mkdir()
    (other / "dt=2026-01-01" / "part-00000.parquet").write_bytes(b"")
    full = run("rewrite", made.dataset, other)

    assert (inside.returncode, full.returncode) == (2, 2)
    assert "it is not apart from" in inside.stderr


def test_convert_waits_until_all_of_a_dataset_is_there(made: Made, tmp_path: Path) -> None:
    logs, other = tmp_path / "more", made.dataset.with_name("other")
    deliver(logs, {"eventTime": "2026-01-10T11:59:00Z", "eventID": "new"})
    partly = run("rewrite", made.dataset, other, "--to", "2026-01-01")
    assert "convert does not write to it before all of" in partly.stderr

    refused = run("convert", logs, other)
    succeed("rewrite", made.dataset, other)
    succeed("convert", logs, other)

    assert refused.returncode == 2
    assert "not all of it is there" in refused.stderr
    assert (exported(other) - made.exported).total() == 1
    assert run("rewrite", made.dataset, other).returncode == 0


@pytest.mark.parametrize("is_all", [True, False], ids=["all receipts", "one receipt"])
def test_parts_of_which_no_receipt_tells_are_not_left_out(made: Made, is_all: bool) -> None:  # noqa: FBT001
    state, other = made.dataset.with_name("lake.state"), made.dataset.with_name("other")
    texts = sorted((state / "receipts").rglob("*.json"))
    for path in texts if is_all else texts[:1]:
        path.unlink()

    in_place = run("rewrite", made.dataset, "--compression", "gzip")
    elsewhere = run("rewrite", made.dataset, other, "--partition-layout", "dt")

    for done in (in_place, elsewhere):
        assert done.returncode == 1
        assert "it has no receipt that can be read" in done.stderr
        assert "status --rebuild" in done.stderr
    run("status", made.dataset, "--rebuild")
    succeed("rewrite", made.dataset, other, "--partition-layout", "dt")
    assert exported(other) == made.exported


def test_a_straggler_that_no_receipt_names_is_not_left_out(made: Made) -> None:
    part = max(made.dataset.rglob("part-*.parquet"))
    month, day = part.parents[1], part.parent.name.removeprefix("day=")
    stray = month / "day=01" / f"straggler-202601{day}-00000.parquet"
    stray.parent.mkdir()
    shutil.copy(part, stray)

    for where in ([], [made.dataset.with_name("other")]):
        done = run("rewrite", made.dataset, *where, "--compression", "gzip")
        assert done.returncode == 1
        assert f"{stray}: it is a part that no receipt names" in done.stderr


def test_a_damaged_part_is_named_and_the_others_are_rewritten(made: Made) -> None:
    damaged, *others = sorted(made.dataset.rglob("part-*.parquet"))
    data = bytearray(damaged.read_bytes())
    data[60] ^= 255
    damaged.write_bytes(bytes(data))
    before = contents(made.dataset)

    done = run("rewrite", made.dataset, "--compression", "gzip")

    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    assert str(damaged) in done.stderr
    after = contents(made.dataset)
    assert sum(before[name] != after[name] for name in before) >= len(others)
    assert damaged.read_bytes() == bytes(data)


def test_values_are_redacted_after_the_fact(made: Made, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[redact]]\nname = "names"\nkeys = ["userName"]\n')
    assert any('"requestParameters":{"userName":"' in text for text in made.exported)

    succeed("rewrite", made.dataset, "--settings", rules)

    texts = exported(made.dataset)
    assert not any('"requestParameters":{"userName":"a' in text for text in texts)
    assert any('"userName":"[redacted]"' in text for text in texts)
    assert run("rewrite", made.dataset, "--settings", rules).stderr.startswith("up to date")
    assert run("rewrite", made.dataset).stderr.startswith("up to date")


@pytest.mark.skipif(
    not os.environ.get("CLOUDTRAIL_CORPUS"),
    reason="CLOUDTRAIL_CORPUS is not set: NO REAL RECORDS WERE TESTED",
)
def test_real_records_come_back_byte_for_byte(tmp_path: Path) -> None:
    deliver_corpus(tmp_path / "logs")
    lake, other, back = (tmp_path / name for name in ("lake", "other", "back"))
    succeed("convert", tmp_path / "logs", lake)
    before = exported(lake)
    assert before.total()
    shutil.rmtree(tmp_path / "logs")

    succeed("rewrite", lake, "--json-encoding", "json", "--compression", "gzip")
    succeed("rewrite", lake, other, "--partition-layout", "year/month/day")
    succeed("rewrite", other, back)

    assert exported(lake) == exported(other) == exported(back) == before


def test_what_was_rewritten_or_has_expired_is_verified(tmp_path: Path) -> None:
    logs, lake, other = (tmp_path / name for name in ("logs", "lake", "other"))
    generate_tree(logs, SPEC)
    succeed("convert", logs, lake)

    succeed("rewrite", lake, "--compression", "gzip")
    succeed("rewrite", lake, other, "--partition-layout", "year/month/day")
    succeed("verify", lake, "--source", logs)
    succeed("verify", other, "--source", logs)
    succeed("expire", lake, "--older-than", "30d")

    succeed("verify", lake)
