"""What `tests.unit.storage` asks of every store, asked of a bucket."""

import pytest

from cloudtrail_parquet.storage import Store, open_store
from tests.s3.faults import FaultProxy, only_below
from tests.unit.storage.test_disk import test_nothing_is_left_beside_the_store_after_publishing
from tests.unit.storage.test_interface import (
    test_a_part_is_published_only_over_what_was_seen,
    test_a_version_of_an_object_is_replaced_and_removed_but_no_other,
    test_an_object_says_when_it_was_written,
    test_an_object_that_is_not_there,
    test_an_open_object_can_seek,
    test_deleting_leaves_the_others,
    test_folders_are_those_directly_below_and_no_objects,
    test_opening_an_object_that_is_not_there_is_a_storage_error,
    test_parts_are_there_once_they_are_published_and_not_before,
    test_parts_not_closed_are_published_whole,
    test_parts_that_are_not_published_leave_nothing,
    test_what_is_written_is_read_again,
    test_writing_again_replaces,
)
from tests.unit.storage.test_leases import (
    test_a_lease_is_given_back_when_its_work_fails,
    test_a_lease_keeps_a_second_holder_out,
    test_a_lease_leaves_no_object_behind,
    test_a_second_holder_waits_for_the_first,
    test_of_many_threads_one_at_a_time_holds_a_lease,
)

__all__ = [
    "test_a_lease_is_given_back_when_its_work_fails",
    "test_a_lease_keeps_a_second_holder_out",
    "test_a_lease_leaves_no_object_behind",
    "test_a_part_is_published_only_over_what_was_seen",
    "test_a_second_holder_waits_for_the_first",
    "test_a_version_of_an_object_is_replaced_and_removed_but_no_other",
    "test_an_object_says_when_it_was_written",
    "test_an_object_that_is_not_there",
    "test_an_open_object_can_seek",
    "test_deleting_leaves_the_others",
    "test_folders_are_those_directly_below_and_no_objects",
    "test_nothing_is_left_beside_the_store_after_publishing",
    "test_of_many_threads_one_at_a_time_holds_a_lease",
    "test_opening_an_object_that_is_not_there_is_a_storage_error",
    "test_parts_are_there_once_they_are_published_and_not_before",
    "test_parts_not_closed_are_published_whole",
    "test_parts_that_are_not_published_leave_nothing",
    "test_what_is_written_is_read_again",
    "test_writing_again_replaces",
]


@pytest.fixture(params=["all", "below a prefix", "below a prefix that alone may be listed"])
def store(request: pytest.FixtureRequest, bucket: str, proxy: FaultProxy) -> Store:
    prefix = "" if request.param == "all" else "/prefix of it/é"
    if "alone" in request.param:
        proxy.add(*only_below(f"/{bucket}{prefix}/"))
    return open_store(f"s3://{bucket}{prefix}")
