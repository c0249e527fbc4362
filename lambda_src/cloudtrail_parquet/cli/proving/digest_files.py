"""What ``verify --digests`` checks and prints: CloudTrail's digest files."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cloudtrail_parquet.cli.output import STDOUT
from cloudtrail_parquet.cli.progress import Amount, progress
from cloudtrail_parquet.cli.proving.public_keys import public_keys
from cloudtrail_parquet.digests.check import check_digests, digested_places
from cloudtrail_parquet.digests.findings import NOTES, WRONG, DigestFinding
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.place import PlaceReport
from cloudtrail_parquet.intake.opening import Intake
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.wording import counted, size_of

_SHOWN = 10


@dataclass
class CheckedDigests:
    """What was found in all places.

    Attributes:
        kinds: How often each kind was found.
        places: How many places were looked at.
        digests: How many digest files were read.
        signed: How many of them have a signature that is right.
        log_files: How many log files were compared with their hashes.
        bytes: Their size as stored.
        uncovered: How many log files no digest file covers.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    places: int = 0
    digests: int = 0
    signed: int = 0
    log_files: int = 0
    bytes: int = 0
    uncovered: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return WRONG.keys().isdisjoint(self.kinds)

    def add(self, report: PlaceReport) -> None:
        """Add what was found in a place."""
        self.kinds.update(finding.kind for finding in report.findings)
        self.places += 1
        for name in ("digests", "signed", "log_files", "bytes", "uncovered"):
            setattr(self, name, getattr(self, name) + getattr(report, name))

    def to_json(self) -> dict[str, object]:
        """Plain values, for ``--json``."""
        return {"clean": self.is_clean, "found": dict(sorted(self.kinds.items()))} | {
            name: getattr(self, name)
            for name in ("places", "digests", "signed", "log_files", "bytes", "uncovered")
        }

    def lines(self) -> Iterator[str]:
        """What there is to say, and what to do."""
        for kind, what_to_do in (WRONG | NOTES).items():
            if number := self.kinds[kind]:
                yield f"{'wrong' if kind in WRONG else 'note'}: {kind} ({number:,}): {what_to_do}"
        logs = f"{counted(self.log_files, 'log file')}, {size_of(self.bytes)}"
        if self.uncovered:
            logs += f", {self.uncovered:,} more that are not covered"
        outcome = "nothing is wrong" if self.is_clean else "something is wrong"
        digests = f"{counted(self.digests, 'digest file')}, {self.signed:,} with signatures checked"
        yield f"digests: {outcome} in {digests}; {logs}"


def check_all_digests(  # noqa: PLR0913
    intake: Intake,
    period: Period,
    holds: Callable[[str, str], bool],
    key_files: list[Path] | None,
    workers: int,
    *,
    as_json: bool,
) -> CheckedDigests:
    """Check the digest files of a source, and print what is found as it is found.

    Args:
        intake: The source.
        period: Which log files are looked at.
        holds: Whether an account and region are.
        key_files: The files of the option ``--public-keys``.
        workers: How many processes.
        as_json: Whether to print JSON.
    """
    places = digested_places(intake.store, intake.discovery, holds)
    keys = public_keys(key_files, {place.region for place in places}, period)
    checked, shown = CheckedDigests(), Counter[str]()
    with progress("checking digest files", Amount(items=len(places)), "place") as meter:
        for report in check_digests(intake.source.open, places, period, keys, workers):
            checked.add(report)
            meter.add(items=1)
            for finding in report.findings:
                shown[finding.kind] += 1
                if as_json:
                    print(json.dumps(_plain(finding)))
                elif shown[finding.kind] <= _SHOWN and finding.is_wrong:
                    line = f"{finding.kind}: {finding.where}: {finding.what}"
                    STDOUT.print(printable(line), markup=False, soft_wrap=True)
    return checked


def _plain(finding: DigestFinding) -> dict[str, str]:
    return {"kind": finding.kind, "where": finding.where, "what": finding.what}
