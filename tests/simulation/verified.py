"""What `verify` says at the end of a story: it knows neither the converter nor the oracle.

It reads the buckets as they are, without a client, so nothing happens meanwhile.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Details, Entry, Level, ReadStore, Stored
from cloudtrail_parquet.verification.findings import Kind
from cloudtrail_parquet.verification.verify import Scope, Verification
from tests.simulation.s3 import Bucket

_OF_OTHER_RULES = {Kind.ROW_REPEATED}
_OF_LOST_STATE = {
    *(Kind.RECEIPT_MISSING, Kind.RECEIPT_FALSE, Kind.PART_UNKNOWN, Kind.ROW_UNVOUCHED),
}


class BucketStore:
    """A bucket, read as it is."""

    parallel = 2
    tops: tuple[str, ...] = ("",)

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.uri = f"s3://{bucket.name}"

    def folders(self, prefix: str) -> list[str]:
        return self.level(prefix).folders

    def level(self, prefix: str) -> Level:
        below = [key[len(prefix) :] for key in self._bucket.below(prefix)]
        folders = {name.partition("/")[0] for name in below if "/" in name}
        return Level(sorted(folders), [name for name in below if "/" not in name])

    def files(self, prefix: str, *skip: tuple[str, str], after: str = "") -> Iterator[Entry]:
        del skip
        for key in self._bucket.below(prefix, after):
            held = self._bucket.objects[key]
            yield Entry(key, len(held.data), held.modified, held.e_tag)

    def read(self, key: str) -> bytes:
        return self._bucket.objects[key].data

    def read_if_there(self, key: str) -> bytes | None:
        held = self._bucket.objects.get(key)
        return held and held.data

    def look(self, key: str) -> Stored | None:
        held = self._bucket.objects.get(key)
        return held and Stored(held.data, held.e_tag, held.modified)

    def details(self, key: str) -> Details | None:
        del key
        return None

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self.read(key))


def faults(  # noqa: PLR0913 - what is known of the story
    dataset: Bucket,
    state: Bucket,
    source: Bucket,
    past: list[Settings],
    *,
    is_damaged: bool,
    expires: bool,
) -> Iterator[str]:
    """What is wrong.

    Args:
        dataset: Where the parts are.
        state: Where the receipts are.
        source: Where the log files are.
        past: All settings that ever were in force. If some redact and others do not, a record whose
            log file has expired may stand as it was, and again redacted.
        expires: Whether log files expire: each by the time it was written, so that one that came
            late under an older name may outlast others.
        is_damaged: Whether somebody has damaged the state; then units may be without a receipt.
    """
    if not dataset.keys and not state.keys:
        return
    excused = {Kind.LOG_GONE} if expires else set[Kind]()
    if is_damaged:
        excused |= _OF_LOST_STATE
    if len({bool(settings.redact) for settings in past}) > 1:
        excused |= _OF_OTHER_RULES
    if not source.keys:  # without any log file plans fail, so nobody completes what was begun
        excused.add(Kind.UNFINISHED)
    stores: tuple[ReadStore, ReadStore, ReadStore] = (
        BucketStore(dataset),
        BucketStore(state),
        BucketStore(source),
    )
    for finding in Verification(lambda: stores, Scope()).findings():
        if finding.is_fault and finding.kind not in excused:
            yield f"VERIFY: {finding.kind}: {finding.unit}: {finding.where}: {finding.what}"
