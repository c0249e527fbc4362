"""queries/README.md is made from the comments at the heads of the queries."""

import re
from pathlib import Path

from cloudtrail_parquet.querying.library import names
from cloudtrail_parquet.querying.queries_page import queries_page

PAGE = Path(__file__).parents[3] / "queries/README.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == queries_page(), (
        "queries/README.md is stale: "
        "python -m cloudtrail_parquet.querying.queries_page > queries/README.md"
    )


def test_each_query_has_a_row_with_its_question_and_parameters() -> None:
    rows = {
        row[0]: row
        for row in re.findall(r"^\| \[(\w+)\].* \| (.+) \| (.*) \|", PAGE.read_text(), re.MULTILINE)
    }

    assert sorted(rows) == names()
