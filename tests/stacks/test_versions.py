"""Which versions of the provider Terraform takes, asked of Terraform itself."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from stacks.versions import PROVIDER_VERSIONS

PLATFORM = "linux_amd64"


def chosen(versions: Iterable[str], folder: Path) -> str | None:
    """The version that Terraform takes from a mirror; it does not run what it finds there."""
    if not shutil.which("terraform"):
        pytest.skip("VERSIONS NOT TRIED: no terraform on PATH")
    for version in versions:
        place = folder / f"mirror/registry.terraform.io/hashicorp/aws/{version}/{PLATFORM}"
        place.mkdir(parents=True)
        (place / f"terraform-provider-aws_v{version}_x5").write_text(version)
    aws = {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS}
    stack = {"terraform": {"required_providers": {"aws": aws}}}
    (folder / "main.tf.json").write_text(json.dumps(stack))
    done = subprocess.run(
        [*("terraform", "providers", "lock", "-fs-mirror=mirror"), f"-platform={PLATFORM}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"},
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
