"""CloudTrail's digest files: what they prove of the log files of a source."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial

from cloudtrail_parquet.digests.files import FOLDER
from cloudtrail_parquet.digests.logs import DigestedPlace, Period
from cloudtrail_parquet.digests.place import PlaceReport, check_place
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.process import prepare_process
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.storage import ReadStore

_PORTION = 16
"""Places that a process is given at once, where there are many."""

Open = Callable[[], ReadStore]
"""Opens the source in any process; always the same object, or one that equals it."""


def digested_places(
    source: ReadStore,
    discovery: Discovery,
    holds: Callable[[str, str], bool] = lambda _account, _region: True,
) -> list[DigestedPlace]:
    """The places of a source that have log files or digest files, in order.

    Args:
        source: The source.
        discovery: What was discovered in it.
        holds: Whether an account and region are wanted.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for trails in discovery.trails.values():
        for trail in trails:
            above, folder, region, _ = trail.rsplit("/", 3)
            found.setdefault((f"{above}/", region), set()).add(folder)
    prefixes = discovery.siblings.get(FOLDER, [])
    for prefix, regions in zip(prefixes, each(source, source.folders, prefixes), strict=True):
        for region in regions:
            found.setdefault((prefix.removesuffix(f"{FOLDER}/"), region), set())
    places = (DigestedPlace(*name, tuple(sorted(folders))) for name, folders in found.items())
    return sorted(each_ for each_ in places if holds(*each_.place))


def check_digests(
    open_source: Open,
    places: Iterable[DigestedPlace],
    period: Period,
    keys: PublicKeys | None,
    workers: int = 1,
) -> Iterator[PlaceReport]:
    """Check the digest files of places and the log files that they name.

    Args:
        open_source: Opens the source; it is sent to other processes.
        places: The places.
        period: Which log files are looked at.
        keys: The public keys; None if signatures cannot be checked.
        workers: How many processes; threads where there is one place alone.

    Yields:
        A report of each place, in order.

    Raises:
        StorageError: Something cannot be read.
    """
    places, source = list(places), open_source()
    threads = source.parallel
    if workers <= 1 or len(places) <= 1:
        for place in places:
            yield check_place(source, place, period, keys, max(threads, workers))
        return
    check = partial(_check, open_source, period, keys, threads)
    size = max(1, min(_PORTION, len(places) // (4 * workers)))
    spawn = multiprocessing.get_context("spawn")  # fork would copy Arrow's threads' locks
    pool = ProcessPoolExecutor(min(workers, len(places)), spawn, _prepare)
    try:
        yield from pool.map(check, places, chunksize=size)
    except BrokenProcessPool as error:
        what, hint = "a process that checked digest files was killed", "Use fewer --workers"
        raise StorageError(what, source.uri, hint) from error
    finally:  # without what nobody waits for any more, if the caller stops early
        pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    prepare_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides


def _check(
    open_source: Open, period: Period, keys: PublicKeys | None, threads: int, place: DigestedPlace
) -> PlaceReport:
    return check_place(_opened(open_source), place, period, keys, threads)


@cache
def _opened(open_source: Open) -> ReadStore:
    return open_source()
