"""CloudTrail's digest files: what they prove of the log files of a source."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

from cloudtrail_parquet.batch.processes import in_processes
from cloudtrail_parquet.digests.files import FOLDER
from cloudtrail_parquet.digests.logs import DigestedPlace, Period
from cloudtrail_parquet.digests.place import PlaceReport, check_place
from cloudtrail_parquet.digests.public_keys import PublicKeys
from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.source.discover import Discovery
from cloudtrail_parquet.source.log_files import each
from cloudtrail_parquet.storage import ReadStore

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
        A report of each place, as they finish.

    Raises:
        StorageError: Something cannot be read.
    """
    places, source = list(places), open_source()
    threads = source.parallel
    if workers <= 1 or len(places) <= 1:
        for place in places:
            yield check_place(source, place, period, keys, max(threads, workers))
        return
    check = partial(_check_some, open_source, period, keys, threads)
    yield from in_processes(check, places, min(workers, len(places)), None, _lost)


def _check_some(
    open_source: Open,
    period: Period,
    keys: PublicKeys | None,
    threads: int,
    places: list[DigestedPlace],
) -> list[PlaceReport]:
    source = _opened(open_source)
    return [check_place(source, place, period, keys, threads) for place in places]


def _lost(place: DigestedPlace) -> PlaceReport:
    """Raise the error for a place whose process was killed."""
    what = "a worker process was killed before its digest files were checked"
    hint = "If memory ran out, use fewer workers. Then run it again"
    raise StorageError(what, place.prefix(FOLDER), hint)


@cache
def _opened(open_source: Open) -> ReadStore:
    return open_source()
