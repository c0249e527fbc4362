"""What the package needs, and what the Lambda carries: written twice, so they have to agree."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
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
FOR_PEOPLE = {"boto3", "cryptography", "duckdb", "fsspec", "rich", "typer"}
"""What only the command line needs, or what Lambda has."""


def test_the_lambda_has_the_ranges_of_the_package() -> None:
    both = PACKAGE.keys() & LAMBDA.keys()

    assert both == PACKAGE.keys() - FOR_PEOPLE
    assert {name: LAMBDA[name] for name in both} == {name: PACKAGE[name] for name in both}


def test_the_lambda_carries_no_command_line_no_aws_client_and_no_duckdb() -> None:
    pins = read_lock(ROOT / "requirements/runtime.txt").keys()

    assert LAMBDA.keys() <= pins
    assert pins.isdisjoint(FOR_PEOPLE | {"botocore"})


def imported(path: Path) -> Iterator[str]:
    """The distributions whose modules a file imports, wherever it does; ours and Python's aside."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for top in {name.partition(".")[0] for name in names}:
            if top not in sys.stdlib_module_names and top != "cloudtrail_parquet":
                yield canonicalize_name(DISTRIBUTIONS[top][0])


SOURCES = ROOT / "lambda_src/cloudtrail_parquet"
DISTRIBUTIONS = packages_distributions()
IMPORTED = {path.relative_to(SOURCES): {*imported(path)} for path in SOURCES.rglob("*.py")}


def used_outside(*rooms: str) -> set[str]:
    """The distributions that all rooms but some import; botocore is boto3's own."""
    outside = [names for path, names in IMPORTED.items() if path.parts[0] not in rooms]
    return set().union(*outside) - {"botocore"}


def test_the_package_asks_for_what_it_imports_and_for_nothing_else() -> None:
    assert used_outside("function") == PACKAGE.keys()


def test_the_lambda_carries_what_its_modules_import_and_nothing_else() -> None:
    people = ("cli", "digests", "querying", "sample_logs")
    assert used_outside(*people) - {"boto3"} == LAMBDA.keys()
