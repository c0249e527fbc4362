"""Copies of the program that make hand-overs, and how to read these."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from stacks.environment.fields import Environment
from stacks.environment.load import load
from tests.stacks.conftest import ENVIRONMENTS, ROOT

PACKAGE = "trails-1.0-arm64.zip"
SOURCES = ("bundle", "lambda_src", "queries", "stacks")
ROLES = ("converter_role", "schedule_role")


def checkout(folder: Path) -> Path:
    """A copy of what makes hand-overs, with a package."""
    folder.mkdir(parents=True)
    shutil.copy2(ROOT / "app.py", folder)
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    package(folder)
    return folder


def package(folder: Path) -> Path:
    """A zip without anything in it, and its bill of materials."""
    zipped = folder / PACKAGE
    with ZipFile(zipped, "w"):
        pass
    digest = sha256(zipped.read_bytes()).hexdigest()
    zipped.with_suffix(".bom.json").write_text(json.dumps({"digest": digest}))
    return zipped


def environment_of(case: str, **other: object) -> Environment:
    (one,) = load(ENVIRONMENTS / f"{case}.toml").values()
    return one.model_copy(update=other)


def terraform_of(folder: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((folder / "cdk.tf.json").read_bytes())


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
