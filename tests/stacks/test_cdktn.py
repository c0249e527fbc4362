"""The community fork cdktn makes the same Terraform; ``make cdktn`` installs and runs it."""

import os
import re
import shutil
import subprocess
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.stacks.conftest import ENVIRONMENTS, PACKAGE, ROOT

pytestmark = [pytest.mark.cdktn, pytest.mark.slow]

PYTHON = "CDKTN"
"""The variable that names the Python of a virtual environment with ``requirements/cdktn.txt``."""

MOVED = {"cdktf_cdktf_provider_aws": "cdktn_provider_aws", "from cdktf import": "from cdktn import"}
"""What the move changes in stacks/cdk.py, as docs/deploy.md has it."""

KNOWN = re.compile(r'[-+] +"version": "0\.\d+\.\d+"')
"""The toolkit's version, in its notes; a hand-over leaves those out."""


@pytest.fixture(scope="module")
def forked(synthesised: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``synthesised`` has, made with cdktn by a copy of the program."""
    python = os.environ.get(PYTHON)
    if not python:
        pytest.skip(f"CDKTN NOT COMPARED: {PYTHON} names no Python that has it; run make cdktn")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("forked")
    shutil.copy2(ROOT / "app.py", copy)
    for folder in ("bundle", "lambda_src", "queries", "stacks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    toolkit = copy / "stacks/cdk.py"
    text = toolkit.read_text()
    for before, after in MOVED.items():
        assert before in text
        text = text.replace(before, after)
    toolkit.write_text(text)
    command = [python, "app.py", "--environments", str(ENVIRONMENTS), "--out", str(out)]
    command += ["--package", str(synthesised.parent / PACKAGE)]
    environment = {**os.environ, "PYTHONPATH": str(copy / "lambda_src")}
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return out / "stacks"


def test_cdktn_makes_the_same_terraform_but_for_its_own_version(
    synthesised: Path, forked: Path, case: str
) -> None:
    ours, theirs = (
        (folder / case / "cdk.tf.json").read_text().splitlines() for folder in (synthesised, forked)
    )

    _, _, *changes = unified_diff(ours, theirs, n=0, lineterm="")
    differences = [line for line in changes if line[0] in "-+"]

    assert len(differences) == 2
    assert all(KNOWN.fullmatch(line) for line in differences), differences
    print(*differences, sep="\n")  # noqa: T201 - make cdktn PYTEST_ARGS=-s shows it
