"""One measured conversion in a process: ``python bench/contestants.py NAME LOGS OUT``.

pandas and numpy are hidden from it: Arrow imports them wherever they are installed, and where these
programs run for real they are not.
"""

import json
import resource
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname in {"numpy", "pandas"}:
            raise ModuleNotFoundError(fullname)


def hide_pandas() -> None:
    """Let no later import find pandas or numpy."""
    sys.meta_path.insert(0, _Absent())


def log_files(logs: Path) -> list[Path]:
    """The log files of a corpus, in the order of their names."""
    return sorted(path for path in logs.rglob("*.json.gz") if "/CloudTrail/" in path.as_posix())


def ours(logs: Path, out: Path) -> None:
    """The converter itself, with one worker."""
    from cloudtrail_parquet.cli import commands as cli

    sys.argv = ["cloudtrail-parquet", "convert", str(logs), str(out), "--workers", "1", "--json"]
    cli.main()


def duckdb(logs: Path, out: Path) -> None:
    """A single statement of DuckDB: same columns, codec, level, row groups, but no collation."""
    import duckdb as engine

    from cloudtrail_parquet.schema.columns import RECORD
    from cloudtrail_parquet.settings.options import WriterOptions
    from cloudtrail_parquet.settings.settings import Settings

    options = WriterOptions.of(Settings())
    codec, level = options.codec
    out.mkdir(parents=True)
    largest = 32 * max(path.stat().st_size for path in log_files(logs))  # inflated, at the most
    members = ", ".join(f'"{field.name}" {_duckdb_type(field)}' for field in RECORD)
    files = ", ".join(f"'{path}'" for path in log_files(logs))
    engine.execute(f"SET temp_directory = '{out}.spilled'")
    engine.execute(
        f"""COPY (
              SELECT unnest(Records, max_depth := 2) FROM read_json([{files}],
                columns = {{'Records': 'STRUCT({members})[]'}},
                maximum_object_size = {largest})
            ) TO '{out / "duckdb.parquet"}' (FORMAT parquet, COMPRESSION {codec},
              COMPRESSION_LEVEL {level},
              ROW_GROUP_SIZE {options.row_group_rows})"""
    )


def _duckdb_type(field: Any) -> str:  # noqa: ANN401 - a pyarrow.Field
    import pyarrow as pa

    from cloudtrail_parquet.schema.columns import kind

    dtype = field.type
    if pa.types.is_struct(dtype):
        members = (f'"{child.name}" {_duckdb_type(child)}' for child in dtype)
        return f"STRUCT({', '.join(members)})"
    if pa.types.is_list(dtype):
        return f"{_duckdb_type(dtype.value_field)}[]"
    if pa.types.is_map(dtype):
        return "MAP(VARCHAR, VARCHAR)"
    types = {"json": "JSON", "timestamp": "TIMESTAMP", "boolean": "BOOLEAN", "integer": "BIGINT"}
    return types.get(kind(field), "VARCHAR")


def floor(logs: Path, out: Path) -> None:
    """What no converter can leave out: inflate, parse, write the finished table.

    simdjson parses, and nothing looks at the result; where it refuses a file because an integer has
    more than 64 bits, msgspec does. Reading the finished table is not counted.
    """
    import msgspec
    import pyarrow.parquet as pq
    import simdjson
    from isal import isal_zlib

    from cloudtrail_parquet.dataset.writer import parquet_options
    from cloudtrail_parquet.process import prepare_process
    from cloudtrail_parquet.settings.options import WriterOptions
    from cloudtrail_parquet.settings.settings import Settings

    prepare_process()
    parser, other = simdjson.Parser(), msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
    for path in log_files(logs):
        text = isal_zlib.decompress(path.read_bytes(), wbits=31)
        try:
            parser.parse(text)
        except ValueError:
            other.decode(text)
    before = cpu_s()
    (part,) = Path(f"{out}.finished").rglob("part-*.parquet")
    table = pq.read_table(part, partitioning=None)
    uncounted = cpu_s() - before
    out.mkdir(parents=True)
    settings = Settings()
    with pq.ParquetWriter(
        out / "floor.parquet", table.schema, **parquet_options(WriterOptions.of(settings))
    ) as writer:
        writer.write_table(table, row_group_size=settings.row_group_rows)
    print(json.dumps({"uncounted_s": uncounted}))


def cpu_s() -> float:
    """CPU seconds of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


CONTESTANTS = {"ours": ours, "duckdb": duckdb, "floor": floor}

if __name__ == "__main__":
    hide_pandas()
    CONTESTANTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
