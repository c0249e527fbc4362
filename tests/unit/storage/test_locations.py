"""Where source, dataset and state may lie."""

from pathlib import Path

import pytest

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.storage import open_source
from cloudtrail_parquet.storage.locations import Locations

ACCOUNT = "012345678901"


@pytest.mark.parametrize(
    ("source", "root"),
    [
        (f"s3://logs/AWSLogs/{ACCOUNT}", "s3://logs/AWSLogs"),
        ("s3://logs/trail/AWSLogs/o-abc?region=eu-west-1", "s3://logs/trail/AWSLogs"),
        (f"s3://abc s3://logs/AWSLogs/{ACCOUNT}/CloudTrail/", "s3://logs/AWSLogs"),
        (f"/data/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/", "/data/AWSLogs"),
        ("file:///data/AWSLogs/o-0123456789", "/data/AWSLogs"),
    ],
)
def test_a_source_below_the_folder_of_logs_is_refused_with_that_folder(
    source: str, root: str
) -> None:
    with pytest.raises(UsageError, match="at or above AWSLogs, not below it") as caught:
        open_source(source)

    assert f"Name {root}, and the accounts" in str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["memory:///logs/AWSLogs", "memory:///AWSLogs-old/a", "memory:///a", "/AWSLogs/copies/2026"],
)
def test_a_source_at_or_above_it_is_opened(source: str) -> None:
    assert open_source(source).tops == ("",)


@pytest.mark.parametrize(
    ("source", "dataset", "state"),
    [
        ("s3://logs", "s3://logs/trail/AWSLogs/parquet?region=eu-west-1", None),
        ("s3://other s3://logs/trail/AWSLogs", "s3://logs/trail/AWSLogs/parquet", None),
        ("s3://logs/AWSLogs", "s3://logs/AWSLogs", None),
        ("s3://logs/trail", "s3://lake/parquet", "s3://logs/trail/AWSLogs/state"),
        ("/data", "/data/AWSLogs/../AWSLogs/parquet", None),
        ("/data/AWSLogs", "/lake", "file:///data/AWSLogs/state"),
    ],
)
def test_a_dataset_or_state_among_the_logs_is_refused(
    source: str, dataset: str, state: str | None
) -> None:
    with pytest.raises(UsageError, match="would lie in AWSLogs of"):
        Locations.of(source, dataset, state)


@pytest.mark.parametrize(
    ("source", "dataset"),
    [
        ("s3://logs/AWSLogs", "s3://logs/AWSLogs.parquet"),
        ("s3://logs/AWSLogs", "s3://logs/lake/AWSLogs"),
        ("s3://logs", "s3://logs/parquet"),
        ("/AWSLogs/copies", "/AWSLogs/copies/parquet"),
    ],
)
def test_a_dataset_beside_the_logs_is_not(source: str, dataset: str) -> None:
    assert Locations.of(source, dataset).dataset == dataset


def test_a_link_among_the_logs_is_followed(tmp_path: Path) -> None:
    (tmp_path / "AWSLogs").mkdir()
    (tmp_path / "lake").symlink_to(tmp_path / "AWSLogs")

    with pytest.raises(UsageError, match="would lie in AWSLogs of"):
        Locations.of(str(tmp_path), str(tmp_path / "lake" / "parquet"))
