"""Some seeds of the simulation; `make simulate` plays many."""

import sys
from types import ModuleType

import pytest

from tests.simulation import program
from tests.simulation.play import play
from tests.simulation.report import lines

_SEEDS, _AT_A_TIME = 120, 20


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, _SEEDS + 1, _AT_A_TIME))
def test_whatever_happens_each_record_stands_once_and_receipts_are_true(first: int) -> None:
    failing = [one for one in play(range(first, first + _AT_A_TIME)) if one.findings]

    assert not failing, "\n".join(lines(failing[0], whole=False))


def test_a_seed_is_the_same_story_every_time() -> None:
    (once,), (again,) = play([8]), play([8])

    assert once.trace == again.trace


def test_modules_that_a_run_imports_are_of_the_version_of_each_run_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = ModuleType("cloudtrail_parquet.late")
    try:
        program.install(program.installed() + 1)
        late.SCHEMA_VERSION = program.installed()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, late.__name__, late)
        program.install(program.installed() + 1)

        assert program.installed() == late.SCHEMA_VERSION
    finally:
        program.install(None)

    assert program.installed() == late.SCHEMA_VERSION
