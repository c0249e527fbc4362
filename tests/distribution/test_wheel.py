"""The wheel, built from the sdist, installed where there is nothing but what it asks for."""

import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import cloudtrail_parquet
from cloudtrail_parquet.version import __version__

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"HOME": "/nonexistent", "PATH": os.defpath, "TERM": "dumb", "COLUMNS": "200"}


def call(*command: object, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(target: str, source: Path, out: Path) -> Path:
    call(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", out, folder=source)
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist of this checkout builds."""
    out, unpacked = (tmp_path_factory.mktemp(name) for name in ("sdist", "unpacked"))
    with tarfile.open(build("sdist", ROOT, out)) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return build("wheel", source, tmp_path_factory.mktemp("wheel"))


def requirements(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])


def closure(wanted: list[str]) -> set[str]:
    """The names of distributions that requirements lead to."""
    found, open_ = set[tuple[str, str]](), list(_applying(wanted, ""))
    while open_:
        name, extra = one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += _applying(distribution(name).requires or [], extra)
    return {name for name, _ in found}


def _applying(wanted: list[str], extra: str) -> Iterator[tuple[str, str]]:
    for one in map(Requirement, wanted):
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            yield from ((one.name, each) for each in {"", *one.extras})


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment with the wheel and what it requires, by links to ours."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    for name in closure(requirements(wheel)):
        for top in {file.parts[0] for file in distribution(name).files or ()}:
            if top not in {"..", "__pycache__"}:
                (site / top).symlink_to(str(distribution(name).locate_file(top)))
    pip = [sys.executable, "-m", "pip", "--python", folder, "--disable-pip-version-check"]
    call(*pip, "install", "--quiet", "--no-index", "--no-compile", wheel, folder=folder)
    return folder / "bin"


def test_the_wheel_is_typed_and_its_version_is_the_program_s(wheel: Path) -> None:
    assert wheel.name == f"cloudtrail_parquet-{__version__}-py3-none-any.whl"
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "cloudtrail_parquet/py.typed" in names
    ours = (ROOT / "lambda_src").rglob("*.py")
    assert {str(path.relative_to(ROOT / "lambda_src")) for path in ours} <= {*names}


def test_its_command_makes_converts_and_exports_logs(bare: Path, tmp_path: Path) -> None:
    command = bare / "cloudtrail-parquet"

    assert call(command, "--version", folder=tmp_path) == f"{__version__}\n"
    assert "convert" in call(command, "--help", folder=tmp_path)
    spec = ["--accounts", 1, "--regions", 1, "--days", 1, "--records", 50]
    call(command, "generate", "logs", *spec, folder=tmp_path)
    call(command, "convert", "logs", "lake", "--workers", 1, folder=tmp_path)
    assert call(command, "export", "lake", folder=tmp_path).count("\n") == 50


def test_its_queries_come_with_it_and_answer(bare: Path, tmp_path: Path) -> None:
    command = bare / "cloudtrail-parquet"
    spec = ["--accounts", 1, "--regions", 1, "--days", 1, "--records", 50]
    call(command, "generate", "logs", *spec, folder=tmp_path)
    call(command, "convert", "logs", "lake", "--workers", 1, folder=tmp_path)

    listed = call(command, "query", "--list", folder=tmp_path)
    assert all(path.stem in listed for path in (ROOT / "queries").glob("*.sql"))
    by_event = ["query", "lake", "SELECT eventID FROM cloudtrail", "--format", "csv"]
    _, event_id, *_ = call(command, *by_event, folder=tmp_path).splitlines()
    one_event = ["query", "lake", "one_event", "--event-id", event_id, "--format", "json"]
    assert event_id in call(command, *one_event, folder=tmp_path)
    assert "?" in call(
        command, "query", "--print", "--dialect", "athena", "one_event", folder=tmp_path
    )


def test_a_program_can_import_all_that_it_may_use(bare: Path, tmp_path: Path) -> None:
    program = "from cloudtrail_parquet import *; import cloudtrail_parquet as us, importlib.util\n"
    program += "print(us.__file__, [one for one in us.__all__ if one not in globals()])\n"
    program += "import boto3; print(importlib.util.find_spec('pytest'))"

    path, missing, pytest_ = call(bare / "python", "-c", program, folder=tmp_path).split()

    assert Path(path).is_relative_to(bare.parent)
    assert (missing, pytest_) == ("[]", "None")
    assert "convert" in cloudtrail_parquet.__all__


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_its_command_is_completed_by_shells(bare: Path, tmp_path: Path, shell: str) -> None:
    command, without = bare / "cloudtrail-parquet", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"

    script = call(command, "--show-completion", shell, folder=tmp_path, **{without: "1"})

    (variable,) = set(re.findall(r"\b(_\w+_COMPLETE)=complete_" + shell, script))
    said = call(
        command,
        folder=tmp_path,
        **{variable: f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "cloudtrail-parquet con"},
        COMP_WORDS="cloudtrail-parquet con",
        COMP_CWORD="1",
    )
    assert "convert" in said
    assert "export" not in said
