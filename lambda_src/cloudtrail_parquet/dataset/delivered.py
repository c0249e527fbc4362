"""The records of a dataset as log files, in a tree as CloudTrail delivers it.

Each record lies below its account and region, in the folder of its day, so that a conversion of the
tree gives the same rows. Stragglers lie in the folder of the day that has delivered them, and
become stragglers again. Of records that differ only in members that are null, one is left.
"""

from collections.abc import Generator, Iterable
from datetime import date
from functools import partial
from hashlib import sha256
from itertools import chain, groupby
from threading import Event

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.export import ExportedParts, PartRows
from cloudtrail_parquet.dataset.parts import footer_value
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Place, Unit, is_name, owner_day, unit_of
from cloudtrail_parquet.settings.settings import LOG_FOLDERS, OPTIONAL_LOG_FOLDERS
from cloudtrail_parquet.source.delivered_tree import FILE_BYTES, HELD_BYTES, DeliveredTree
from cloudtrail_parquet.storage import ReadStore, Store
from cloudtrail_parquet.together import ahead, at_a_time

MARK = ".cloudtrail-parquet-export"
"""An object in an unfinished tree that says what is exported there."""


class WrittenTree(msgspec.Struct):
    """What has been written.

    Attributes:
        records: Records.
        files: Log files.
        bytes: Their size as stored.
        parts: Parts that the records are from.
        part_bytes: Their size.
        folders: The folders of logs that there are.
    """

    records: int = 0
    files: int = 0
    bytes: int = 0
    parts: int = 0
    part_bytes: int = 0
    folders: set[str] = msgspec.field(default_factory=set)

    def add(self, other: "WrittenTree") -> None:
        """Add what has been written besides."""
        self.records += other.records
        self.files += other.files
        self.bytes += other.bytes
        self.parts += other.parts
        self.part_bytes += other.part_bytes
        self.folders |= other.folders


def write_tree(
    exported: ExportedParts, tree: Store, threads: int, *, force: bool = False
) -> Generator[WrittenTree, None, None]:
    """Write records as log files, ``AWSLogs/ACCOUNT/FOLDER/REGION/YYYY/MM/DD/NAME``.

    The same parts give the same names and bytes. While it is unfinished a mark lies in the tree;
    the same export goes on there, and replaces the log files that it finds.

    Args:
        exported: The parts with the records.
        tree: Receives them.
        threads: How many partitions are written at a time; more, if the store has to be waited for.
        force: Whether to write to a tree with other objects, which stay.

    Yields:
        What has been written of each partition, in order.

    Raises:
        UsageError: There are other objects in the tree.
        StorageError: A part is damaged, or a log file cannot be written.
    """
    mark = _mark_of(exported)
    if not force and tree.read_if_there(MARK) != mark and any(tree.files("")):
        hint = "Name a new one; with --force it is written there, beside what is there already"
        raise UsageError("it is not empty", tree.uri, hint)
    tree.write(MARK, mark)
    grouped = groupby(exported.entries, key=lambda entry: entry.key.rpartition("/")[0])
    partitions = [exported._replace(entries=list(entries)) for _, entries in grouped]
    number, stopped = max(threads, at_a_time(tree.parallel)), Event()
    write = partial(
        _write_partition,
        tree,
        max(HELD_BYTES // number, FILE_BYTES),
        threads if len(partitions) == 1 else 1,
        stopped,
    )
    with tree.staging():  # else a folder is made for each log file
        try:
            yield from ahead(write, partitions, number)
        finally:
            stopped.set()
    tree.delete([MARK])


def _mark_of(exported: ExportedParts) -> bytes:
    chosen = {name: sorted(values) for name, values in exported.columns.items()}
    parts = [(entry.key, entry.size, entry.version) for entry in exported.entries]
    digest = sha256(msgspec.json.encode([exported.dataset.uri, chosen, parts], order="sorted"))
    return msgspec.json.encode({"export": exported.dataset.uri, "sha256": digest.hexdigest()})


def _write_partition(
    store: Store, held_bytes: int, threads: int, stopped: Event, partition: ExportedParts
) -> WrittenTree:
    """Write the records of one partition; so many bytes of their texts are held."""
    trees: dict[str, DeliveredTree] = {}
    written = WrittenTree(
        parts=len(partition.entries), part_bytes=sum(entry.size for entry in partition.entries)
    )
    for some in partition.texts(threads):
        if stopped.is_set():
            return written
        written.records += len(some.texts)
        day = _delivery_day(some.rows.entry.key)
        texts = some.texts.cast(pa.binary()).to_pylist()
        for place, folder, text in zip(
            _places(partition.dataset, some.rows), _folders(some.rows), texts, strict=True
        ):
            if folder not in trees:
                trees[folder] = DeliveredTree(store.write, folder, held_bytes=held_bytes)
            trees[folder].add(place, day, text)
    for tree in trees.values():
        tree.finish()
        written.files += tree.files
        written.bytes += tree.bytes
    written.folders |= trees.keys()
    return written


def _delivery_day(key: str) -> date:
    """The day in whose folder the records of a part lie: their own, or that of a straggler part."""
    unit = _unit_of(key)
    return owner_day(key, unit.day) or unit.day


def _unit_of(key: str) -> Unit:
    unit = unit_of(key)
    assert unit is not None  # noqa: S101 - only parts are exported
    return unit


def _places(dataset: ReadStore, rows: PartRows) -> Iterable[Place]:
    """The account and region of each row, from folders or columns.

    Raises:
        StorageError: One of them cannot be the name of a folder.
    """
    key, size = rows.entry.key, len(rows.batch)
    folders = zip(Place._fields, _unit_of(key).span, strict=True)
    values = [
        [value] * size if value else rows.batch.column(name).to_pylist() for name, value in folders
    ]
    names = set(chain.from_iterable(values))
    if bad := [name for name in names if not (isinstance(name, str) and is_name(name))]:
        what = f"an account or a region that cannot be a folder ({bad[0]!r})"
        raise StorageError(what, f"{dataset.uri}/{key}", "Export it as lines")
    return map(Place, *values)


def _folders(rows: PartRows) -> Iterable[str]:
    """The folder of logs of each row.

    That of its category, such as ``CloudTrail-Insight``, if the part was made with such folders:
    else the record has come from the usual one, and a conversion looks for it there.
    """
    made_with = _Folders.of(rows.footer)
    categories = rows.batch.column("eventCategory").to_pylist()
    names = {category: f"{LOG_FOLDERS[0]}-{category}" for category in set(categories)}
    folders = {
        category: name if name in made_with else LOG_FOLDERS[0] for category, name in names.items()
    }
    return map(folders.__getitem__, categories)


class _Folders(msgspec.Struct):
    """The folders of logs in the settings in a footer."""

    folders: frozenset[str] = frozenset(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS)

    @classmethod
    def of(cls, footer: pq.FileMetaData) -> frozenset[str]:
        """Those that a part was made with; all of them if it does not say."""
        try:
            return msgspec.json.decode(footer_value(footer, "settings"), type=cls).folders
        except msgspec.DecodeError:
            return cls().folders
