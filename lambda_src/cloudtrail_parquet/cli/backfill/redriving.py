"""The command ``backfill redrive``: tell why events failed too often, and send them again."""

import json
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Annotated

import typer

from cloudtrail_parquet.backfill.aws import client_of, region_in
from cloudtrail_parquet.backfill.message_queue import Message, MessageQueue
from cloudtrail_parquet.backfill.redrive import (
    DeadLetter,
    DeadLetters,
    Reasons,
    Send,
    logged_reasons,
    to_bus,
    to_queue,
)
from cloudtrail_parquet.cli.arguments import AsJson
from cloudtrail_parquet.cli.backfill.aws_options import Profile, Yes
from cloudtrail_parquet.cli.backfill.output import ask
from cloudtrail_parquet.cli.output import FAILED, STDOUT, note
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.wording import counted, plural_of

UNSAID = "neither Lambda nor EventBridge says why it is here"

Pile = tuple[DeadLetters, Send]
"""Dead letters of a queue, and what sends them again."""


def redrive(  # noqa: PLR0913, PLR0917 - each is an option
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="URL of the function's queue, which names that of its dead letters.",
        ),
    ] = None,
    failures: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of the queue of events that failed outside it."),
    ] = None,
    bus: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name or ARN of the event bus to which those are sent."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The function's log group, which has the queue's reasons."
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only those with this text in their reason.")
    ] = None,
    profile: Profile = None,  # noqa: ARG001 - its callback uses it
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show why events failed too often, ask, and send them again."""
    if not (queue or failures) or bool(failures) != bool(bus):
        hint = "Name --queue, or --failures and --bus, or all of them"
        raise UsageError("no queue is named, or no bus to send its events to", "redrive", hint)
    with ExitStack() as opened:
        piles = [
            *([_of_queue(opened, queue, log)] if queue else []),
            *([_of_failures(opened, failures, bus)] if failures and bus else []),
        ]
        chosen = [
            [letter for letter in pile.letters if (reason or "").lower() in letter.reason.lower()]
            for pile, _ in piles
        ]
        letters = [letter for some in chosen for letter in some]
        _print(letters, as_json=as_json)
        events = sum(letter.event is not None for letter in letters)
        if not letters:
            note(f"no dead letters{' with that reason' if reason else ''}")
        if others := len(letters) - events:
            are = plural_of(others, "is not an event: purge it", "are not events: purge them")
            note(f"not sent again: {counted(others, 'message')}, which {are}")
        if not events:
            return
        if not ask(f"Send {counted(events, 'event')} again?", yes=yes):
            note("nothing was sent")
            raise typer.Exit(FAILED)
        for (pile, send), some in zip(piles, chosen, strict=True):
            pile.resend(some, send)
        note(f"sent again: {counted(events, 'event')}")


def _of_queue(opened: ExitStack, url: str, log: str | None) -> Pile:
    queue = opened.enter_context(MessageQueue.open(url))
    dead_letters = queue.dead_letters()
    if dead_letters is None:
        raise queue.no_dead_letters()
    reasons: Reasons = _without_log
    if log:
        client = opened.enter_context(client_of("logs", log, region_in(url)))
        reasons = logged_reasons(client, log)
    return opened.enter_context(DeadLetters(dead_letters, reasons)), to_queue(queue)


def _of_failures(opened: ExitStack, url: str, bus: str) -> Pile:
    queue = opened.enter_context(MessageQueue.open(url))
    client = opened.enter_context(client_of("events", bus, region_in(url)))
    return opened.enter_context(DeadLetters(queue, _without_reason)), to_bus(client, bus)


def _without_log(messages: list[Message]) -> dict[str, str]:
    unknown = "the function's log has the reason; --log NAME looks there"
    return {message.id: unknown for message in messages}


def _without_reason(messages: list[Message]) -> dict[str, str]:
    """For messages that no service gave up, so no log has their ids."""
    return dict.fromkeys((message.id for message in messages), UNSAID)


def _print(letters: list[DeadLetter], *, as_json: bool) -> None:
    for letter in letters:
        if as_json:
            row = {"message_id": letter.message.id, "event": letter.about, "reason": letter.reason}
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            text = f"{letter.about}: {letter.reason}"
            STDOUT.print(printable(text), markup=False, soft_wrap=True)
    counts = Counter(letter.reason for letter in letters)
    if len(counts) < len(letters):
        for text, count in counts.most_common():
            note(f"{counted(count, 'time')}: {text}")
