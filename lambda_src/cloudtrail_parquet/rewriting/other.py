"""The dataset that is made of another one: whether it may be, and when all of it is there."""

from msgspec import UNSET
from msgspec.structs import replace

from cloudtrail_parquet.dataset.properties import (
    DatasetProperties,
    properties_of_parts,
    recorded_properties,
    replace_properties,
)
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores
from cloudtrail_parquet.storage.locations import check_kinds


def properties_of(stores: Stores) -> DatasetProperties:
    """The properties of a dataset that is read.

    Raises:
        UsageError: It is not one, or not all of it is there.
    """
    found = recorded_properties(stores.state)
    if found is not None and found.rewriting is not UNSET:
        what = f"it is being made of {found.rewriting}, and not all of it is there"
        raise UsageError(what, stores.dataset.uri, "Run that rewrite again until it has finished")
    found = found or properties_of_parts(stores.dataset)
    if found is None:
        hint = "Name the folder that convert has written; --state names its state"
        raise UsageError("holds no parts of a dataset", stores.dataset.uri, hint)
    return found


def check_window(found: DatasetProperties, settings: Settings) -> None:
    """Make sure that a unit has the same records in both datasets.

    Raises:
        UsageError: The windows differ, or fewer folders of logs are to be read than were.
    """
    wanted = DatasetProperties.of(DatasetOptions.of(settings))
    if not found.admits(replace(wanted, partition_layout=found.partition_layout)):
        raise UsageError(
            f"the dataset was made with {found}; now it is {wanted}",
            "settings",
            "Use the same window and folders: only the log files tell what another unit would own",
        )


def check_layout(found: DatasetProperties, settings: Settings) -> None:
    """Make sure that parts have their places in both layouts.

    Raises:
        UsageError: The dataset has another one.
    """
    layout, wanted = found.partition_layout, settings.partition_layout
    if layout != wanted:
        raise UsageError(
            f"its layout is {layout}, which cannot become {wanted} in place",
            "partition_layout",
            f"Rewrite it into another dataset; or set it to {layout}",
        )


def open_other(
    source: Stores, target: Stores, found: DatasetProperties, settings: Settings
) -> bool:
    """Note that a dataset is being made of another one, unless that is finished.

    Until it is, no conversion writes to it: it would not see the records that are still to come.

    Returns:
        Whether units may be added to it.

    Raises:
        UsageError: It holds something else, or is made in another layout.
    """
    layout, uri = settings.partition_layout, source.dataset.uri
    wanted = replace(found, partition_layout=layout, rewriting=uri)
    there = recorded_properties(target.state)
    if there is None:
        check_kinds(target.dataset, target.state)
        has_parts = next(target.dataset.files(""), None) is not None
        if has_parts or next(target.state.files("receipts/"), None) is not None:
            hint = "Name a new location: a dataset is made of another one as a whole"
            raise UsageError("it holds something already", target.dataset.uri, hint)
        lease = LeaseOptions.of(settings)
        with target.state.lease("leases/dataset", lease.wait_s, lease.expires_s) as held:
            replace_properties(target.state, wanted, held)
        return True
    if replace(there, rewriting=uri) != wanted:
        raise UsageError(
            f"it was made with {there}; now it is {wanted}",
            target.dataset.uri,
            "Use the same values, or name a new location",
        )
    if there.rewriting is UNSET:
        return False
    if there.rewriting != uri:
        what = f"it is being made of another dataset, {there.rewriting}"
        raise UsageError(what, target.dataset.uri, "Name a new location")
    return True


def close_other(target: Stores, settings: Settings) -> None:
    """Note that all of a dataset is there, so that conversions may go on with it."""
    there, lease = recorded_properties(target.state), LeaseOptions.of(settings)
    if there is None or there.rewriting is UNSET:
        return
    with target.state.lease("leases/dataset", lease.wait_s, lease.expires_s) as held:
        replace_properties(target.state, replace(there, rewriting=UNSET), held)
