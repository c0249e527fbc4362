"""The toolkit's own command line lists, synthesises and compares, without a registry."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from tests.stacks.account import CREDENTIALS, Account
from tests.stacks.conftest import ENVIRONMENTS, PACKAGE, ROOT
from tests.stacks.handover.checkouts import checkout, package, terraform_of
from tests.stacks.terraform import region_of

pytestmark = pytest.mark.slow

CASE = "minimal"
MARKS = (".dependencies", ".ready", ".infra")
"""Files by which make knows what is installed, the oldest first."""


@pytest.fixture(scope="module")
def modules() -> Path:
    """What ``npm ci`` installs: in the checkout, or else in the cache, once for each lock file."""
    there = ROOT / "node_modules"
    if there.is_dir():
        return there
    if not shutil.which("npm"):
        pytest.skip("TOOLKIT NOT RUN: no npm on PATH")
    lock = (ROOT / "package-lock.json").read_bytes()
    folder = ROOT / ".cache" / f"node-{sha256(lock).hexdigest()[:16]}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, folder)
        asked = ["npm", "ping", "--fetch-retries=0", "--fetch-timeout=10000"]
        if subprocess.run(asked, cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip("TOOLKIT NOT RUN: node_modules is not there, and npm reaches no registry")
        done = subprocess.run(
            ["npm", "ci"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        (folder / "done").touch()
    return folder / "node_modules"


@pytest.fixture(scope="module")
def copy(modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one environment, in which all is installed."""
    copy = checkout(tmp_path_factory.mktemp("toolkit") / "checkout")
    package(copy).rename(copy / PACKAGE)
    for name in ("Makefile", "cdktf.json", "package.json", "package-lock.json", "pyproject.toml"):
        shutil.copy2(ROOT / name, copy)
    shutil.copytree(ROOT / "requirements", copy / "requirements")
    (copy / "environments").mkdir()
    shutil.copy(ENVIRONMENTS / f"{CASE}.toml", copy / "environments")
    (copy / "node_modules").symlink_to(modules)
    (copy / ".venv").mkdir()
    for one in Path(sys.prefix).iterdir():
        if one.name not in MARKS:
            (copy / ".venv" / one.name).symlink_to(one)
    for name in MARKS:
        (copy / ".venv" / name).touch()
    return copy


def run(copy: Path, *words: str, **variables: str) -> str:
    """Run a command of the toolkit that has to succeed; what it printed, without colours."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))
    }
    done = subprocess.run(
        ["npx", "--no-install", "cdktf", *words],
        cwd=copy,
        env={
            **kept,
            "CHECKPOINT_DISABLE": "1",
            "CI": "1",
            "PYTHONPATH": str(copy / "lambda_src"),
            "SYNTH_ARGS": f"--package {PACKAGE}",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    printed = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert not done.returncode, printed
    return printed


def as_printed(plugins: Path) -> Mapping[str, str]:
    """The variables that docs/deploy.md exports, with the folder of plugins that there is."""
    page = (ROOT / "docs/deploy.md").read_text()
    exported = re.findall(r"^export (TF_CLI_ARGS_\w+)=(.*)$", page, re.MULTILINE)
    assert len(exported) == 2
    return {name: value.replace("/opt/plugins", str(plugins)) for name, value in exported}


@pytest.fixture(scope="module")
def account(synthesised: Path) -> Iterator[Account]:
    with Account(region_of(synthesised / CASE)) as account:
        yield account


def test_it_lists_and_synthesises_the_stacks(copy: Path, synthesised: Path) -> None:
    listed = run(copy, "list")
    assert re.search(rf"^{CASE} +cdktf\.out/stacks/{CASE}\s*$", listed, re.MULTILINE)
    shutil.rmtree(copy / "cdktf.out")

    assert f"stacks: {CASE}" in run(copy, "synth")

    assert terraform_of(copy / f"cdktf.out/stacks/{CASE}") == terraform_of(synthesised / CASE)


def test_it_compares_a_stack_with_an_account_without_a_registry(
    provider: Path, copy: Path, account: Account
) -> None:
    variables = {"AWS_ENDPOINT_URL": account.url, "AWS_EC2_METADATA_DISABLED": "true"}

    compared = run(copy, "diff", CASE, **CREDENTIALS, **variables, **as_printed(provider))

    resources = terraform_of(copy / f"cdktf.out/stacks/{CASE}")["resource"]
    count = sum(map(len, resources.values()))
    assert f"Plan: {count} to add, 0 to change, 0 to destroy." in compared
