"""The settings that are the same for all of a dataset, as they decide who owns a record.

They are noted below the state prefix when a dataset is begun, and compared ever after.
"""

import msgspec

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.dataset.parts import read_footer, said
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import unit_of
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import ReadStore, Stores

_DATASET_NOTE = "dataset.json"


class DatasetProperties(msgspec.Struct, frozen=True):
    """What decides which unit owns a record, and where; so it is the same for all of a dataset.

    The names are those of the settings.
    """

    lookbehind_s: int
    lookahead_s: int
    folders: frozenset[str]
    partition_layout: PartitionLayout = DEFAULT_LAYOUT

    @classmethod
    def of(cls, settings: Settings) -> "DatasetProperties":
        """What settings say about it."""
        return cls(
            settings.lookbehind_s,
            settings.lookahead_s,
            frozenset(settings.folders),
            settings.partition_layout,
        )

    def admits(self, later: "DatasetProperties") -> bool:
        """Whether days converted so may stand beside those converted before; more folders may."""
        return self.folders <= later.folders and self == msgspec.structs.replace(
            later, folders=self.folders
        )

    def __str__(self) -> str:
        window = f"lookbehind_s = {self.lookbehind_s}, lookahead_s = {self.lookahead_s}"
        folders = ", ".join(sorted(self.folders))
        return f"{window}, partition_layout = {self.partition_layout}, folders = {folders}"


def record_properties(stores: Stores, settings: Settings) -> None:
    """Note what decides ownership in a new dataset, or compare it with what was noted.

    More folders of logs than before are fine: days converted from now on hold them, too.

    Raises:
        UsageError: The dataset was made with other values: records would be lost or doubled.
    """
    if is_noted(stores, settings):
        return
    state = stores.state
    with state.lease("leases/dataset", settings.lease_wait_s, settings.lease_s) as lease:
        if not is_noted(stores, settings):
            text = msgspec.json.encode(DatasetProperties.of(settings), order="sorted")
            there = state.look(_DATASET_NOTE)
            lease.check()
            state.swap(_DATASET_NOTE, text, there.version if there else None)


def is_noted(stores: Stores, settings: Settings) -> bool:
    """Whether the dataset is known to be made with these settings; writes nothing.

    Where the note is lost, the first part that is there tells with what it was made.

    Raises:
        UsageError: As `record_properties` does.
    """
    mine, noted = DatasetProperties.of(settings), stores.state.read_if_there(_DATASET_NOTE)
    theirs = _of_parts(stores.dataset) if noted is None else _of_note(noted, stores.state.uri)
    if theirs is None:
        return False
    if not theirs.admits(mine):
        raise UsageError(
            f"the dataset was made with {theirs}; now it is {mine}",
            stores.state.uri,
            "Use the same values, or convert everything into a new dataset",
        )
    return noted is not None and theirs == mine


def _of_note(noted: bytes, where: str) -> DatasetProperties:
    try:
        return msgspec.json.decode(noted, type=DatasetProperties)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, hint = f"{_DATASET_NOTE} is damaged ({error})", "Put it back or remove it"
        raise UsageError(what, where, hint) from error


def _of_parts(dataset: ReadStore) -> DatasetProperties | None:
    """What the first part of a dataset was made with; None where there is none."""
    part = next((one for one in dataset.files("") if unit_of(one.key) is not None), None)
    if part is None:
        return None
    text = said(read_footer(dataset, part.key), "settings")
    try:
        return msgspec.json.decode(text, type=DatasetProperties)
    except msgspec.DecodeError:
        return None  # a part of somebody else's
