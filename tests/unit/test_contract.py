import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet import contract
from cloudtrail_parquet.contract import (
    PARTITION_COLUMNS,
    PLACE_COLUMNS,
    PREFIX,
    MetricName,
    Variable,
    daily_event,
)
from cloudtrail_parquet.function.events import DailyEvent, parse_text
from cloudtrail_parquet.settings.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = [*(ROOT / "lambda_src").rglob("*.py"), *(ROOT / "stacks").rglob("*.py")]
LITERALS = {
    (node.value, path.name)
    for path in CODE
    if path.name != "contract.py"
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
}
"""Each text in the code, with the file that has it; the contract is left out."""


def test_it_loads_neither_arrow_nor_a_client_of_a_store() -> None:
    code = "import sys, cloudtrail_parquet.contract; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"pyarrow", "obstore", "boto3", "msgspec"}.isdisjoint(done.stdout.split())


@given(st.integers(0, 366), st.integers(0, 366))
def test_a_scheduled_event_is_one_that_the_function_accepts(days_back: int, days: int) -> None:
    assert parse_text(daily_event(days_back, days)) == DailyEvent(days_back, days)
    assert json.loads(daily_event(days_back))["days_back"] == days_back


def test_no_variable_has_the_name_of_a_setting() -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}

    assert settings.isdisjoint(Variable)


@pytest.mark.parametrize("name", [*Variable, *MetricName])
def test_a_name_is_written_once(name: str) -> None:
    assert [file for text, file in LITERALS if text == name] == []


def test_partitions_are_by_account_and_region_and_then_by_day() -> None:
    for layout, columns in PARTITION_COLUMNS.items():
        assert list(columns) == layout.split("/")
        assert set(columns).isdisjoint(PLACE_COLUMNS[layout])
        assert {"account", "region"} <= {*columns, *PLACE_COLUMNS[layout]}


def test_metrics_are_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text()

    assert [name for name in MetricName if f"`{name}`" not in page] == []
    assert contract.METRIC_NAMESPACE in page
