"""Tables that docs/deploy.md prints are legal in an environment, and do what it says."""

import re
import tomllib
from pathlib import Path

from tests.stacks.environment.files import read, table

PAGE = (Path(__file__).parents[3] / "docs/deploy.md").read_text()


def test_the_tables_of_the_page_are_legal_and_say_what_is_read() -> None:
    blocks = re.findall(r"^```toml\n([^`]*)^```", PAGE, re.MULTILINE)
    printed = [
        (section, name, value)
        for block in blocks
        for section, fields in tomllib.loads(block).items()
        for name, value in fields.items()
    ]
    for section, name, value in printed:
        raw = table(dataset__create=True, **{f"{section}__{name}": value})
        (environment,) = read(raw)
        found = getattr(getattr(environment, section), name)
        assert found == value or list(found) == value or dict(found) == value

    assert [name for _, name, _ in printed] == ["readers", "tiers", "expire_days", "expire_after"]
