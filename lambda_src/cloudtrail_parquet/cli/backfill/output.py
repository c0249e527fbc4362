"""What the commands ``backfill`` print, and ask."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cloudtrail_parquet.backfill.progress import BackfillProgress
from cloudtrail_parquet.backfill.record import Backfill
from cloudtrail_parquet.backfill.sending import Cancelled
from cloudtrail_parquet.backfill.survey import RewriteSurvey, Survey
from cloudtrail_parquet.cli.output import STDERR, STDOUT, note, two_columns
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.stored import stored_lines
from cloudtrail_parquet.wording import counted


def print_survey(surveyed: Survey | RewriteSurvey, *, by_queue: bool, as_json: bool) -> None:
    """Print what a backfill takes; beside JSON, to stderr.

    Args:
        surveyed: What it would convert or rewrite.
        by_queue: Whether a function does that, which costs money, and not this machine.
        as_json: Whether stdout is for JSON.
    """
    total, dollars = surveyed.total, surveyed.dollars
    rows = {
        "units": f"{total.units:,}",
        "parts" if isinstance(surveyed, RewriteSurvey) else "log files": f"{total.files:,}",
        "bytes in": f"{total.bytes:,}",
        "largest unit": total.largest or "",
    }
    if surveyed.units:
        rows["days"] = f"{surveyed.units[-1].unit.day} to {surveyed.units[0].unit.day}"
    if by_queue:
        names = {"requests": "S3 and Lambda requests", "kms": "KMS", "retrieval": "retrievals"}
        rows["messages"] = f"{total.batches:,}"
        rows["seconds in all"] = f"{total.seconds:,.0f}"
        for name, amount in dollars.items():
            label = "dollars in all" if name == "total" else f"dollars: {names.get(name, name)}"
            rows[label] = f"{amount:,.2f}" if dollars["total"] >= 1 else f"{amount:.4f}"
    (STDERR if as_json else STDOUT).print(two_columns(rows))
    for line in stored_lines(surveyed.stored) if surveyed.stored else ():
        note(line)


def ask(question: str, *, yes: bool) -> bool:
    """Ask at the terminal; whether the answer is yes.

    Raises:
        UsageError: There is no terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        what = f'nobody to ask "{question}", since there is no terminal'
        hint = "Answer it with --yes"
        raise UsageError(what, "backfill", hint)
    return typer.confirm(question, err=True)


@contextmanager
def sending_bar(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of so many messages are sent; gives what adds to them."""
    columns = TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=STDERR, transient=True, disable=not STDERR.is_terminal) as bar:
        task = bar.add_task("send", total=total)
        yield lambda count: bar.advance(task, count)


def print_sent(sent: Backfill | None, surveyed: Survey | RewriteSurvey, *, as_json: bool) -> None:
    """Print what was sent; None if there was nothing to send."""
    if as_json:
        total, stored = (msgspec.to_builtins(facts) for facts in (surveyed.total, surveyed.stored))
        named = {"id": sent.id, "queue": sent.queue, "sent": sent.sent} if sent else {"sent": 0}
        totals = {name: total[name] for name in ("units", "files", "bytes", "largest", "seconds")}
        messages = {"messages": surveyed.total.batches, "dollars": surveyed.dollars}
        _print_json({**named, **totals, **messages, "stored": stored})
    elif sent:
        STDOUT.print(f"backfill {sent.id}: {counted(sent.sent, 'message')} sent", soft_wrap=True)


def print_cancelled(id_: str, cancelled: Cancelled, *, as_json: bool) -> None:
    """Print what was taken back of a backfill."""
    if as_json:
        _print_json({"id": id_, **cancelled._asdict()})
        return
    messages, units = counted(cancelled.messages, "message"), counted(cancelled.units, "unit")
    STDOUT.print(
        f"backfill {id_}: {messages} with {units} removed; {cancelled.others:,} of others left",
        soft_wrap=True,
    )


def print_progress(progress: BackfillProgress, *, as_json: bool) -> None:
    """Print how far a backfill is."""
    if as_json:
        facts = msgspec.to_builtins(progress)
        _print_json({**facts.pop("backfill"), **facts})
        return
    sent = progress.backfill
    rows = {
        sent.kind if sent.kind == "rewrite" else "backfill": sent.id,
        "days": f"{sent.first} to {sent.last}",
        "units planned": f"{progress.planned:,}",
        "done": f"{progress.done:,}",
        "failed": f"{progress.failed:,}",
        "left": f"{progress.left:,}",
        "units a minute": f"{progress.per_minute:,.1f}",
        "time left": _time_left(progress),
        "messages sent": f"{sent.sent:,} of {sent.messages:,}",
        "messages waiting": f"{progress.waiting:,}",
        "messages under way": f"{progress.under_way:,}",
        "dead letters": f"{progress.dead_letters:,}",
    }
    STDOUT.print(two_columns(rows))


def progress_line(progress: BackfillProgress) -> str:
    """How far a backfill is, in a line."""
    return (
        f"{datetime.now().astimezone():%H:%M:%S} "
        f"{progress.done:,} of {counted(progress.planned, 'unit')} done, "
        f"{progress.failed:,} failed, {progress.left:,} left; "
        f"{progress.per_minute:,.1f} a minute, time left: {_time_left(progress)}; "
        f"messages: {progress.waiting:,} waiting, {progress.under_way:,} under way, "
        f"{counted(progress.dead_letters, 'dead letter')}"
    )


def remark(progress: BackfillProgress) -> str:
    """What to do about a backfill that will not go on by itself; empty if there is nothing."""
    if progress.failed:
        return "failed: backfill redrive tells the reasons, and sends them again"
    if progress.left and progress.backfill.cancelled is not None:
        return f"cancelled at {progress.backfill.cancelled:%Y-%m-%d %H:%M} UTC"
    if progress.left and progress.is_idle:
        return "no message is left in the queue: the same backfill command sends what is left"
    return ""


def _time_left(progress: BackfillProgress) -> str:
    if not progress.left:
        return "0:00"
    if progress.seconds_left is None:
        return "unknown"
    minutes, seconds = divmod(round(progress.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
