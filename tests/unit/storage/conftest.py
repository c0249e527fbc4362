from pathlib import Path

import pytest

from cloudtrail_parquet.storage import (
    Store,
    open_store,
)


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(tmp_path / "store" if request.param == "disk" else "memory:///")
