"""Hypothesis profiles: ``dev`` is quick; ``ci`` looks harder and finds the same every time.

And the order of the files, each of which is run by one process; and where no proxy is asked.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

_BUSY = [HealthCheck.too_slow]  # a busy machine is no defect

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=_BUSY)
settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, suppress_health_check=_BUSY
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_FIRST = (
    *("test_story.py", "test_terraform.py", "test_function.py", "test_end_to_end.py"),
    "test_backfill_story.py",
    # A process gets another file while it waits for one of the first two.
    *("test_memory.py", "test_lookup.py", "test_package.py", "test_simulation.py"),
    *("test_zombies.py", "test_killed.py", "test_generated_tree.py", "test_shards.py"),
    *("test_leases.py", "test_statements.py", "test_folder.py", "test_command_line.py"),
)
"""What takes longest is begun first, so that nothing long is left at the end."""

for _name in ("NO_PROXY", "no_proxy"):  # the servers of the tests are on this machine
    os.environ[_name] = ",".join(filter(None, [os.environ.get(_name), "127.0.0.1", "localhost"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(_FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are processors: some tests wait, for queues and for leases."""
    return (os.cpu_count() or 1) + 2
