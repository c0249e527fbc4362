"""Help: each page begins with examples, and settings are on a page of their own.

tests/end_to_end/test_help.py runs the examples one after the other in an empty folder, but for
those that need AWS, of which it looks that they are legal.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from cloudtrail_parquet.cli.output import STDOUT
from cloudtrail_parquet.wording import plural_of

C = TypeVar("C", bound=Callable[..., Any])

_URL = "https://sqs.eu-central-1.amazonaws.com/012345678901/days"
_IN_S3 = "s3://example-lake/cloudtrail"
_EVIDENCE = (
    f"evidence {_IN_S3} \\\n      1c9d9f0e-5b0e-4f0e-9d3c-6a4b8f0c2d11 --day 2026-01-10 \\\n"
    "      --source s3://example-trail -o case.zip"
)

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": ("generate logs", "convert logs cloudtrail", "query cloudtrail --list"),
    "generate": (
        "generate logs",
        "generate late-logs --records 5000 --late 0.1 --corrupt 0.01",
        "generate signed-logs --digests",
    ),
    "plan": ("plan logs", "plan logs cloudtrail --from 2026-01-10 --to 2026-01-12"),
    "convert": (
        "convert logs cloudtrail",
        f"convert s3://example-trail {_IN_S3} \\\n      --day 2026-01-10",
    ),
    "status": (
        "status cloudtrail --source logs",
        "status cloudtrail --from 2026-01-10 --to 2026-01-12",
    ),
    "query": (
        "query cloudtrail --list",
        "query cloudtrail trail_tampering --from 2026-01-10",
        "query cloudtrail services_and_errors_of_a_day --day 2026-01-11",
        'query cloudtrail "SELECT count(*) FROM cloudtrail"',
    ),
    "export": (
        "export cloudtrail --day 2026-01-10",
        "export cloudtrail --day 2026-01-10 -o day.jsonl.gz",
        "export cloudtrail --as aws -o delivered",
    ),
    "verify": ("verify cloudtrail --source logs", "verify cloudtrail --sample 5%"),
    "rewrite": (
        "rewrite cloudtrail --compression gzip --dry-run",
        "rewrite cloudtrail by-day --partition-layout year/month/day",
    ),
    "expire": (
        "expire cloudtrail --older-than 7y --dry-run",
        'expire cloudtrail --older-than "18 months"',
    ),
    "report": (
        "report cloudtrail",
        "report cloudtrail -o january.html --from 2026-01-01 --to 2026-01-31",
    ),
    "evidence": (_EVIDENCE,),
    "inspect": ("inspect cloudtrail",),
    "schema": ("schema --format duckdb",),
    "backfill": (
        "backfill logs cloudtrail --local --yes",
        f"backfill s3://example-trail {_IN_S3} \\\n      --from 2025-01-01 --queue {_URL}",
    ),
    "backfill start": (
        "backfill logs cloudtrail --local --yes",
        f"backfill s3://example-trail {_IN_S3} \\\n      --from 2025-01-01 --queue {_URL}",
    ),
    "backfill rewrite": (f"backfill rewrite {_IN_S3} \\\n      --queue {_URL}",),
    "backfill status": (f"backfill status {_IN_S3} --watch",),
    "backfill cancel": (f"backfill cancel {_IN_S3}",),
    "backfill redrive": (f"backfill redrive \\\n      --queue {_URL}",),
}
"""By command: what to type after the name of the program."""

WORDS = {
    "unit": "what is converted as a whole: by default a day of an account and region",
    "straggler": "a record that came hours late: its day gets a further file for it",
    "settled": "said of a day three hours after its end: only stragglers still come",
}
"""The words that all outputs use, as docs/architecture.md defines them."""


def _print_examples(context: Any) -> None:  # noqa: ANN401 - a context of click
    names = list[str]()
    while context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    examples = EXAMPLES.get(" ".join(names), ())
    STDOUT.print(f" {plural_of(len(examples), 'Example')}:")
    for example in examples:
        STDOUT.print(f"   cloudtrail-parquet {example}", markup=False, soft_wrap=True)


class ExampleCommand(TyperCommand):
    """A command whose help begins with examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, D102 - of click
        _print_examples(ctx)
        super().format_help(ctx, formatter)


class ExampleGroup(TyperGroup):
    """A group of commands whose help begins with examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, D102 - of click
        _print_examples(ctx)
        super().format_help(ctx, formatter)


class Commands(typer.Typer):
    """Commands, and groups of them, whose help begins with examples."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[C], C]:  # noqa: ANN401
        """The decorator that adds a command; see `typer.Typer.command`."""
        return super().command(name, **{"cls": ExampleCommand, **options})
