"""What is synthesised today; a change of it is looked at before it is kept.

After a change that is meant:

    RENEW_SNAPSHOTS=1 .venv/bin/python -m pytest tests/stacks/test_snapshots.py && git diff
"""

import difflib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.conftest import CASES

SNAPSHOTS = Path(__file__).parent / "snapshots"
RENEW = "RENEW_SNAPSHOTS"


def readable(value: Any) -> Any:  # noqa: ANN401 - a part of a stack
    """A stack without what the toolkit notes about it, and with JSON text as what it says."""
    if isinstance(value, list):
        return [readable(one) for one in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for name, one in value.items():
        if isinstance(one, str) and one.startswith(("{", "[")):
            shown[f"{name} (JSON)"] = json.loads(one)
        elif name != "//":
            shown[name] = readable(one)
    return shown


def test_what_is_synthesised_has_not_changed(stack: dict[str, Any], case: str) -> None:
    snapshot = SNAPSHOTS / f"{case}.tf.json"
    now = json.dumps(readable(stack), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get(RENEW):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(now)

    before = snapshot.read_text() if snapshot.exists() else ""

    changes = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "before", "now", "", "", 2
    )
    if text := "\n".join(changes):
        pytest.fail(
            f"{text}\n\nIf that is meant: {RENEW}=1 .venv/bin/python -m pytest {__file__}",
            pytrace=False,
        )


def test_there_is_a_snapshot_of_each_case_and_no_other() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == {f"{case}.tf.json" for case in CASES}
