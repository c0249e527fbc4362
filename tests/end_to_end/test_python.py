"""docs/python.md and examples/library.py: the same code, which does what the page says."""

import doctest
import re
import runpy
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

import cloudtrail_parquet
from cloudtrail_parquet import Receipt, api
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/library.py"
PAGE = (ROOT / "docs/python.md").read_text()
RECORDS = 400


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the example has made of generated logs."""
    folder = tmp_path_factory.mktemp("library")
    generate_tree(folder / "logs", TreeSpec(accounts=2, regions=2, days=2, records=RECORDS))
    with chdir(folder):
        return runpy.run_path(str(EXAMPLE))


def test_the_page_shows_the_whole_example() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    docstring, code = EXAMPLE.read_text().split('"""\n\n', 1)

    assert "docs/python.md" in docstring
    assert "\n".join(blocks) == code


def test_each_function_has_an_example_that_is_checked() -> None:
    for name in ("convert", "export", "make_settings", "read_schema"):
        examples = doctest.DocTestParser().get_examples(getattr(api, name).__doc__)
        assert f"{name}(" in "".join(one.source for one in examples)
        for one in examples:
            assert one.source in EXAMPLE.read_text()


def test_the_page_names_all_that_a_program_may_use() -> None:
    (listed,) = re.findall(r"These are all names .*?\.", PAGE, re.DOTALL)

    assert set(re.findall(r"`(\w+)`", listed)) == {*cloudtrail_parquet.__all__} - {"__version__"}


def test_the_example_converts_and_reads(names: dict[str, Any]) -> None:
    assert names["outcome"].unit.region == "us-east-1"
    assert names["logs"].count_rows() == RECORDS
    assert names["days"]["len"].sum() == RECORDS
    assert names["denied"].num_rows > 0
    assert names["denied"].schema.names[-5:] == ["account", "region", "year", "month", "day"]
    assert {len(one) for one in names["denied"]["account"].to_pylist()} == {12}
    assert 0 < names["calls"].total() < RECORDS
    receipts = [one.receipt for one in names["outcomes"]]
    assert {one.region for one in receipts} == {"us-east-1"}
    assert all(isinstance(one, Receipt) for one in receipts)
    assert {one.settings["compression_level"] for one in receipts if one.settings} == {9}
