"""What the package needs, and what the Lambda carries: written twice, so they have to agree."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bundle.wheels import read_lock

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def ranges(requirements: list[str]) -> dict[str, str]:
    """The range of versions of each package, by name."""
    parsed = map(Requirement, requirements)
    return {canonicalize_name(one.name): f"{one.specifier}; {one.marker}" for one in parsed}


PACKAGE = ranges(PROJECT["project"]["dependencies"])
LAMBDA = ranges(PROJECT["dependency-groups"]["lambda"])


def test_the_lambda_has_the_ranges_of_the_package() -> None:
    both = PACKAGE.keys() & LAMBDA.keys()

    assert both == PACKAGE.keys() - {"boto3", "rich", "typer"}
    assert {name: LAMBDA[name] for name in both} == {name: PACKAGE[name] for name in both}


def test_the_lambda_carries_no_command_line_and_no_aws_client() -> None:
    pins = read_lock(ROOT / "requirements/runtime.txt").keys()

    assert LAMBDA.keys() <= pins
    assert pins.isdisjoint({"boto3", "botocore", "rich", "typer"})
