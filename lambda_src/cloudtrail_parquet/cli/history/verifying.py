"""The command ``verify``: what is wrong, as it is found, and then how much was looked at."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cloudtrail_parquet.batch.processes import cores
from cloudtrail_parquet.cli.arguments import (
    Accounts,
    Dataset,
    Day,
    From,
    Regions,
    State,
    To,
    Workers,
    range_of,
)
from cloudtrail_parquet.cli.output import FAILED, STDOUT, note, note_intake
from cloudtrail_parquet.cli.progress import Amount, NoProgress, progress
from cloudtrail_parquet.cli.proving.digest_files import CheckedDigests, check_all_digests
from cloudtrail_parquet.cli.proving.public_keys import KeyFiles
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.intake.opening import Intake, taken_in
from cloudtrail_parquet.intake.origin import Source
from cloudtrail_parquet.planning.plan import UnitRange
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import ReadStore, open_existing, open_store
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.verification.findings import ADVICE, NOTES, Amounts, Finding, Kind
from cloudtrail_parquet.verification.receipts import properties_of
from cloudtrail_parquet.verification.verify import Scope, Verification
from cloudtrail_parquet.wording import counted, size_of

WRONG = 5
_SHOWN = 10
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)", re.ASCII)


@dataclass(frozen=True)
class _Opener:
    """Opens the stores in any process."""

    dataset: str
    state: str
    source: Source | None

    def __call__(self) -> tuple[ReadStore, ReadStore, ReadStore | None]:
        source = None if self.source is None else self.source.open()
        return open_store(self.dataset), open_store(self.state), source


def verify(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Also compare with these logs, record by record; several URIs with spaces.",
        ),
    ] = None,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    sample: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Only a share of the units, such as 5%."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another number samples other units.")] = 0,
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Also check log files against CloudTrail's digest files."),
    ] = False,
    key_files: KeyFiles = None,
    workers: Workers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: each finding, and a summary.")
    ] = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
) -> None:
    """Verify that parts are unaltered and, with --source, that they hold what the log files hold.

    Exit status: 0 nothing is wrong; 5 something is, and is named; 1 something could not be read.
    """
    wanted = range_of(day, first, last, account, region)
    scope = _scope(wanted, share_of(sample), seed)
    _check_digest_options(source, key_files, digests=digests)
    state = Locations.state_of(dataset, state)
    if open_store(state).read_if_there("dataset.json") is None:  # else all parts may be gone
        open_existing(dataset, "dataset")
    with _source_of(source, wanted) as intake:
        opener, checked = _Opener(dataset, state, intake.source if intake else None), None
        verification = Verification(opener, scope)
        _check_there(verification, dataset)
        printed = _print(_found(verification, workers or cores()), as_json=as_json)
        if digests and intake:
            period = _period(opener, scope)
            many = workers or cores()
            checked = check_all_digests(
                intake, period, scope.holds, key_files, many, as_json=as_json
            )
    _conclude(verification, printed, checked, dataset, source=source, as_json=as_json)


def _scope(wanted: UnitRange, share: float, seed: int) -> Scope:
    return Scope(
        first=wanted.first,
        last=wanted.last,
        accounts=wanted.accounts,
        regions=wanted.regions,
        share=share,
        seed=seed,
    )


def _check_digest_options(
    source: str | None, key_files: list[Path] | None, *, digests: bool
) -> None:
    """Make sure that there are digest files to check.

    Raises:
        UsageError: The logs are not named; or there are keys, and nothing to check with them.
    """
    if digests and source is None:
        raise UsageError("digest files lie beside the logs", "--digests", "Name them with --source")
    if key_files and not digests:
        what = "keys are for the signatures of digest files"
        raise UsageError(what, "--public-keys", "Check these with --digests")


def _period(opener: "_Opener", scope: Scope) -> Period:
    """When the log files were delivered that a conversion reads for some days."""
    before_s, after_s = properties_of(*opener()[:2]).bounds
    return Period.of_days(scope.first, scope.last, before_s, after_s)


def share_of(text: str | None) -> float:
    """The share that ``5%`` or ``0.05`` stands for.

    Raises:
        UsageError: It is none, or not above 0 and up to all.
    """
    match = _SHARE.fullmatch((text or "100%").strip())
    share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < share <= 1:
        hint = "Write a percentage above 0% and up to 100%: 5%"
        raise UsageError(f"{text!r} is not a share", "--sample", hint)
    return share


@contextmanager
def _source_of(source: str | None, wanted: UnitRange) -> Iterator[Intake | None]:
    if source is None:
        yield None
        return
    with ExitStack() as opened:
        with progress("opening", Amount(), "file") as meter:
            taken = taken_in(source, Settings(), wanted.only_place, meter.add)
            intake = opened.enter_context(taken)
        note_intake(intake)
        yield intake


def _check_there(verification: Verification, dataset: str) -> None:
    survey = verification.survey
    if not survey.there.units and not survey.units:
        raise UsageError("no units in what was selected", dataset, "Select other days or places")
    if not survey.units:
        hint = "Sample a larger share, or another --seed"
        raise UsageError("no unit is in the sample", "--sample", hint)


def _found(verification: Verification, workers: int) -> Iterator[Finding]:
    chosen = verification.survey.chosen
    goal = Amount(chosen.bytes, len(verification.survey.units))
    with progress("verifying", goal, "unit") as meter:
        yield from verification.findings(workers, meter.add)


def _print(findings: Iterable[Finding], *, as_json: bool) -> Counter[Kind]:
    """Print findings as they come; as text only the first ones of each kind."""
    counts, shown = Counter[Kind](), Counter[Kind]()
    for finding in findings:
        counts[finding.kind] += finding.count
        shown[finding.kind] += 1
        if as_json:
            print(json.dumps(msgspec.to_builtins(finding)))
        elif shown[finding.kind] <= _SHOWN:
            STDOUT.print(printable(line_of(finding)), markup=False, soft_wrap=True)
    return counts


def line_of(finding: Finding) -> str:
    """A finding on a line."""
    event = f" (eventID {finding.event_id})" if finding.event_id else ""
    unit = "" if finding.unit in {"", finding.where} else f"{finding.unit}: "
    return f"{finding.kind}: {unit}{finding.where}{event}: {finding.what}"


def _conclude(  # noqa: PLR0913
    verification: Verification,
    counts: Counter[Kind],
    checked: CheckedDigests | None,
    dataset: str,
    *,
    source: str | None,
    as_json: bool,
) -> None:
    """Print what was found and how much was looked at; exit if something is wrong."""
    faults, is_compared = [kind for kind in counts if kind not in NOTES], source is not None
    is_signed = checked is None or checked.is_clean
    amounts, survey = verification.amounts, verification.survey
    for prefix in verification.refused:
        note(f"error: {prefix} of the source may not be listed")
    if as_json:
        summary = {
            "clean": is_signed and not faults,
            "found": {str(kind): number for kind, number in sorted(counts.items())},
            "looked_at": msgspec.to_builtins(amounts),
            "there": {n: getattr(survey.there, n) for n in ("units", "parts", "rows", "bytes")},
            "compared": is_compared,
            "digests": checked and checked.to_json(),
        }
        print(json.dumps(summary))
    else:
        lines = _summary(counts, amounts, survey.there, dataset, is_compared=is_compared)
        for line in chain(lines, checked.lines() if checked else ()):
            STDOUT.print(printable(line), markup=False, soft_wrap=True)
    unread = {Kind.UNREADABLE}.issuperset(faults) and faults
    if not is_signed or (faults and not unread):
        raise typer.Exit(WRONG)
    if unread or verification.refused:
        raise typer.Exit(FAILED)


def _summary(
    counts: Counter[Kind], looked: Amounts, there: Amounts, dataset: str, *, is_compared: bool
) -> Iterator[str]:
    for kind, number in sorted(counts.items()):
        label = "note" if kind in NOTES else "wrong"
        yield f"{label}: {kind} ({number:,}): {ADVICE[kind]}"
    what = f"{counted(looked.units, 'unit')}, {counted(looked.parts, 'part')}"
    what += f", {counted(looked.rows, 'row')}, {size_of(looked.bytes)}"
    if is_compared:
        records, files = counted(looked.records, "record"), counted(looked.log_files, "log file")
        what += f"; {records} of {files}, {size_of(looked.log_bytes)}"
        if looked.odd:
            what += f", {looked.odd:,} of them taken apart by the reader that converts"
    if looked.units < there.units:
        yield (
            f"sampled {looked.units / there.units:.1%} of {counted(there.units, 'unit')}, "
            f"{_share(looked.rows, there.rows)} of the rows, "
            f"{_share(looked.bytes, there.bytes)} of the bytes"
        )
    is_clean = all(kind in NOTES for kind in counts)
    yield f"{dataset}: {'nothing is wrong' if is_clean else 'something is wrong'} in {what}"
    if not is_compared:
        yield "not compared with any log file: --source does that"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"
