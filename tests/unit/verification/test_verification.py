"""The room shares no code with those that write what it verifies."""

import subprocess
import sys
from pathlib import Path

from tests.test_rooms import PACKAGE, SOURCES, imported, room

HERE = SOURCES / PACKAGE / "verification"
SHARED = {
    *("contract", "errors", "formats", "layout", "schema", "state", "storage", "verification"),
    *("envelopes", "wording", "printable"),
}
WRITERS = ("records", "conversion", "dataset", "batch", "intake", "source", "planning")


def test_it_imports_nothing_that_writes() -> None:
    used = {one for path in HERE.glob("*.py") for one in imported(path)}

    assert {room(one)[1] for one in used} <= SHARED
    assert not [one for one in used if one.endswith(("_encode", "strict_json"))]


def test_receipts_are_data_and_nothing_else_of_the_state_is_called() -> None:
    used = {one for path in HERE.glob("*.py") for one in imported(path)}

    of_state = {one.rpartition(".")[2] for one in used if room(one)[1] == "state"}
    assert of_state == {"figures", "identities", "keys", "notes", "receipt"}


def test_no_module_of_a_writer_is_loaded_with_it() -> None:
    """But `source.unplaced`, which declares a struct of receipts, and what that needs."""
    code = f"import sys, {PACKAGE}.verification.verify; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SOURCES), "PATH": ""},
        cwd=Path(SOURCES),
    )

    loaded = {
        name.removeprefix(f"{PACKAGE}.")
        for name in done.stdout.split()
        if name.startswith(tuple(f"{PACKAGE}.{one}." for one in WRITERS))
    }
    assert loaded <= {"source.unplaced"}
