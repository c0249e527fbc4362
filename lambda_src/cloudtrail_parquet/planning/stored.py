"""How log files are stored, as a sample of them tells, and what that costs whoever reads them."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from cloudtrail_parquet.errors import StorageError
from cloudtrail_parquet.planning.ahead import ahead
from cloudtrail_parquet.planning.cost import KMS_REQUEST, RETRIEVALS
from cloudtrail_parquet.source.grain import Folder, Sample
from cloudtrail_parquet.storage import Details, ReadStore
from cloudtrail_parquet.wording import counted, plural_of, size_of

_AT_A_TIME = 16


class StorageClass(msgspec.Struct, frozen=True, kw_only=True):
    """The log files of a storage class that costs more to read than S3 Standard.

    Attributes:
        name: ``STANDARD_IA``, ``GLACIER``, ...; ``ARCHIVE_ACCESS`` and ``DEEP_ARCHIVE_ACCESS`` are
            tiers of Intelligent Tiering.
        files: How many, about.
        bytes: Their size, about.
        dollars: What retrieving them costs.
        restored_in: How long restoring them takes, in words; empty if they can be read at once.
    """

    name: str
    files: int
    bytes: int
    dollars: float
    restored_in: str


class StorageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How the log files of a plan are stored.

    Attributes:
        looked_at: How many log files were looked at.
        kms_requests: How many log files, about, are encrypted with a key of KMS and without a
            bucket key: each is a request to KMS. With a bucket key there are next to none.
        kms_dollars: What these requests cost.
        classes: Storage classes other than S3 Standard, sorted by name.
    """

    looked_at: int
    kms_requests: int
    kms_dollars: float
    classes: list[StorageClass]


def look_at(source: ReadStore, sample: Sample, files: int, size: int) -> StorageFacts | None:
    """Look at a sample of log files: a request for each.

    Args:
        source: The source of the logs.
        sample: Some folders of it.
        files: How many log files the plan has.
        size: Their size.

    Returns:
        None if nothing is known of how they are stored, as on a disk.
    """

    def ask(folder: Folder) -> Details | None:
        try:
            return source.details(folder.key)
        except StorageError:  # it is for information only
            return None

    folders = sorted(sample)
    answers = zip(folders, ahead(source, ask, folders, _AT_A_TIME), strict=True)
    known = [(folder, details) for folder, details in answers if details is not None]
    if not known:
        return None
    by_file = files / sum(folder.files for folder, _ in known)
    by_byte = size / sum(folder.bytes for folder, _ in known)
    counts, sizes = Counter[str](), Counter[str]()
    for folder, details in known:
        retrieval = RETRIEVALS.get(details.storage_class)
        if retrieval and (details.is_archived or not retrieval.hours):  # else it was restored
            counts[details.storage_class] += folder.files
            sizes[details.storage_class] += folder.bytes
    requests = round(by_file * sum(folder.files for folder, of in known if of.needs_kms))
    return StorageFacts(
        looked_at=len(known),
        kms_requests=requests,
        kms_dollars=round(requests * KMS_REQUEST, 4),
        classes=[
            _class_of(name, round(counts[name] * by_file), round(sizes[name] * by_byte))
            for name in sorted(counts)
        ],
    )


def _class_of(name: str, files: int, size: int) -> StorageClass:
    retrieval = RETRIEVALS[name]
    return StorageClass(
        name=name,
        files=files,
        bytes=size,
        dollars=round(files * retrieval.request + size / 1e9 * retrieval.gigabyte, 4),
        restored_in=retrieval.hours,
    )


def stored_lines(stored: StorageFacts) -> Iterator[str]:
    """What reading the log files costs beside the requests, and what has to be done before."""
    if stored.kms_requests:
        files = counted(stored.kms_requests, "log file")
        are = plural_of(stored.kms_requests, "is", "are")
        yield (
            f"KMS: about {files} {are} encrypted without a bucket key: "
            f"as many requests, {stored.kms_dollars:,.2f} dollars; with one, next to none"
        )
    for each in stored.classes:
        are, them = plural_of(each.files, "is", "are"), plural_of(each.files, "it", "them")
        files = f"about {counted(each.files, 'log file')} ({size_of(each.bytes)})"
        some = f"{files} {are} in {each.name}"
        cost = f"{each.dollars:,.2f} dollars"
        if each.restored_in:
            yield f"archived: {some}: restore {them} first, {each.restored_in} and {cost}"
        else:
            yield f"storage class: {some}: reading {them} costs {cost} more"
