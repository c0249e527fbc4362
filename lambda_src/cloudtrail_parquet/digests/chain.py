"""The digest files of a place, checked against each other and against CloudTrail's signatures.

Each digest file has the hash of the one before it, and its signature. So the signature of all but
the last is known even where the metadata of objects are gone, and is checked from there: a digest
file is true if CloudTrail has signed its text and its location.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from cloudtrail_parquet.digests.files import DigestFile, Link
from cloudtrail_parquet.digests.findings import DigestFinding
from cloudtrail_parquet.digests.proof import is_signed
from cloudtrail_parquet.digests.public_keys import PublicKey, PublicKeys

Find = Callable[[str], DigestFile | None]
"""The digest file with a tail that lies outside of what was listed, or None if there is none."""


class Chain:
    """The digest files of one account and region, of all trails.

    Attributes:
        digests: They, by tail, in the order of time.
        signed: Those whose signature is right.
    """

    def __init__(
        self, digests: Iterable[DigestFile], region: str, keys: PublicKeys | None, find: Find
    ) -> None:
        """Take some digest files.

        Args:
            digests: They; of several with the same tail the first counts.
            region: The region that they were delivered for.
            keys: The public keys; None if signatures cannot be checked.
            find: Finds those before the first.
        """
        ordered = sorted(digests, key=lambda digest: (digest.end, digest.tail, digest.key))
        self.digests: dict[str, DigestFile] = {}
        for digest in ordered:
            self.digests.setdefault(digest.tail, digest)
        self._has_metadata = any(digest.signature for digest in self.digests.values())
        self._region, self._keys, self._find = region, keys, find
        self._links: defaultdict[str, list[tuple[DigestFile, Link]]] = defaultdict(list)
        for digest in self.digests.values():
            if digest.link:
                self._links[digest.link.tail].append((digest, digest.link))
        self._trusted: dict[str, bool | None] = {}
        self._earlier: dict[str, DigestFile | None] = {}

    @property
    def signed(self) -> int:
        """How many of them have a signature that is right."""
        return sum(self._trusted.get(tail) is True for tail in self.digests)

    def check(self, unreadable: Mapping[str, str]) -> Iterator[DigestFinding]:
        """What is wrong with them, from the newest to the oldest, and what is not known.

        Args:
            unreadable: The keys of digest files that cannot be read, by tail.
        """
        for digest in reversed(self.digests.values()):
            yield from self._check_signature(digest)
        for digest in reversed(self.digests.values()):
            yield from self._check_link(digest, unreadable)
        yield from self._check_times()

    def trust(self, digest: DigestFile) -> int:
        """How far a digest file counts: 2, its signature is right; 1, it is unknown; 0, wrong."""
        return {True: 2, None: 1, False: 0}[self._trusted.get(digest.tail)]

    def _check_signature(self, digest: DigestFile) -> Iterator[DigestFinding]:
        self._trusted[digest.tail] = None
        if self._keys is None:
            return
        key = self._keys.fitting(digest.fingerprint, self._region, digest.signed_at)
        if not isinstance(key, PublicKey):
            yield DigestFinding(key[0], digest.key, key[1])
            return
        after = self._links[digest.tail]
        signatures = {link.signature for _, link in after} | {digest.signature} - {""}
        right = {each for each in signatures if is_signed(key.value, digest.signed, each)}
        own = digest.signature in right if digest.signature else None
        if right:
            self._trusted[digest.tail] = True
            if own is False:
                what = (
                    "the signature in its metadata is wrong; that in the next digest file is right"
                )
                yield DigestFinding("signature wrong", digest.key, what)
        elif own is None and not after and self._has_metadata:
            self._trusted[digest.tail] = False
            what = "its object has no signature, while those of other digest files have one"
            yield DigestFinding("signature missing", digest.key, what)
        elif own is None and not after:
            what = "its signature is in the metadata of the object alone, which are gone here"
            yield DigestFinding("signature unknown", digest.key, what)
        elif own is None and all(self._trusted.get(newer.tail) is False for newer, _ in after):
            what = f"its signature is in {after[0][0].key}, which has been altered"
            yield DigestFinding("signature unknown", digest.key, what)
        else:
            self._trusted[digest.tail] = False
            yield DigestFinding("digest altered", digest.key, self._of_signature(digest))

    def _of_signature(self, digest: DigestFile) -> str:
        """What is wrong if a signature does not fit."""
        after = self._links[digest.tail]
        doubtful = [newer for newer, _ in after if not self._trusted.get(newer.tail)]
        what = "CloudTrail's signature is not that of its text"
        if digest.signature:
            return f"{what}: it has been altered, or its metadata have"
        if doubtful:
            return (
                f"{what}: it has been altered, or {doubtful[0].key} has, which holds the signature"
            )
        return f"{what}: it has been altered"

    def _check_link(
        self, digest: DigestFile, unreadable: Mapping[str, str]
    ) -> Iterator[DigestFinding]:
        """Compare a digest file with the one before it."""
        link = digest.link
        if link is None or link.tail in unreadable:
            return
        before = self.digests.get(link.tail) or self._find(link.tail)
        self._earlier[digest.tail] = before
        if before is None or link.sha256 == before.sha256:
            return
        newer, older = self._trusted[digest.tail], self._trusted.get(before.tail)
        if newer is False or older is False:
            return  # which has been told
        if older and not newer:
            what = f"its hash of {before.key}, which CloudTrail has signed, is wrong"
            yield DigestFinding("digest altered", digest.key, f"{what}: it has been altered")
        else:
            what = f"its text has another hash than {digest.key} says: it has been altered"
            what += "" if newer else ", or that one has"
            yield DigestFinding("digest altered", before.key, what)

    def missing(self, unreadable: Mapping[str, str]) -> Iterator[tuple[DigestFile, Link]]:
        """Digest files that others name and that are not there, each with one that names it."""
        for digest in self.digests.values():
            link = digest.link
            if link and link.tail not in unreadable and self._earlier.get(digest.tail) is None:
                yield digest, link

    def _check_times(self) -> Iterator[DigestFinding]:
        """Find times that no digest file covers although none is missing."""
        for before, digest in self._consecutive():
            uncovered = f"nothing covers {spelt(before.end)} to {spelt(digest.start)}"
            if digest.link is None:
                what = f"a chain begins anew after {before.key}: {uncovered}"
                yield DigestFinding("restarted", digest.key, what)
            elif digest.link.tail == before.tail and before.end < digest.start:
                yield DigestFinding("gap", digest.key, f"it follows {before.key}, but {uncovered}")

    def _consecutive(self) -> Iterator[tuple[DigestFile, DigestFile]]:
        """The digest files of each trail one after the other, without those that fill gaps."""
        trails: defaultdict[tuple[str, str], list[DigestFile]] = defaultdict(list)
        for digest in self.digests.values():
            if not digest.name.is_backfill:
                trails[digest.name.trail, digest.name.home].append(digest)
        for digests in trails.values():
            yield from pairwise(digests)

    def last_before(self, digest: DigestFile) -> DigestFile | None:
        """The last digest file of the same trail before one."""
        same = [
            other
            for other in self.digests.values()
            if other.name[:2] == digest.name[:2]
            and other.name.is_backfill == digest.name.is_backfill
            and other.end <= digest.start
        ]
        return same[-1] if same else None


def covered(digests: Iterable[DigestFile]) -> list[tuple[datetime, datetime]]:
    """The times that some digest files cover, joined where they meet, in order."""
    spans: list[tuple[datetime, datetime]] = []
    for start, end in sorted((digest.start, digest.end) for digest in digests):
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def spelt(moment: datetime) -> str:
    """A moment as digest files write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
