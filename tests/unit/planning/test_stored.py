from typing import Any

import pytest

from cloudtrail_parquet.errors import RefusedError
from cloudtrail_parquet.planning.stored import look_at, stored_lines
from cloudtrail_parquet.source.grain import SAMPLE_FOLDERS, Folder, Sample
from cloudtrail_parquet.storage import Details


class Bucket:
    """A store that knows how its objects are stored."""

    parallel = 16

    def __init__(self, details: dict[str, Details]) -> None:
        self._details = details

    def details(self, key: str) -> Details | None:
        if key not in self._details:
            raise RefusedError("cannot be looked at", key, "Allow it")
        return self._details[key]


def sampled(*folders: Folder) -> Sample:
    sample = Sample()
    for folder in folders:
        sample.add(folder)
    return sample


ARCHIVED = Details("GLACIER", is_archived=True)
FOLDERS = Folder("old", 30, 3_000), Folder("new", 10, 2_000)


def test_what_is_archived_is_told_of_with_what_restoring_it_takes() -> None:
    bucket: Any = Bucket({"old": ARCHIVED, "new": Details()})

    stored = look_at(bucket, sampled(*FOLDERS), 4_000_000, 500_000_000_000)

    assert stored is not None
    (line,) = stored_lines(stored)
    assert line == (
        "archived: about 3,000,000 log files (300 GB) are in GLACIER: restore them first, "
        "3 to 5 hours and 153.00 dollars"
    )


def test_a_single_log_file_is_told_of_as_one() -> None:
    bucket: Any = Bucket({"old": ARCHIVED})

    stored = look_at(bucket, sampled(Folder("old", 1, 512)), 1, 512)

    assert stored is not None
    (line,) = stored_lines(stored)
    assert line.startswith("archived: about 1 log file (512 bytes) is in GLACIER: restore it first")


def test_requests_to_kms_are_counted_for_log_files_without_a_bucket_key() -> None:
    bucket: Any = Bucket({"old": Details(needs_kms=True), "new": Details()})

    stored = look_at(bucket, sampled(*FOLDERS), 40_000, 5_000)

    assert stored is not None
    assert (stored.looked_at, stored.kms_requests, stored.kms_dollars) == (2, 30_000, 0.09)
    (line,) = stored_lines(stored)
    assert line == (
        "KMS: about 30,000 log files are encrypted without a bucket key: as many requests, "
        "0.09 dollars; with one, next to none"
    )


def test_a_class_that_can_be_read_at_once_only_costs_more() -> None:
    bucket: Any = Bucket({"old": Details("GLACIER_IR"), "new": Details("INTELLIGENT_TIERING")})

    stored = look_at(bucket, sampled(*FOLDERS), 4_000, 5_000_000_000)

    assert stored is not None
    (line,) = stored_lines(stored)
    assert line.startswith("storage class: about 3,000 log files (3 GB) are in GLACIER_IR: reading")


def test_what_was_restored_is_like_any_other_log_file() -> None:
    bucket: Any = Bucket({"old": Details("GLACIER"), "new": Details()})

    stored = look_at(bucket, sampled(*FOLDERS), 4_000, 5_000)

    assert stored is not None
    assert stored.classes == []


@pytest.mark.parametrize("sample", [sampled(*FOLDERS), sampled()])
def test_nothing_is_told_where_nothing_is_known(sample: Sample) -> None:
    bucket: Any = Bucket({})

    assert look_at(bucket, sample, 4_000, 5_000) is None


@pytest.mark.parametrize("number", [3, 3 * SAMPLE_FOLDERS])
def test_a_sample_is_the_same_in_whatever_portions_it_is_drawn(number: int) -> None:
    folders = [Folder(f"day {day}", 1, 1) for day in range(number)]
    first, second = sampled(*folders[: number // 3]), sampled(*reversed(folders[number // 3 :]))
    first.merge(second)

    assert sorted(first) == sorted(sampled(*folders))
    assert len(list(first)) == min(number, SAMPLE_FOLDERS)
    assert sorted(first) != sorted(folders)[:SAMPLE_FOLDERS] or number == 3
