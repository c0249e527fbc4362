"""A question put to DuckDB, which sees the chosen parts as `cloudtrail` and nothing else."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cloudtrail_parquet.dataset.parts import readable
from cloudtrail_parquet.errors import CloudTrailParquetError, UsageError
from cloudtrail_parquet.querying.as_text import has_place, numbered, texts_of
from cloudtrail_parquet.querying.chosen import ChosenParts
from cloudtrail_parquet.querying.files import SCHEME, PartFiles
from cloudtrail_parquet.querying.library import Value
from cloudtrail_parquet.querying.view import view_of
from cloudtrail_parquet.reference.ddl import TABLE
from cloudtrail_parquet.storage import ReadStore
from cloudtrail_parquet.storage.scratch import scratch_folder
from cloudtrail_parquet.wording import counted

_REQUESTS_AT_A_TIME = 32
"""For a bucket: 1,000 small parts 20 ms away take 1.4 s, with 8 at a time 5 s; 64 gain nothing."""

_BATCH_ROWS = 10_000
_MEMORY = "50%"
_RETURN_ROWS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_COMMENTS = r"\s*(?:--.*\n\s*|/\*(?s:.*?)\*/\s*)*"
_OWN = re.compile(
    rf"{_COMMENTS}(CREATE(\s+OR\s+REPLACE)?|DROP)(\s+TEMP(ORARY)?)?\s+(TABLE|VIEW|MACRO|FUNCTION)\b",
    re.IGNORECASE,
)
_FORMS = {
    duckdb.StatementType.SELECT: re.compile(""),
    duckdb.StatementType.EXPLAIN: re.compile(
        rf"{_COMMENTS}EXPLAIN\s+(ANALYZE\s+)?(\(.*?\)\s*)?(SELECT|WITH|FROM)\b", re.IGNORECASE
    ),
    duckdb.StatementType.SET: re.compile(rf"{_COMMENTS}(RE)?SET\s+VARIABLE\b", re.IGNORECASE),
    duckdb.StatementType.CREATE: _OWN,
    duckdb.StatementType.DROP: _OWN,
}
"""What may be asked: tables, views and macros of one's own are in memory, and end with it."""


_HINTS = {
    "Binder": "docs/columns.md lists the columns of cloudtrail",
    "Catalog": "The dataset is the view cloudtrail",
    "Permission": "Only the dataset can be read; write results with --output FILE",
    "Out of Memory": "Ask about fewer days or columns, or spill to a larger disk: TMPDIR=/path",
}

_LOCKED = re.compile(r"\s*(?:Possible solutions|This limit was set by)")  # advice: settings
_PART = re.compile(rf"{SCHEME}(.*?\.parquet)")
_OF_BYTES = re.compile(r'"exception_type":"(Invalid|IO|Internal|INTERNAL|Serialization)"')
"""How DuckDB's errors about bytes that cannot be read begin, rather than those about SQL."""

_EXPLAIN = "EXPLAIN "

T = TypeVar("T")


class Result(NamedTuple):
    """What a statement returns.

    Attributes:
        schema: Its columns, each with a name of its own, and of types that Parquet has.
        batches: Its rows, which have to be read to their end before anything else is asked.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    @classmethod
    def of(cls, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Self:
        """What DuckDB has returned: columns of one name are numbered, odd types are text."""
        are_odd = [not has_place(type_) for type_ in schema.types]
        types = [
            pa.string() if odd else type_ for odd, type_ in zip(are_odd, schema.types, strict=True)
        ]
        new = pa.schema(list(zip(numbered(schema.names), types, strict=True)))

        def changed(batch: pa.RecordBatch) -> pa.RecordBatch:
            columns = [
                texts_of(column) if odd else column
                for odd, column in zip(are_odd, batch.columns, strict=True)
            ]
            return pa.RecordBatch.from_arrays(columns, schema=new)

        return cls(new, map(changed, batches))


class SqlPosition(NamedTuple):
    """Where in a text of SQL something is, both from 1."""

    line: int
    column: int

    @classmethod
    def of(cls, sql: str, offset: int) -> Self:
        """The position of a byte, as DuckDB counts."""
        before = sql.encode()[:offset].decode(errors="ignore")
        return cls(before.count("\n") + 1, len(before) - before.rfind("\n"))

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Engine:
    """A connection to DuckDB in which the chosen parts are the view ``cloudtrail``, as a context.

    It reads these parts and no other file, asks nothing else of the network, and writes only to a
    temporary folder of its own, when memory does not suffice; half of it may be used. Settings
    cannot be changed. Times are UTC.

    Attributes:
        files: What DuckDB reads, and counts of it.
        chosen: The parts that it sees.
        columns: The names of the columns of the view.
    """

    def __init__(self, dataset: ReadStore, chosen: ChosenParts) -> None:
        self.files = PartFiles(dataset, chosen.parts)
        self.chosen = chosen
        self._dataset = dataset
        self.columns: list[str] = []
        self._is_remote = dataset.parallel > 1
        self._context = ExitStack()
        self._thread = ThreadPoolExecutor(1, "duckdb")

    def __enter__(self) -> Self:
        with ExitStack() as context:
            folder = context.enter_context(scratch_folder())
            self._con = context.enter_context(duckdb.connect(config=self._config(str(folder))))
            context.enter_context(self._thread)
            self._con.register_filesystem(self.files)
            context.callback(self._con.unregister_filesystem, PartFiles.protocol)
            with self._translated(partial(_error_of, "")):
                self._prepare()
                self.assign({})
            self._context = context.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.close()

    def _config(self, folder: str) -> dict[str, Any]:
        config: dict[str, Any] = {
            "memory_limit": _MEMORY,
            "temp_directory": folder,
            "max_temp_directory_size": f"{shutil.disk_usage(folder).free // 2}B",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
        }
        if self._is_remote:
            config["threads"] = config["async_threads"] = _REQUESTS_AT_A_TIME
        return config

    def _prepare(self) -> None:
        run = self._con.execute
        run("SET TimeZone = 'UTC'")
        run("SET errors_as_json = true")
        run("SET python_enable_replacements = false")
        run(f"SET allowed_directories = ['{SCHEME}']")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")
        run(view_of(self._con, self.files, self.chosen))
        self.columns = self._con.sql(f"FROM {TABLE} LIMIT 0").columns

    def assign(self, variables: Mapping[str, Value | None]) -> None:
        """Give variables their values, as queries read them; None takes a value away.

        The location of the dataset is among them, and no other than its own.
        """
        for name, value in {**variables, "dataset": SCHEME.removesuffix("/")}.items():
            if value is None:
                self._con.execute(f'RESET VARIABLE "{name}"')
            else:
                self._con.execute(f'SET VARIABLE "{name}" = $1', [value])

    def plan(self, sql: str) -> dict[str, Any]:
        """DuckDB's plan of a statement.

        Raises:
            UsageError: DuckDB refuses it, or there are several.
        """
        statement = self._statement(sql)
        if statement.type != duckdb.StatementType.SELECT:
            return {"children": [], "extra_info": {}}
        with self._explained(statement.query):
            ((_, plan),) = self._fetched(f"EXPLAIN (FORMAT json) {statement.query}")
        (root,) = json.loads(plan)
        return dict(root)

    def locations_where(self, condition: str) -> set[str] | None:
        """The locations for which a condition on ``filename`` holds; None if it cannot be told."""
        source = f"SELECT unnest(getvariable('{self.files.variable}')) AS filename"
        sql = f"FROM ({source}) WHERE {condition}"
        try:
            return {location for (location,) in self._con.execute(sql).fetchall()}
        except duckdb.Error:
            return None

    def number(self, sql: str, locations: list[str]) -> int:
        """The number that a query of our own gives about the parts at some locations.

        Raises:
            StorageError: A part cannot be read.
        """
        with self._translated(lambda error: _error_of(sql, error)):
            ((value,),) = self._fetched(sql, [locations])
        return int(value or 0)

    def _fetched(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        return self._apart(lambda: self._con.execute(sql, parameters).fetchall())

    def ask(self, sql: str) -> Iterator[Result]:
        """Run a statement; yields what it returns, if it does, to be read to its end.

        Raises:
            UsageError: DuckDB refuses it, or cannot do it; says where in the text. Or there are
                several.
            StorageError: A part cannot be read.
        """
        statement = self._statement(sql)
        self.files.error = None
        with self._explained(statement.query):
            if statement.type not in _RETURN_ROWS:
                self._apart(partial(self._con.execute, statement))
                return
            reader = self._apart(partial(self._reader, statement.query))
        yield Result.of(reader.schema, self._batches(statement.query, reader))

    def _reader(self, sql: str) -> pa.RecordBatchReader:
        return self._con.sql(sql).to_arrow_reader(_BATCH_ROWS)

    def _batches(self, sql: str, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._explained(sql):
            while (batch := self._apart(lambda: next(iter(reader), None))) is not None:
                yield batch

    def _apart(self, run: Callable[[], T]) -> T:
        """What DuckDB does, in another thread, so that signals arrive here and can end it."""
        running = self._thread.submit(run)
        try:
            return running.result()
        finally:
            if not running.done():  # Ctrl-C, for example
                self._con.interrupt()
                wait([running])

    def _statement(self, sql: str) -> duckdb.Statement:
        """The statement of a text: one, so that all of it is limited, and all rows are written."""
        with self._explained(sql):
            statements = self._con.extract_statements(sql)
        if not statements:
            hint = "Write a statement, such as FROM cloudtrail LIMIT 10"
            raise UsageError("there is nothing in it", "SQL", hint)
        (statement, *others) = statements
        if others:
            what = f"these are {counted(len(statements), 'statement')}, and one is asked at a time"
            raise UsageError(what, "SQL", "Ask one after the other, at the prompt if need be")
        type_ = _type_of(statement)
        if type_ == duckdb.StatementType.MULTI:
            what = "PIVOT without its values is several statements"
            raise UsageError(what, "SQL", "Name them: PIVOT … ON column IN ('a', 'b')")
        form = _FORMS.get(type_) if type_ else None
        if form is None or not form.match(statement.query):
            name = type_.name if type_ else "such a statement"
            what = f"{name} is refused: a dataset is only read here"
            raise UsageError(what, "SQL", "Write results with --output FILE")
        return statement

    def _explained(self, sql: str) -> AbstractContextManager[None]:
        """A context for a statement: DuckDB's errors become ours."""
        return self._translated(lambda error: self._with_position(sql, error))

    @contextmanager
    def _translated(self, explain: Callable[[Exception], UsageError]) -> Iterator[None]:
        try:
            yield
        except CloudTrailParquetError:
            raise
        except Exception as error:
            if isinstance(self.files.error, CloudTrailParquetError):
                raise self.files.error from error
            self._check_parts(str(error))
            raise explain(error) from error

    def _check_parts(self, text: str) -> None:
        """Read the part that an error may be about, as the other commands do.

        Of some damage DuckDB does not tell where it is; it is in one of the parts read last.

        Raises:
            StorageError: It is damaged, which DuckDB takes for a mistake of the question.
        """
        named, parts = _PART.search(text), {part.key for part in self.chosen.parts}
        keys = [named[1]] if named else []
        if named is None and _OF_BYTES.search(text):
            keys = list(self.files.recent)
        for key in parts.intersection(keys):
            with readable(self._dataset, key), self._dataset.open(key) as file:
                for _ in pq.ParquetFile(file, page_checksum_verification=True).iter_batches():
                    pass

    def _with_position(self, sql: str, error: Exception) -> UsageError:
        """The error of a statement; where it is wrong, DuckDB tells only when it explains it."""
        try:
            self._con.execute(f"{_EXPLAIN}{sql}")
        except duckdb.Error as told:
            return _error_of(sql, told, len(_EXPLAIN))
        return _error_of(sql, error)


def _type_of(statement: duckdb.Statement) -> duckdb.StatementType | None:
    """The type of a statement; None for one that DuckDB's package has no name for."""
    try:
        return statement.type
    except ValueError:
        return None


def _error_of(sql: str, error: Exception, skipped: int = 0) -> UsageError:
    """DuckDB's error in a line, with the position that it names, if it does."""
    text = str(error)
    kind, _, message = text.partition(" Error: ")
    told: dict[str, str] = {}
    with suppress(ValueError):
        told = json.loads(message)
    message = _LOCKED.split(told.get("exception_message", message or text))[0]
    lines = (line.strip() for line in message.splitlines())
    what = " ".join(filter(None, lines)).rstrip(".?!")
    where = "SQL"
    if "position" in told:
        where = f"SQL, {SqlPosition.of(sql, max(0, int(told['position']) - skipped))}"
    return UsageError(what, where, _HINTS.get(kind, "Correct the SQL"))
