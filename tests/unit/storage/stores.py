import threading
from collections.abc import Callable
from pathlib import Path

from cloudtrail_parquet.storage import (
    ReadStore,
)

PART = "account=1/region=a/year=2026/month=01/day=10/part-00000.parquet"


def keys(store: ReadStore, prefix: str = "") -> list[str]:
    return [entry.key for entry in store.files(prefix)]


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def in_threads(*tasks: Callable[[], None]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
