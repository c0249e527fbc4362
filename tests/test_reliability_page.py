"""The page of what was tried names tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
FILES = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:tests/\w+/)?(test_\w+\.py)`", PAGE))))
def test_each_file_of_tests_that_is_named_is_there(name: str) -> None:
    assert name in FILES


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_each_test_that_is_named_is_there(name: str) -> None:
    assert any(f"def {name}(" in text for text in FILES.values())
