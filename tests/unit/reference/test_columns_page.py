"""The page of the docs about columns."""

import re
from pathlib import Path

from cloudtrail_parquet.reference.columns_page import columns_page
from cloudtrail_parquet.schema.columns import about, leaves

PAGE = Path(__file__).parents[3] / "docs" / "columns.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == columns_page(), (
        "docs/columns.md is stale: "
        "python -m cloudtrail_parquet.reference.columns_page > docs/columns.md"
    )


def test_the_page_has_a_row_for_each_leaf() -> None:
    rows = {
        line.split("`")[1]: line for line in columns_page().splitlines() if line.startswith("| `")
    }

    for path, field in leaves():
        name = re.sub(r"\.key_value\.(key|value)$", "", path)
        name = name.replace(".list.element.", "[].").removesuffix(".list.element")
        assert f"| {about(field, 'since')} |" in rows[name]
    assert {"`account=012345678901`", "`month=01`"} <= set(re.findall(r"`\w+=\w+`", columns_page()))


def test_the_page_says_how_fields_are_delivered() -> None:
    page = columns_page()

    assert "| `resources[].ARN` | text | 1.01 | also read from `arn` |" in page
    assert "| `eventTime` | timestamp, UTC | 1.0 | when the request was completed; of " in page
    assert "| `mcpEventDetails.executionTimeMs` | integer | + | " in page
    assert "| boolean | 1.08 | call from a console session; delivered as text |" in page
    assert "| `requestParameters` | JSON text | 1.0 | what was asked for |" in page
