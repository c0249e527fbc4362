"""The arguments and options of ``query``, but for those that other commands have, too."""

from pathlib import Path
from typing import Annotated

import typer

from cloudtrail_parquet.cli.asking.words import Format
from cloudtrail_parquet.querying.library import Dialect

Asked = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATASET [NAME | SQL] [--PARAMETER VALUE]...",
        help="Folder or URI with the partitions; the name of a query, SQL, or - for stdin.",
        show_default=False,
    ),
]


AsFormat = Annotated[
    Format, typer.Option("--format", help="How rows are written; parquet needs --output.")
]


Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the rows to this file; .gz packs it."
    ),
]


Force = Annotated[bool, typer.Option("--force", help="Replace the file that --output names.")]


SqlFile = Annotated[Path | None, typer.Option("--file", help="Read SQL from this file.")]


Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter, or a variable of SQL; repeatable."
    ),
]


Explain = Annotated[
    bool, typer.Option("--explain", help="Say what would be read, and do not read it.")
]


MaxBytes = Annotated[
    str | None,
    typer.Option("--max-bytes", metavar="SIZE", help="Read no more than this, such as 10GB."),
]


ListQueries = Annotated[
    bool, typer.Option("--list", help="List the queries with their parameters.")
]


PrintQuery = Annotated[
    bool, typer.Option("--print", help="Print the SQL of a query instead of running it.")
]


ForEngine = Annotated[
    Dialect, typer.Option("--dialect", help="With --print: the engine that the SQL is for.")
]
