"""The state of a place's day, by what the ledger says of it, and by what is true now."""

from datetime import date, datetime
from typing import Literal, NamedTuple

from cloudtrail_parquet.coverage.ledger import How
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.planning.due import Present, reasons
from cloudtrail_parquet.settings.options import PlanOptions
from cloudtrail_parquet.state.figures import Records
from cloudtrail_parquet.state.identities import Fingerprint
from cloudtrail_parquet.state.receipt import Made, Read, Receipt, Rows, receipt_of

CoverageState = Literal[
    "missing", "unknown", "outdated", "partial", "kept", "provisional", "empty", "converted"
]
"""What the dataset has of a place's day, worst first. ``missing``: there are log files or were,
and no rows; ``unknown``: there are no rows, and nobody can tell whether there are log files;
``outdated``: another conversion would give other rows; ``partial``: not all log files could be
read; ``kept``: the source has lost what the rows were made of; ``provisional``: its window has not
passed; ``empty``: there is nothing to convert, for a cause that is told; ``converted``: all
else."""

STATES: tuple[CoverageState, ...] = CoverageState.__args__  # type: ignore[attr-defined]

Cause = Literal[
    "",
    "schema",
    "settings",
    "window",
    "files",
    "parts",
    "refused",
    "rebuilt",
    "receipt",
    "unfinished",
    "never converted",
    "deleted",
    "no receipt",
    "quarantined",
    "shrunk",
    "quiet",
    "late",
    "trail stopped",
    "expired",
    "region",
]
"""Why, in a word. Of ``outdated`` it is a `due.ReasonKind`, or the receipt cannot be read, or a run
that was replacing the unit has not finished; of ``missing`` the unit was never converted, or log
files were deleted; of ``empty`` there were no log files (``quiet``), a trail was stopped, log files
have expired, the region was not enabled or not seen, or the account may not be listed. ``late``
days have no log files of their own, and records that came in those of other days."""


class Verdict(NamedTuple):
    """What is said of a place's day.

    Attributes:
        state: The state.
        cause: Why, in a word; empty if nothing is to be said.
        basis: What that rests on, in words.
    """

    state: CoverageState
    cause: Cause = ""
    basis: str = ""

    @property
    def is_lack(self) -> bool:
        """Whether records may be lacking, or what proves that they are there."""
        return self.state in {"missing", "unknown"} or self.cause in {"parts", "refused", "receipt"}


UNREADABLE = Verdict("outdated", "receipt", "its receipt cannot be read")
NOT_FINISHED = Verdict("outdated", "unfinished", "a run that was replacing it has not finished")
LEFT_ASIDE = Verdict("partial", "quarantined", "its log files ended each process that read them")
REFUSED = Verdict("partial", "refused", "the account could not be listed")
NO_RECEIPT = Verdict(
    "outdated", "receipt", "it has parts, and no receipt: status --rebuild makes it"
)
LATE = Verdict("converted", "late", "it has no log files; its records came in those of other days")
_EXPIRED = Verdict("empty", "expired", "its rows are no longer kept: expire has removed them")
_MAY_RETRY = Verdict("outdated", "files", "a log file could not be read that may be now")
_KEPT = Verdict("kept", "shrunk", "its log files were gone, or could not be read again")
_PARTIAL = Verdict("partial", "quarantined", "log files or records could not be read")
_PROVISIONAL = Verdict("provisional", "window", "its window has not passed")
REBUILT = Verdict("converted", "rebuilt", "counts are unknown: its receipt was made from its parts")


class Judge(NamedTuple):
    """How receipts are judged.

    Attributes:
        options: How units would be converted now.
        now: The time.
    """

    options: PlanOptions
    now: datetime

    def of_how(self, how: How, day: date) -> Verdict:
        """What is said of a day by what it has in common with others.

        Args:
            how: That.
            day: A day; only whether its window has passed makes a difference.
        """
        if how.status == "unreadable":
            return UNREADABLE
        if how.is_expired:
            return _EXPIRED
        same = str(Fingerprint())
        made = Made(
            converted_at=self.now,
            schema_version=how.schema_version,
            lookbehind_s=how.lookbehind_s,
            lookahead_s=how.lookahead_s,
            folders=how.folders,
            source_fingerprint=same,
            settings=how.settings,
        )
        receipt = receipt_of(
            Unit("", "", day),
            made,
            Read(),
            Rows(records=Records()),
            [],
            is_complete=how.status == "complete",
            settled=how.settled,
            kept="kept" if how.is_kept else "",
            rebuilt=how.rebuilt,
        )
        found = _of_receipt(receipt, Present(same, self.has_passed(day)), self.options, how.is_kept)
        return found or self._without_reason(how, day)

    def has_passed(self, day: date) -> bool:
        """Whether the window of a day has passed, with a margin."""
        window, margin_s = self.options.dataset.window, self.options.settle_margin_s
        return window.has_passed(day, self.now, margin_s)

    def compared(self, receipt: Receipt, present: Present, *, is_listed: bool) -> Verdict | None:
        """What is said of a unit that was compared with its log files, if ``is_listed``, or parts.

        Returns:
            None if they make no difference.
        """
        return _of_receipt(receipt, present, self.options, receipt.kept and not is_listed)

    def _without_reason(self, how: How, day: date) -> Verdict:
        if how.may_retry:
            return _MAY_RETRY
        if how.is_kept:
            return _KEPT
        if how.place != "read":
            return REFUSED if how.place == "refused" else LEFT_ASIDE
        if how.status == "partial":
            return _PARTIAL
        if not how.settled and not self.has_passed(day):
            return _PROVISIONAL
        return REBUILT if how.rebuilt else Verdict("converted")


def _of_receipt(
    receipt: Receipt, present: Present, options: PlanOptions, is_kept_alike: object
) -> Verdict | None:
    """The first reason why a unit is outdated; that it was rebuilt makes it none.

    ``is_kept_alike`` says that nothing is known of log files that it was kept for.
    """
    for kind, words in reasons(receipt, present, options):
        if kind == "rebuilt" or (is_kept_alike and kind == "files"):
            continue
        return Verdict("outdated", kind, words)
    return None
