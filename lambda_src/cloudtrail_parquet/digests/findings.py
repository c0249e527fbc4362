"""What is found about digest files and the log files that they name: kinds, and what to do."""

from typing import NamedTuple

_COMPARE = "compare it with another copy, an earlier version of the object or a replica"
_ASK = "find out who removed it: data events of the bucket, its server access logs, versions"
_KEYS = "ask CloudTrail of its region for the keys: aws cloudtrail list-public-keys --region …"

WRONG = {
    "log altered": _COMPARE,
    "log missing": _ASK,
    "log added": (
        "find out who wrote it; a trail without validation may deliver to the same folder, and a "
        "backfill digest may be on its way"
    ),
    "log swapped": "give both their names again, and find out who renamed them",
    "digest altered": _COMPARE,
    "digest missing": _ASK,
    "digest swapped": "give it its name again, and find out who renamed it",
    "digest unreadable": _COMPARE,
    "signature wrong": _COMPARE,
    "signature missing": "find out who wrote it: CloudTrail signs each digest file in its metadata",
    "key unknown": _KEYS,
    "key expired": _KEYS,
    "key elsewhere": _KEYS,
}
"""Kinds of what is not as CloudTrail has delivered it."""

NOTES = {
    "gap": "see whether StopLogging or UpdateTrail explains it",
    "restarted": "see whether StopLogging or UpdateTrail explains it",
    "expired": "nothing, if a lifecycle rule removes what is so old",
    "not covered": "nothing, if validation was off then, or it is too early",
    "no digests": "switch log file validation on for the trail",
    "moved": "nothing, if somebody has copied or moved the logs",
    "folder missing": "copy that folder as well, if it is to be verified",
    "signature unknown": (
        "verify where CloudTrail has delivered it, or together with the next digest file"
    ),
}
"""Kinds of what somebody should know."""


class DigestFinding(NamedTuple):
    """Something found.

    Attributes:
        kind: One of `WRONG` or `NOTES`.
        where: The key that it is about, below the source.
        what: What is the matter, without the key.
    """

    kind: str
    where: str
    what: str

    @property
    def is_wrong(self) -> bool:
        """Whether something is not as CloudTrail has delivered it."""
        return self.kind in WRONG

    @property
    def what_to_do(self) -> str:
        """What somebody does about it."""
        return WRONG.get(self.kind) or NOTES[self.kind]
