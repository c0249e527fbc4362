"""The command ``backfill rewrite``: have a function rewrite a dataset, by its queue."""

import os
from typing import Annotated

import typer

from cloudtrail_parquet.backfill.message_queue import MessageQueue
from cloudtrail_parquet.backfill.sending import send
from cloudtrail_parquet.backfill.survey import survey_rewrites
from cloudtrail_parquet.cli.arguments import (
    Accounts,
    AsJson,
    Dataset,
    Day,
    From,
    Regions,
    State,
    To,
    range_of,
)
from cloudtrail_parquet.cli.backfill.aws_options import Profile, Yes
from cloudtrail_parquet.cli.backfill.output import ask, print_sent, print_survey, sending_bar
from cloudtrail_parquet.cli.history.rewriting import WHICH_TO_REWRITE
from cloudtrail_parquet.cli.options import with_settings
from cloudtrail_parquet.cli.output import FAILED, note
from cloudtrail_parquet.contract import Variable
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.planning.ranges import ToRewrite
from cloudtrail_parquet.rewriting.many import DatasetAndState
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_existing
from cloudtrail_parquet.storage.locations import Locations
from cloudtrail_parquet.wording import counted


@with_settings
def rewrite(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Dataset,
    state: State = None,
    day: Day = None,
    first: From = None,
    last: To = None,
    account: Accounts = None,
    region: Regions = None,
    only: Annotated[
        ToRewrite, typer.Option("--only", metavar="WHICH", help=WHICH_TO_REWRITE)
    ] = "outdated",
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=f"URL of the function's queue; by default that in {Variable.QUEUE_URL}.",
        ),
    ] = None,
    profile: Profile = None,  # noqa: ARG001 - its callback uses it
    yes: Yes = False,
    as_json: AsJson = False,
    *,
    settings: Settings,
) -> None:
    """Send what rewrite would do to a function's queue, newest days first; ask before.

    Parts become what the function's own settings say: give the same here. The same command again
    sends only what is not rewritten by then.
    """
    wanted, url = range_of(day, first, last, account, region), queue or _queue_of_environment()
    open_existing(dataset, "dataset")
    stores = DatasetAndState(dataset, Locations.state_of(dataset, state)).open()
    with MessageQueue.open(url) as opened:
        if opened.max_receives() is None:  # for dead letters themselves, perhaps
            raise opened.no_dead_letters()
        surveyed, sent = survey_rewrites(wanted, stores, only, settings), None
        if surveyed.units:
            print_survey(surveyed, by_queue=True, as_json=as_json)
            messages = surveyed.total.batches
            if not ask(f"Send {counted(messages, 'message')} to {opened.url}?", yes=yes):
                note("nothing was done")
                raise typer.Exit(FAILED)
            with sending_bar(messages) as tell:
                sent = send(surveyed, only, opened, stores, tell)
        else:
            note("up to date: nothing to rewrite")
        print_sent(sent, surveyed, as_json=as_json)


def _queue_of_environment() -> str:
    url = os.environ.get(Variable.QUEUE_URL)
    if not url:
        hint = "Name the function's queue with --queue; or run rewrite on this machine"
        raise UsageError("no queue is named", "backfill", hint)
    return url
