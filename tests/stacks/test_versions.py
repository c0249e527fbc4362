"""Which versions of the provider Terraform takes, asked of Terraform itself."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pytest

from stacks.versions import PROVIDER_VERSIONS
from tests.stacks.conftest import ROOT

PLATFORM = "linux_amd64"


def alone(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "CHECKPOINT_DISABLE": "1"}


def mirror(folder: Path, versions: Iterable[str], *platforms: str) -> None:
    """A mirror of what is no provider at all: to lock it, Terraform does not run it."""
    if not shutil.which("terraform"):
        pytest.skip("VERSIONS NOT TRIED: no terraform on PATH")
    for version, platform in product(versions, platforms):
        place = folder / f"registry.terraform.io/hashicorp/aws/{version}/{platform}"
        place.mkdir(parents=True)
        (place / f"terraform-provider-aws_v{version}_x5").write_text(f"{version} {platform}")


def chosen(versions: Iterable[str], folder: Path) -> str | None:
    """The version that Terraform takes from a mirror."""
    mirror(folder / "mirror", versions, PLATFORM)
    aws = {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS}
    stack = {"terraform": {"required_providers": {"aws": aws}}}
    (folder / "main.tf.json").write_text(json.dumps(stack))
    done = subprocess.run(
        [*("terraform", "providers", "lock", "-fs-mirror=mirror"), f"-platform={PLATFORM}"],
        cwd=folder,
        env=alone(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        assert "no available releases match" in " ".join(done.stderr.split())
        return None
    lock = (folder / ".terraform.lock.hcl").read_text()
    (found,) = re.findall(r'^ +version += "(.+)"$', lock, re.MULTILINE)
    return str(found)


WITH_DIFFERENCE = [f"6.{minor}.{patch}" for minor in range(22, 40) for patch in (0, 1)]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["5.99.1"], None),
        (["5.100.0"], "5.100.0"),
        (["5.100.0", "6.21.0", *WITH_DIFFERENCE], "6.21.0"),
        (WITH_DIFFERENCE, None),
        (["6.21.0", *WITH_DIFFERENCE, "6.40.0"], "6.40.0"),
        (["6.40.0", "6.64.0", "7.0.0"], "6.64.0"),
    ],
)
def test_versions_that_find_a_difference_in_each_plan_are_never_taken(
    there: list[str], taken: str | None, tmp_path: Path
) -> None:
    assert chosen(there, tmp_path) == taken


def test_a_hand_over_may_have_a_lock_file_for_several_platforms(
    synthesised: Path, tmp_path: Path
) -> None:
    """By the command of the Makefile, in a folder with the one that was handed over."""
    mirror(tmp_path / "mirror", ["5.100.0", "6.22.0"], "linux_amd64", "darwin_arm64")
    folder = tmp_path / "dist/prod"
    folder.mkdir(parents=True)
    shutil.copy(synthesised / "everything/cdk.tf.json", folder)  # its state is in a bucket

    def command(*words: str) -> str:
        made = [f"--assume-old=.venv/.{name}" for name in ("dependencies", "ready", "infra")]
        options = ["--dry-run", "--no-print-directory", *made]
        words = (
            "make",
            *options,
            "handover",
            "ENV=prod",
            f"TF_PLUGIN_DIR={tmp_path}/mirror",
            *words,
        )
        shown = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return shown.partition("app.py --handover")[2].partition("\n")[2]

    assert command().strip() == ""
    locking = command("TF_LOCK_PLATFORMS=linux_amd64 darwin_arm64")
    for _ in range(2):  # the second finds the lock file of the first
        subprocess.run(
            ["sh", "-ec", locking],
            cwd=tmp_path,
            env=alone(tmp_path),
            check=True,
            capture_output=True,
        )

    lock = (folder / ".terraform.lock.hcl").read_text()
    assert '"5.100.0"' in lock
    assert lock.count('"h1:') == 2
