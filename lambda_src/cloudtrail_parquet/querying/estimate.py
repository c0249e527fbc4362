"""How much a question reads, before it does: from DuckDB's plan and the footers of the parts.

The plan names the parts that are left after the filters on folders, the columns, and the filters
that are compared with the statistics of row groups; footers have the sizes of column chunks. It is
an estimate. DuckDB reads less than that where Bloom filters, page indexes or filters that are known
only while a query runs leave something out, and more where it reads what lies between two column
chunks to save a request.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from cloudtrail_parquet.querying.engine import Engine
from cloudtrail_parquet.querying.files import SCHEME
from cloudtrail_parquet.storage import Entry

_SAMPLE = 256
"""So many footers tell enough of any number of parts: a second or two in a bucket."""

_FOOTER_BYTES = 16_384  # what DuckDB reads at least of the end of a part
_UNFETCHED_BYTES = 1_000_000
"""DuckDB 2.0 does not fetch structs as a whole, nor members of them that are filtered on, with the
other columns: of each row group it reads at least so many bytes from their beginning on."""

_WHOLE = 0.95  # from this share of a row group on, DuckDB reads all of it at once

_COMPARED = re.compile(r"(\w+) (=|>=|<=|>|<) '((?:[^']|'')*)'(::TIMESTAMP WITH TIME ZONE)?")
_PATHS = re.compile(r"'(?:[^']|'')*'|([A-Za-z]\w*(?:\.\w+)*)")


class Scan(NamedTuple):
    """What a plan reads of the parts at one place.

    Attributes:
        parts: The parts that are left.
        columns: Paths of columns, such as ``userIdentity.arn``; what is below them is read, too.
        filtered: Those of them that are filtered on.
        filters: The filters that hold for each row, as DuckDB writes them.
    """

    parts: list[Entry]
    columns: list[str]
    filtered: list[str]
    filters: list[str]


class ReadEstimate(NamedTuple):
    """What a question reads at most.

    Attributes:
        parts: How many parts.
        part_bytes: Their size.
        columns: The paths of the columns, sorted.
        bytes: At most so many are read: footers, indexes and column chunks.
        footers: Of how many parts the footers were looked at; the rest is estimated by size.
    """

    parts: int
    part_bytes: int
    columns: list[str]
    bytes: int
    footers: int


def estimate(engine: Engine, sql: str) -> ReadEstimate:
    """What a statement reads.

    Raises:
        UsageError: DuckDB refuses it.
        StorageError: A footer cannot be read.
    """
    scans = list(_scans(engine, engine.plan(sql)))
    parts = {part.key: part for scan in scans for part in scan.parts}
    looked_at = 0
    total = 0.0
    for scan in scans:
        sample = _sampled(scan.parts)
        looked_at = max(looked_at, len(sample))
        share = sum(part.size for part in scan.parts) / max(1, sum(part.size for part in sample))
        total += share * _bytes_of(engine, scan, sample) if sample else 0
    return ReadEstimate(
        parts=len(parts),
        part_bytes=sum(part.size for part in parts.values()),
        columns=sorted({column for scan in scans for column in scan.columns}),
        bytes=round(total),
        footers=looked_at,
    )


def _sampled(parts: list[Entry]) -> list[Entry]:
    step = max(1, len(parts) // _SAMPLE)
    return parts[::step]


def _scans(engine: Engine, plan: dict[str, Any], above: str = "") -> Iterator[Scan]:
    """The scans of a plan; ``above`` is what the operators above it say."""
    about = plan["extra_info"]
    if about.get("Function") == "READ_PARQUET":
        filters = _listed(about.get("Filters"))
        known = set(engine.columns)
        filtered = {path for text in filters for path in _paths(text, known)}
        # A plan may leave the columns out, and tell only what is done with them.
        projected = set(_listed(about.get("Projections"))) or set(_paths(above, known))
        yield Scan(
            _left(engine, about.get("File Filters", "")),
            sorted((projected | filtered) - {"filename"}),
            sorted(filtered),
            filters,
        )
    for child in plan["children"]:
        said = " ".join(text for value in about.values() for text in _listed(value))
        yield from _scans(engine, child, f"{above} {said}")


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) and value else list(value or ())


def _paths(text: str, known: set[str]) -> Iterator[str]:
    """The paths of columns in a filter."""
    for match in _PATHS.finditer(text):
        if match[1] and match[1].partition(".")[0] in known:
            yield match[1]


def _left(engine: Engine, filters: str) -> list[Entry]:
    """The parts that filters on their names leave; all if these are not understood."""
    parts = engine.chosen.parts
    if not filters:
        return parts
    locations = engine.locations_where(" AND ".join(_terms(filters)))
    if locations is None:
        return parts
    return [part for part in parts if f"{SCHEME}{part.key}" in locations]


def _terms(filters: str) -> Iterator[str]:
    """The terms of a text such as ``(a = ')')(b = 1)``."""
    depth, begin, is_text = 0, 0, False
    for number, character in enumerate(filters):
        if character == "'":
            is_text = not is_text
        elif not is_text and character == "(":
            begin = begin if depth else number
            depth += 1
        elif not is_text and character == ")":
            depth -= 1
            if not depth:
                yield filters[begin : number + 1]


def _bytes_of(engine: Engine, scan: Scan, sample: Iterable[Entry]) -> int:
    """About how many bytes are read of some parts, by their footers."""
    paths = ", ".join(f"({_text(path)}, {path in scan.filtered})" for path in scan.columns)
    return engine.number(
        _BYTES_READ.format(
            paths=paths or "(NULL, false)",
            excluded=" OR ".join(_contradictions(scan.filters)) or "false",
        ),
        [f"{SCHEME}{part.key}" for part in sample],
    )


_BYTES_READ = f"""
WITH paths (path, filtered) AS (
    VALUES {{paths}}
), footers AS (
    SELECT file_name, file_size_bytes AS size,
        if(footer_size < {_FOOTER_BYTES}, {_FOOTER_BYTES}, footer_size + {2 * _FOOTER_BYTES})
            AS footer
    FROM parquet_file_metadata($1)
), chunks AS (
    SELECT file_name, row_group_id, replace(path_in_schema, ', ', '.') AS leaf,
        coalesce(dictionary_page_offset, data_page_offset) AS start,
        total_compressed_size AS bytes, coalesce(bloom_filter_length, 0) AS bloom_bytes,
        stats_min_value AS least, stats_max_value AS greatest
    FROM parquet_metadata($1)
), groups AS (
    SELECT file_name, row_group_id, sum(bytes) AS bytes, bool_or({{excluded}}) AS excluded
    FROM chunks GROUP BY ALL
), columns AS (
    SELECT file_name, row_group_id, path, sum(bytes) AS bytes, min(start) AS start,
        coalesce(sum(bloom_bytes) FILTER (filtered), 0) AS bloom_bytes,
        NOT bool_or(leaf = path) OR bool_or(filtered AND contains(path, '.')) AS unfetched
    FROM chunks JOIN paths ON leaf = path OR starts_with(leaf, path || '.')
    GROUP BY ALL
), read AS (
    SELECT file_name, row_group_id, sum(bytes) AS bytes, sum(bloom_bytes) AS bloom_bytes, sum(
        if(unfetched, greatest(bytes, least({_UNFETCHED_BYTES}, size - start)), bytes)) AS all_bytes
    FROM columns JOIN footers USING (file_name)
    GROUP BY ALL
), parts AS (
    SELECT file_name, sum(bloom_bytes + if(
        read.bytes > groups.bytes * {_WHOLE}, groups.bytes, read.all_bytes)) AS bytes
    FROM read JOIN groups USING (file_name, row_group_id)
    WHERE NOT excluded
    GROUP BY ALL
)
SELECT sum(footer + coalesce(bytes, 0)) FROM footers LEFT JOIN parts USING (file_name)
"""


def _contradictions(filters: Iterable[str]) -> Iterator[str]:
    """Conditions on column chunks; if one holds, no row of the row group meets the filters."""
    for text in filters:
        if " OR " in text:
            continue
        for column, operator, literal, is_time in _COMPARED.findall(text):
            cast = "TRY_CAST({} AS TIMESTAMPTZ)" if is_time else "{}"
            least, greatest = cast.format("least"), cast.format("greatest")
            value = cast.format(f"'{literal}'")
            holds = {
                "=": f"{least} > {value} OR {greatest} < {value}",
                ">": f"{greatest} <= {value}",
                ">=": f"{greatest} < {value}",
                "<": f"{least} >= {value}",
                "<=": f"{least} > {value}",
            }
            yield f"(leaf = {_text(column)} AND coalesce({holds[operator]}, false))"


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
