"""Trees of files: log files put where CloudTrail would, and what stands below a folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.builders import ACCOUNT, log_file, log_key, record

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def deliver(  # noqa: PLR0913  one argument a part of the key
    tree: Path,
    *records: object,
    account: str = ACCOUNT,
    region: str = "eu-central-1",
    delivered: datetime = NOON,
    organization: str | None = None,
    unique: str = "AbCdEfGhIjKlMnOp",
    folder: str = "CloudTrail",
) -> Path:
    key = log_key(
        account, region, delivered, organization=organization, unique=unique, folder=folder
    )
    path = tree / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(log_file(*records))
    return path


def event(name: str, when: datetime = NOON, **changes: object) -> dict[str, Any]:
    return record(
        eventID=name, eventTime=f"{when - timedelta(minutes=2):%Y-%m-%dT%H:%M:%SZ}", **changes
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
