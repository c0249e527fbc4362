"""The dashboard's graphs are on the operations page."""

import json

from tests.stacks.conftest import ROOT
from tests.stacks.reading import StackOf

DOCS = ROOT / "docs"


def test_the_page_of_operations_names_each_graph(other: StackOf) -> None:
    stack = other("everything")
    (dashboard,) = stack["resource"]["aws_cloudwatch_dashboard"].values()
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]
    page = (DOCS / "operations.md").read_text().replace("\n", " ").lower()

    titles = [one["properties"]["title"].lower() for one in widgets]

    assert [title for title in titles if title not in page] == []
