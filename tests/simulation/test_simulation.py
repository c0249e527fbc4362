"""Some seeds of the simulation; `make simulate` plays many."""

import pytest

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
