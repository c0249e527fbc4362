"""Tables that docs/deploy.md prints are legal in an environment, and do what it says."""

import re
import tomllib
from pathlib import Path

from tests.stacks.environment.files import read, table

PAGE = (Path(__file__).parents[3] / "docs/deploy.md").read_text()


def test_the_tables_of_the_page_are_those_of_a_dataset_that_is_made_here() -> None:
    blocks = re.findall(r"^```toml\n([^`]*)^```", PAGE, re.MULTILINE)
    printed = [tomllib.loads(one) for one in blocks]
    for one in printed:
        for name, value in one["dataset"].items():
            (environment,) = read(table(dataset__create=True, **{f"dataset__{name}": value}))
            found = getattr(environment.dataset, name)
            assert found == value or list(found) == value or dict(found) == value

    assert [list(one["dataset"]) for one in printed] == [["readers"], ["tiers", "expire_days"]]
