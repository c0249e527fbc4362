"""`make demo` shows the whole way, and installs what it needs and no more."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.distribution.test_wheel import closure

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples/demo.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["demo"]]


def locked(name: str) -> dict[str, str]:
    """The versions in a lock, by package; without those for other systems than this one."""
    lines = re.findall(
        r"^([\w.-]+)==(\S+) (?:; (.*) )?\\$",
        (ROOT / f"requirements/{name}.txt").read_text(),
        re.MULTILINE,
    )
    return {
        package: version
        for package, version, marker in lines
        if not marker or Requirement(f"{package}; {marker}").marker.evaluate()  # type: ignore[union-attr]
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that it ran in, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, DEMO],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lambda_src")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_it_answers_three_questions_over_a_dataset_below_build_demo(demo: tuple[Path, str]) -> None:
    folder, said = demo

    assert [path.name for path in folder.iterdir()] == ["build"]
    assert [*(folder / "build/demo/dataset").rglob("part-*.parquet")]
    assert len(re.findall(r"\?\n\n\$ cloudtrail-parquet query ", said)) == 3
    assert (
        "makes sample logs under build/demo, converts them, asks three"
        in (ROOT / "README.md").read_text()
    )


def test_it_ends_with_what_to_do_next_in_four_lines(demo: tuple[Path, str]) -> None:
    _, _, end = demo[1].partition("What next:\n")

    assert len(end.splitlines()) == 4
    for path in re.findall(r"[a-z]+/[\w.]+\.(?:md|toml)", end):
        assert (ROOT / path).exists(), path


def test_its_lock_holds_what_it_imports_and_what_that_needs() -> None:
    trees = ast.walk(ast.parse(DEMO.read_text()))
    imported = {one.name for node in trees if isinstance(node, ast.Import) for one in node.names}

    assert set(locked("demo")) == set(map(canonicalize_name, closure(WANTED)))
    assert imported - sys.stdlib_module_names <= {Requirement(one).name for one in WANTED}


def test_the_tests_go_on_with_what_it_has_installed() -> None:
    dev = locked("dev")

    assert locked("demo").items() < dev.items()


def test_make_installs_nothing_else_for_it(tmp_path: Path) -> None:
    command = ["make", "--dry-run", "--always-make", f"VENV={tmp_path}/venv", "demo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(re.findall(r"requirements/\w+\.txt", done.stdout)) == {"requirements/demo.txt"}
