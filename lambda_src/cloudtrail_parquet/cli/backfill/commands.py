"""The commands ``backfill``: send days to a queue, see how far that is, take them back, redrive."""

import os
import time
from dataclasses import dataclass, replace
from typing import Annotated, Any, NoReturn

import typer

from cloudtrail_parquet.backfill.message_queue import MessageQueue
from cloudtrail_parquet.backfill.progress import Watch
from cloudtrail_parquet.backfill.record import Backfill, read_record
from cloudtrail_parquet.backfill.sending import send, take_back
from cloudtrail_parquet.backfill.survey import Survey, survey
from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Dataset,
    Day,
    Folders,
    From,
    Regions,
    State,
    To,
    Trees,
    Which,
    Workers,
    range_of,
    with_folders,
)
from cloudtrail_parquet.cli.backfill.aws_options import Profile, Yes
from cloudtrail_parquet.cli.backfill.output import (
    ask,
    print_cancelled,
    print_progress,
    print_sent,
    print_survey,
    progress_line,
    remark,
    sending_bar,
)
from cloudtrail_parquet.cli.backfill.redriving import redrive
from cloudtrail_parquet.cli.backfill.rewriting import rewrite
from cloudtrail_parquet.cli.converting import convert_here
from cloudtrail_parquet.cli.help_pages import Commands, ExampleGroup
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import (
    FAILED,
    QUARANTINED,
    STDOUT,
    note,
    note_left_out,
    note_unplaced,
)
from cloudtrail_parquet.cli.planning import note_recommendation, planning
from cloudtrail_parquet.cli.progress import NoProgress
from cloudtrail_parquet.contract import Variable
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.plan import DEFAULT_ONLY, Only, UnitRange
from cloudtrail_parquet.planning.remarks import up_to_date_line
from cloudtrail_parquet.planning.selection import Selection
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.siblings import look_into_odd_siblings
from cloudtrail_parquet.storage import Stores, open_store
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted

_EVERY_S = 10
_IDLE_LOOKS = 7  # SQS counts messages within a minute


class _StartByDefault(ExampleGroup):
    """``backfill SOURCE DATASET`` is ``backfill start SOURCE DATASET``.

    And ``backfill --rewrite DATASET`` is ``backfill rewrite DATASET``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of click
        if "--rewrite" in args:
            args = ["rewrite", *(argument for argument in args if argument != "--rewrite")]
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = ["start", *args]
        return super().parse_args(ctx, args)


backfill = Commands(
    cls=_StartByDefault,
    help="Convert older days through the queue of a function, or here; or have it rewrite a "
    "dataset. See how far that has got.",
    no_args_is_help=True,
)

Id = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="Which backfill; by default the last one."),
]


@backfill.command()
@with_settings
def start(  # noqa: PLR0913, PLR0917 - each is an option
    source: Trees,
    dataset: Dataset,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    only: Which = DEFAULT_ONLY,
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"URL of the function's queue; by default that in {Variable.QUEUE_URL}.",
        ),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Convert on this machine.")] = False,
    workers: Workers = None,
    folder: Folders = None,
    profile: Profile = None,  # noqa: ARG001 - its callback uses it
    yes: Yes = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,  # noqa: ARG001 - its callback uses it
    *,
    settings: Settings,
) -> None:
    """Show what days take to convert, ask, and send them to a queue, newest first, or convert here.

    The same command again sends only what has not been converted by then.
    """
    started = time.monotonic()
    wanted = range_of(day, first, last, account, region)
    url = _queue_url(queue, local=local)
    locations = Locations.of(source, dataset, state)
    locations.check(settings.part_bytes)
    settings = replace(settings, folders=with_folders(settings.folders, folder or []))
    begun = _Start(wanted, locations, only, settings, yes, as_json)
    if url is None:
        begun.here(workers, started)
    else:
        begun.by_queue(url)


@dataclass(frozen=True)
class _Start:
    """A backfill that is asked for; the attributes are the options of `start`."""

    wanted: UnitRange
    locations: Locations
    only: Only
    settings: Settings
    yes: bool
    as_json: bool

    def here(self, workers: int | None, started: float) -> NoReturn:
        """Convert on this machine."""
        selection, surveyed = self._survey()
        if surveyed.units:
            print_survey(surveyed, by_queue=False, as_json=self.as_json)
            _ask("Convert them on this machine?", yes=self.yes)
        convert_here(
            surveyed.units,
            selection,
            self.locations,
            self.settings,
            workers,
            started,
            as_json=self.as_json,
        )

    def by_queue(self, url: str) -> None:
        """Send to a queue."""
        with MessageQueue.open(url) as queue:
            if queue.max_receives() is None:  # for dead letters themselves, perhaps
                raise queue.no_dead_letters()
            selection, surveyed = self._survey()
            discovery = selection.discovery
            look_into_odd_siblings(selection.source, discovery)
            note_unplaced(discovery.unplaced)
            if not surveyed.units and not discovery.with_logs and not selection.refused:
                raise selection.no_logs()
            if surveyed.units:
                print_survey(surveyed, by_queue=True, as_json=self.as_json)
                sent = self._send(surveyed, queue)
            else:
                note(up_to_date_line(discovery))
                sent = None
            print_sent(sent, surveyed, as_json=self.as_json)
        if note_left_out(selection):
            raise typer.Exit(FAILED)
        if discovery.unplaced:
            raise typer.Exit(QUARANTINED)

    def _survey(self) -> tuple[Selection, Survey]:
        selection = Selection.of(self.locations.source, self.wanted, self.settings.folders)
        with planning(selection):
            surveyed = survey(selection, self.locations.open(), self.only, self.settings)
        if surveyed.units:
            note_recommendation(selection.discovery, self.settings)
        return selection, surveyed

    def _send(self, surveyed: Survey, queue: MessageQueue) -> Backfill:
        if held := queue.counts().total:
            note(
                f"the queue has {counted(held, 'message')} already; what is named there as well is "
                "converted twice, which does no harm (backfill cancel takes back a backfill)"
            )
        messages = surveyed.total.batches
        _ask(f"Send {counted(messages, 'message')} to {queue.url}?", yes=self.yes)
        with sending_bar(messages) as tell:
            return send(surveyed, self.only, queue, self.locations.open(), tell)


def _queue_url(queue: str | None, *, local: bool) -> str | None:
    """The URL of the queue to send to; None to convert here.

    Raises:
        UsageError: Both are asked for, or neither.
    """
    if local and queue:
        raise UsageError("--queue goes without --local", "options", "Use one or the other")
    url = queue or os.environ.get(Variable.QUEUE_URL)
    if not (local or url):
        hint = "Name the function's queue with --queue, or convert on this machine with --local"
        raise UsageError("no queue is named", "backfill", hint)
    return None if local else url


def _ask(question: str, *, yes: bool) -> None:
    if not ask(question, yes=yes):
        note("nothing was done")
        raise typer.Exit(FAILED)


@backfill.command()
def status(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    state: State = None,
    id_: Id = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Repeat that every ten seconds, until it is done or comes to a stop."
        ),
    ] = False,
    profile: Profile = None,  # noqa: ARG001 - its callback uses it
    as_json: AsJson = False,
) -> None:
    """Show how far a backfill has got, by its record, the receipts and its queue.

    Exit status 1 means that units have failed.
    """
    stores = _stores(dataset, state)
    record = read_record(stores.state, id_)
    with MessageQueue.open(record.queue) as queue:
        watching = Watch(stores, record.id, queue)
        progress, idle = watching.look(), 0
        while watch and not progress.is_over and idle < _IDLE_LOOKS:
            idle = idle + 1 if progress.is_idle else 0
            if as_json:
                print_progress(progress, as_json=True)
            else:
                STDOUT.print(progress_line(progress), soft_wrap=True)
            time.sleep(_EVERY_S)
            progress = watching.look()
    print_progress(progress, as_json=as_json)
    if line := remark(progress):
        note(line)
    if progress.failed:
        raise typer.Exit(FAILED)


@backfill.command()
def cancel(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    state: State = None,
    id_: Id = None,
    queue: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of its queue; with --id, if its record is lost."),
    ] = None,
    profile: Profile = None,  # noqa: ARG001 - its callback uses it
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove what of a backfill still waits in its queue; other messages stay."""
    stores = _stores(dataset, state)
    try:
        record = read_record(stores.state, id_)
        name, url = record.id, record.queue
    except UsageError as error:
        if not (id_ and queue):
            raise
        note(f"{error.what}: that it is cancelled is not noted")
        record, name, url = None, id_, queue
    if queue and queue != url:
        raise UsageError(f"was sent to {url}", f"backfill {name}", "Leave out --queue")
    with MessageQueue.open(url) as opened:
        _ask(f"Remove the messages of the backfill {name} from {url}?", yes=yes)
        cancelled = take_back(name, opened, stores if record else None)
    print_cancelled(name, cancelled, as_json=as_json)
    if cancelled.under_way:
        note(
            f"still being worked on: {counted(cancelled.under_way, 'message')}; "
            "what is left of that comes back to the queue: cancel again then"
        )


def _stores(dataset: str, state: str | None) -> Stores:
    """The stores of a dataset; the source is not read."""
    notes = open_store(Locations.state_of(dataset, state))
    return Stores(notes, notes, notes)


backfill.command()(rewrite)
backfill.command()(redrive)
