"""What checkov finds in the stacks is either mended or listed in checkov.toml with the reason."""

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.stacks.conftest import CASES

pytestmark = pytest.mark.slow

CHECKOV = "CHECKOV"
"""The variable that names the program, which is installed from requirements/checkov.txt."""

ACCEPTED = Path(__file__).with_name("checkov.toml")


@pytest.fixture(scope="module")
def report(synthesised: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of all cases; nobody answers it outside of this machine."""
    program = os.environ.get(CHECKOV)
    if not program:
        pytest.skip(f"STACKS NOT CHECKED: {CHECKOV} names no program")
    folder = tmp_path_factory.mktemp("checkov")
    for case in CASES:
        stack = msgspec.json.decode((synthesised / case / "cdk.tf.json").read_bytes())
        del stack["terraform"]  # checkov cannot read a required_version that is text, as it is
        (folder / case).mkdir()
        (folder / case / "cdk.tf.json").write_text(json.dumps(stack, indent=1))
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    done = subprocess.run(
        [
            program,
            "--framework=terraform_json",
            "--skip-download",
            "--output=json",
            "--directory=.",
        ],
        cwd=folder,
        env={**kept, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def found(report: dict[str, Any], outcome: str) -> set[tuple[str, str, str]]:
    """Case, check and name of the resource of each check with an outcome."""
    return {
        (one["file_path"].split("/")[1], one["check_id"], one["resource"].rpartition(".")[2])
        for one in report["results"][f"{outcome}_checks"]
    }


def test_every_finding_is_listed_with_a_reason_and_nothing_else_is(report: dict[str, Any]) -> None:
    accepted = tomllib.loads(ACCEPTED.read_text())
    listed = {(check, name) for check, entry in accepted.items() for name in entry["of"]}
    failed = found(report, "failed")

    assert {(check, name) for _, check, name in failed} - listed == set()
    assert listed - {(check, name) for _, check, name in failed} == set()
    assert all(
        len(entry["why"]) > 10 and entry.keys() == {"of", "why"} for entry in accepted.values()
    )
    assert not report["results"]["skipped_checks"]


def test_checkov_has_looked_at_all_that_there_is(report: dict[str, Any]) -> None:
    passed = found(report, "passed")

    assert not report["results"]["parsing_errors"]
    for case in CASES:
        of_case = {(check, name) for where, check, name in passed if where == case}
        assert len(of_case) >= 60
        assert {name for _, name in of_case} >= {"converter", "converter_log", "failures"}
    assert {("everything", *one) for one in _UNDERSTOOD} <= passed


_UNDERSTOOD = {
    ("CKV_AWS_27", "backfill_queue"),  # encrypted
    ("CKV_AWS_53", "dataset_public_access"),
    ("CKV_AWS_21", "state"),  # versions
    ("CKV_AWS_107", "converter_role_access"),  # no credentials; so policies are read
    ("CKV_AWS_301", "fan_out_permission"),
}
"""Checks that show that checkov has seen what there is."""
