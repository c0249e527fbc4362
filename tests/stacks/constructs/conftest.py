"""The cases of these tests, and one of another partition."""

import pytest

from tests.stacks.conftest import CASES


@pytest.fixture(params=(*CASES, "china"))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)
