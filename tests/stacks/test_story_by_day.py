"""The story of a dataset with a folder for each day: accounts and regions are columns."""

from pathlib import Path

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.builders import ago
from tests.bundle.packages import NATIVE, Package, package
from tests.function.runtime import Code
from tests.function.test_package import code
from tests.stacks.athena import Table
from tests.stacks.test_story import Story, applied, assert_all_ok, delivered, found

__all__ = ["code", "package"]

pytestmark = pytest.mark.slow


def test_all_accounts_of_a_day_become_one_part_by_what_was_applied(
    provider: Path, synthesised: Path, package: Package, code: Code, tmp_path: Path
) -> None:
    tree, zipped, days = tmp_path / "logs", package(NATIVE), 2
    spec = TreeSpec(accounts=4, regions=4, days=days, records=2000, first_day=ago(4))
    generate_tree(tree, spec)
    with applied(synthesised / "story-dt", provider, zipped, tmp_path / "stack") as stack:
        story = Story(*stack, code, tmp_path / "tmp")
        with story.box:
            story.upload(tree)
            answer = story.start("daily")
            carried = story.carry_events(story.invoke)
        table = Table(story.state["aws_glue_catalog_table.catalogue"])
        copies = story.download(table.location, tmp_path / "lake")
        rows = found(table, copies)

    assert answer.ok, answer
    assert_all_ok(carried)
    assert set(table.partitions) == {"dt"}
    assert len(copies) == days
    assert rows == delivered(table, tree)
