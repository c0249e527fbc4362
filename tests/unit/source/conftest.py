from pathlib import Path

import pytest

from cloudtrail_parquet.storage import (
    Store,
    open_store,
)
from tests.unit.source.trees import Tree


@pytest.fixture(params=["disk", "memory"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """Makes a store with objects of one byte at these keys."""

    def make(*keys: str, data: bytes = b"x") -> Store:
        store = open_store(tmp_path / "source" if request.param == "disk" else "memory:///")
        for key in keys:
            store.write(key, data)
        return store

    return make
