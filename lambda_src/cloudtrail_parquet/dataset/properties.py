"""The properties of a dataset: the settings that are the same for all of it.

They decide which unit owns a record. The first run of a dataset records them in the state, and
every later one compares.
"""

from collections.abc import Collection

import msgspec
from msgspec import UNSET, UnsetType

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.dataset.parts import footer_value, read_footer
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import unit_of
from cloudtrail_parquet.settings.options import DatasetOptions, LeaseOptions
from cloudtrail_parquet.storage import Lease, ReadStore, Store, Stores
from cloudtrail_parquet.storage.locations import check_kinds

_KEY = "dataset.json"


class DatasetProperties(msgspec.Struct, frozen=True):
    """What decides which unit owns a record, and in which folder; named as the settings are.

    Attributes:
        rewriting: The dataset of whose parts this one is being made, until all of it is there.
    """

    lookbehind_s: int
    lookahead_s: int
    folders: frozenset[str]
    partition_layout: PartitionLayout = DEFAULT_LAYOUT
    rewriting: str | UnsetType = UNSET

    @classmethod
    def of(cls, options: DatasetOptions) -> "DatasetProperties":
        """The properties of a dataset that is made with these options."""
        window = options.window
        folders = frozenset(options.folders)
        return cls(window.lookbehind_s, window.lookahead_s, folders, options.layout)

    def admits(self, later: "DatasetProperties") -> bool:
        """Whether days converted with ``later`` may join those before; it may only add folders."""
        return self.folders <= later.folders and self == msgspec.structs.replace(
            later, folders=self.folders
        )

    def __str__(self) -> str:
        window = f"lookbehind_s = {self.lookbehind_s}, lookahead_s = {self.lookahead_s}"
        folders = ", ".join(sorted(self.folders))
        return f"{window}, partition_layout = {self.partition_layout}, folders = {folders}"


def record_properties(stores: Stores, options: DatasetOptions, lease: LeaseOptions) -> None:
    """Record the properties of a new dataset, or compare them with those that are recorded.

    More folders of logs than before are fine: days converted from now on hold them, too.

    Raises:
        UsageError: The dataset was made with other values: records would be lost or doubled.
    """
    wanted, state = DatasetProperties.of(options), stores.state
    if check_properties(stores, options) == wanted:
        return
    with state.lease("leases/dataset", lease.wait_s, lease.expires_s) as held:
        if check_properties(stores, options) != wanted:
            replace_properties(state, wanted, held)


def replace_properties(state: Store, properties: DatasetProperties, held: Lease) -> None:
    """Record the properties of a dataset, whatever was recorded before."""
    stored = state.look(_KEY)
    held.check()
    text = msgspec.json.encode(properties, order="sorted")
    state.swap(_KEY, text, stored.version if stored else None)


def check_properties(stores: Stores, options: DatasetOptions) -> DatasetProperties | None:
    """Compare with the properties of a dataset, without writing anything.

    If they are not recorded, those in the footer of the first part count.

    Returns:
        The recorded properties, if there are any.

    Raises:
        UsageError: As `record_properties` does; or the dataset is new, and something else is there.
    """
    wanted, recorded = DatasetProperties.of(options), recorded_properties(stores.state)
    if recorded is None:
        check_kinds(stores.dataset, stores.state)
    elif recorded.rewriting is not UNSET:
        what = f"it is being made of {recorded.rewriting}, and not all of it is there"
        raise UsageError(what, stores.dataset.uri, "Run that rewrite again until it has finished")
    existing = recorded or properties_of_parts(stores.dataset)
    if existing is not None and not existing.admits(wanted):
        raise UsageError(
            f"the dataset was made with {existing}; now it is {wanted}",
            stores.state.uri,
            "Use the same values, or convert everything into a new dataset",
        )
    return recorded


def recorded_properties(state: ReadStore) -> DatasetProperties | None:
    """The properties that the state of a dataset tells; None if it tells none.

    Raises:
        UsageError: They are damaged.
    """
    text, where = state.read_if_there(_KEY), state.uri
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=DatasetProperties)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, hint = f"{_KEY} is damaged ({error})", "Put it back or remove it"
        raise UsageError(what, where, hint) from error


def properties_of_parts(dataset: ReadStore) -> DatasetProperties | None:
    """The properties that the first part of a dataset was made with; None without one."""
    part = next((entry for entry in dataset.files("") if unit_of(entry.key) is not None), None)
    if part is None:
        return None
    text = footer_value(read_footer(dataset, part.key), "settings")
    try:
        return msgspec.json.decode(text, type=DatasetProperties)
    except msgspec.DecodeError:
        return None  # a part of somebody else's


def known_properties(stores: Stores) -> DatasetProperties | None:
    """The properties of a dataset, as recorded, or else as its first part says; None if it is new.

    Raises:
        UsageError: They are damaged.
    """
    return recorded_properties(stores.state) or properties_of_parts(stores.dataset)


def layout_of(stores: Stores) -> PartitionLayout:
    """The layout of a dataset with parts, whether or not what is recorded can be read."""
    try:
        known = known_properties(stores)
    except UsageError:
        known = properties_of_parts(stores.dataset)
    return known.partition_layout if known else DEFAULT_LAYOUT


def record_again(stores: Stores, found: Collection[DatasetProperties], lease: LeaseOptions) -> bool:
    """Record the properties of a dataset whose record was lost, by those of its parts.

    Args:
        stores: Source, dataset and state.
        found: What some parts say; those that were made with more folders of logs say more.
        lease: How the lease is held.

    Returns:
        Whether that was necessary, and the parts agree.
    """
    state, agreed = stores.state, max(found, key=lambda each: len(each.folders), default=None)
    agreed = agreed or properties_of_parts(stores.dataset)
    if agreed is None or not all(each.admits(agreed) for each in found):
        return False
    with state.lease("leases/dataset", lease.wait_s, lease.expires_s) as held:
        stored = state.look(_KEY)
        try:
            if recorded_properties(state) is not None:
                return False
        except UsageError:
            pass  # it is damaged
        held.check()
        text = msgspec.json.encode(agreed, order="sorted")
        state.swap(_KEY, text, stored.version if stored else None)
    return True
