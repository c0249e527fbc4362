"""What ``make help`` prints is complete and aligned."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


def lines_of_help(folder: Path) -> list[str]:
    """What is printed; make within make also names its folder, unless it is told not to."""
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


def test_make_help_lists_every_target_in_two_columns() -> None:
    rows = [re.fullmatch(r"(  make ([a-z0-9-]+) {2,})(\S.*)", line) for line in lines_of_help(ROOT)]
    names = [row[2] for row in rows if row]
    assert len(names) == len(rows)
    assert names == re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert len({len(row[1]) for row in rows if row}) == 1
    assert max(len(row[0]) for row in rows if row) <= 100


def test_a_longer_name_widens_the_column(tmp_path: Path) -> None:
    longer = "\n.PHONY: a-much-longer-name\na-much-longer-name: ## says what it does\n"
    (tmp_path / "Makefile").write_text(MAKEFILE + longer)

    lines = lines_of_help(tmp_path)
    columns = {len(re.split(r"(?<=\S) {2,}", line)[0]) for line in lines}
    assert max(columns) == len("  make a-much-longer-name")
    starts = {re.search(r"\S {2,}\S", line).end() for line in lines}  # type: ignore[union-attr]
    assert len(starts) == 1


def test_make_help_names_variables_that_there_are() -> None:
    about = re.findall(r"^[a-z0-9-]+:.*## (.+)$", MAKEFILE, re.MULTILINE)
    named = {name for text in about for name in re.findall(r"\b([A-Z_]+)=", text)}

    assert named - {"ENV"} <= set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE))
    assert "$(ENV)" in MAKEFILE
