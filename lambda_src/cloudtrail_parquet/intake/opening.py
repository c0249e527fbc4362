"""Sources as people have them, opened: delivered trees, parts of these, and any other files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.intake.arranging import Arranging
from cloudtrail_parquet.intake.left_out import Leftovers
from cloudtrail_parquet.intake.origin import Origin, Source
from cloudtrail_parquet.layout import ACCOUNT, Place
from cloudtrail_parquet.settings.settings import LOG_FOLDERS, OPTIONAL_LOG_FOLDERS, Settings
from cloudtrail_parquet.source.discover import (
    Discovery,
    NoLogsError,
    TooManyFoldersError,
    discover,
)
from cloudtrail_parquet.storage import ReadStore, check_source, check_there, local_path, top_of
from cloudtrail_parquet.storage.locations import check_is_source
from cloudtrail_parquet.storage.scratch import scratch_folder

_LOGS = frozenset(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS)


@dataclass(slots=True)
class Intake:
    """A source that is open.

    Attributes:
        source: Opens it in other processes.
        store: The same, opened.
        discovery: What was discovered in it.
        left: What of it belongs nowhere.
        files: How many of its files were sorted out by their content.
        records: How many records these hold.
        bytes: The size of these files, as stored.
        copied_bytes: The size of the log files that were made of them.
    """

    source: Source
    store: ReadStore
    discovery: Discovery
    left: Leftovers = field(default_factory=Leftovers)
    files: int = 0
    records: int = 0
    bytes: int = 0
    copied_bytes: int = 0


@contextmanager
def taken_in(
    location: str,
    settings: Settings,
    known: Place,
    tell: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[Intake]:
    """Open a source, wherever its logs lie; what has to be arranged is there while in the context.

    A delivered tree, and a folder of one, is read as it lies. Any other location is listed once:
    files go where their paths or names say, and records of other files where they say themselves.

    Args:
        location: One location, or several with white space between them.
        settings: The folders that are read, and how much a file may inflate to.
        known: The account and the region of records that name none; "" if nobody knows.
        tell: Is told of each file that is sorted out by its content, its bytes and that it is one.

    Raises:
        UsageError: There are no logs, nor records; says what there is.
        RefusedError: No account may be listed.
        StorageError: The scratch folder is full, for example.
    """
    locations = check_source(location)
    if len(locations) == 1:  # others may be waiting for their first logs
        _check_no_pipe(location)
        check_there(location, "source")
    origins = tuple(map(Origin.of, locations))
    source = Source(origins)
    store = source.open()
    bare, discovery = _without_trees(store, settings)
    if discovery and not bare:
        yield Intake(source, store, discovery)
        return
    check_is_source(store, bare)
    with scratch_folder() as scratch:
        arranging = Arranging(scratch, settings, known, tell=tell)
        is_bare = [bool({"", top_of(origin.uri)} & bare) for origin in origins]
        source = Source(tuple(map(arranging.arranged, origins, is_bare)))
        store = source.open()
        try:
            discovery = discover(store, settings.folders)
        except NoLogsError as error:
            raise arranging.no_logs(store.uri) from error
        yield Intake(
            source,
            store,
            discovery,
            arranging.left,
            arranging.files,
            arranging.records,
            arranging.bytes,
            arranging.copied_bytes,
        )


def _check_no_pipe(location: str) -> None:
    """Refuse what can be read once only, and not be listed.

    Raises:
        UsageError: It is a pipe, or a terminal.
    """
    path = local_path(location)
    is_stream = path and (path.is_fifo() or path.is_char_device() or path.is_socket())
    if is_stream or (path and str(path).startswith(("/dev/stdin", "/dev/fd/"))):
        hint = "Save it to a file, and name that"
        raise UsageError("it is a stream, which can be read only once", location, hint)


def _without_trees(store: ReadStore, settings: Settings) -> tuple[set[str], Discovery | None]:
    """The tops of a source in which there is no tree, and what was discovered in the others."""
    try:
        discovery = discover(store, settings.folders)
    except TooManyFoldersError:
        if len(store.tops) == 1 and _is_tree_without_root(store):
            return set(store.tops), None
        raise
    except NoLogsError:
        return set(store.tops), None
    siblings = (prefix for prefixes in discovery.siblings.values() for prefix in prefixes)
    has_accounts = any(ACCOUNT.fullmatch(prefix.split("/")[-3]) for prefix in siblings)
    if not (discovery.trails or discovery.refused or has_accounts):
        return set(store.tops), None
    return set(discovery.without_logs), discovery


def _is_tree_without_root(store: ReadStore) -> bool:
    """Whether a store looks like a delivered tree without ``AWSLogs``, with accounts or in one."""
    names = store.folders("")
    accounts = filter(ACCOUNT.fullmatch, names)
    inside = [f"{account}/" for account in islice(accounts, 1)]
    return any(not _LOGS.isdisjoint(found) for found in [names, *map(store.folders, inside)])
