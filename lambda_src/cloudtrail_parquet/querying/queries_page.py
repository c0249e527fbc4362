"""The page about the queries, made from the comments at their heads.

python -m cloudtrail_parquet.querying.queries_page > queries/README.md
"""

import sys

from cloudtrail_parquet.querying.library import Parameter, Query, names, queries
from cloudtrail_parquet.reference.markdown import table

_PAGE = """\
# Investigations

Made from the comments at the heads of the queries; change those, then run
`python -m cloudtrail_parquet.querying.queries_page > queries/README.md`.

Questions in DuckDB's SQL, to run as they are over a view `cloudtrail`: that of the
[README](../README.md), or the one that `cloudtrail-parquet schema --format duckdb` prints, once the
location of the dataset stands there in place of `DATASET`. They are the same for every
[layout](../docs/reading.md#layouts), each of which has a view of its own (`--partition-layout`).

In DuckDB's command line:

```sql
SET TimeZone = 'UTC';
SET VARIABLE key = 'AKIAIOSFODNN7EXAMPLE';
.read queries/calls_of_an_access_key.sql
```

Parameters are variables, read with `getvariable`: `SET VARIABLE day = DATE '2026-01-11'` sets one,
`RESET VARIABLE day` clears it. The comment at the head of each file says what its parameters mean
and what the query does without them; without one that is **bold** below, nothing is found.

Most queries look at everything that the view shows (`services_and_errors_of_a_day` reads one day,
`late_records` the files themselves). To ask about less, make the view smaller; then only the
folders that it names are read, and if accounts are a column, the row groups that may have this one:

```sql
CREATE OR REPLACE VIEW cloudtrail AS SELECT * FROM read_parquet('cloudtrail/**/*.parquet',
    hive_partitioning = true, hive_types_autocast = false,
    hive_types = {'year': BIGINT, 'month': BIGINT, 'day': BIGINT})
WHERE account = '012345678901' AND year = 2026 AND month = 1;
```

Rows come in a fixed order. `account` is the account that the record was delivered for, except for
roles, where the comment says otherwise. An empty result proves nothing by itself: the trail may not
record such events (data events above all), or the days may not be converted.

An event may be there for several regions, once for each that CloudTrail delivered it to: sign-ins
and calls of global services such as IAM, above all when two trails write to one bucket. The queries
list and count it once, by account and `eventID`, preferring the row whose `region` is its
`awsRegion`:

```sql
QUALIFY eventID IS NULL OR 1 = rank() OVER (
    PARTITION BY account, eventID ORDER BY region <> awsRegion, region)
```

`one_event` and `late_records` show the row of each region; `copies_in_other_regions` counts them.

For Athena, `athena/` has the same questions in its SQL, over a `cloudtrail` that has the days in
question and the columns `date` and `path` (of the file). [Terraform](../docs/deploy.md#athena)
makes named queries of them. Parameters are written `?`, and where all are meant a pattern takes the
place of a missing one. Three differ: chains of roles and of sessions have three links at most, and
`services_and_errors_of_a_day` is about all days that are read.

For Polars, `polars/` has those that look most unlike SQL there, over the `cloudtrail` of
`cloudtrail-parquet schema --format polars`:
"""


def queries_page() -> str:
    """The page as Markdown, with a row for each query."""
    titles = ("query", "question", "parameters", "source of the idea")
    polars = ",\n".join(f"[{name}](polars/{name}.py)" for name in names("polars"))
    return f"{_PAGE}{polars}.\n\n{table(titles, map(_row, queries()))}\n"


def _row(query: Query) -> tuple[str, ...]:
    return (
        f"[{query.name}]({query.name}.sql)",
        query.title,
        ", ".join(map(_named, query.parameters)),
        query.source.rstrip("."),
    )


def _named(parameter: Parameter) -> str:
    return f"**`{parameter.name}`**" if parameter.is_required else f"`{parameter.name}`"


if __name__ == "__main__":
    sys.stdout.write(queries_page())
