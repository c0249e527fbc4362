"""A table of the Glue catalogue, read by DuckDB as Athena would read it.

Types are those of the table, and a file has to have the same; partitions are those that projection
finds. Sources: Athena User Guide, "Data types in Amazon Athena", "Supported types for partition
projection".
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from tests.builders import ago

_LEAVES = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "timestamp": "TIMESTAMP WITH TIME ZONE",  # Athena reads those of our files in UTC
}


class Type(NamedTuple):
    """A type of the catalogue: a ``struct`` of members, an ``array``, a ``map``, or a leaf."""

    name: str
    parts: tuple["Type", ...] = ()
    names: tuple[str, ...] = ()

    @property
    def in_duckdb(self) -> str:
        """The same, as DuckDB has it."""
        parts = [part.in_duckdb for part in self.parts]
        match self.name:
            case "struct":
                members = (f'"{name}" {of}' for name, of in zip(self.names, parts, strict=True))
                return f"STRUCT({', '.join(members)})"
            case "array":
                return f"{parts[0]}[]"
            case "map":
                return f"MAP({parts[0]}, {parts[1]})"
            case _:
                return _LEAVES[self.name]

    def meant(self, value: Any) -> Any:  # noqa: ANN401 - whatever the type says
        """What a value says, be it of a row or of a log file: equal if both say the same.

        Members of a struct that the type does not have are left out.
        """
        if value is None:
            return None
        match self.name:
            case "struct":
                given = {name.lower(): one for name, one in value.items()}
                members = zip(self.names, self.parts, strict=True)
                said = {name: of.meant(given.get(name)) for name, of in members}
                return {name: one for name, one in said.items() if one is not None}
            case "array":
                return [self.parts[0].meant(one) for one in value]
            case "map":
                return {name: self.parts[1].meant(one) for name, one in dict(value).items()}
            case _:
                return _leaf(self.name, value)


def _leaf(name: str, value: Any) -> Any:  # noqa: ANN401
    match name:
        case "timestamp":
            time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return time.timestamp()
        case "boolean":
            return {"true": True, "false": False}.get(value, value)
        case "string":
            return _text(value) if isinstance(value, str) else _json(value)
        case _:
            return value


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _text(text: str) -> str:
    """A text; of JSON text, which columns of free form hold, its meaning."""
    if text[:1] not in {"{", "[", '"'}:
        return text
    try:
        meant = json.loads(text)
    except ValueError:
        return text
    return meant if isinstance(meant, str) else _json(meant)


def parse(text: str) -> Type:
    """Read a type, such as ``struct<arn:string,tags:map<string,string>>``."""
    of, rest = _parse(text)
    assert not rest, f"{rest} is left of {text}"
    return of


def _parse(text: str) -> tuple[Type, str]:
    found = re.match(r"(\w+)(<?)", text)
    assert found, text
    name, opened = found.groups()
    rest = text[found.end() :]
    if not opened:
        return Type(name), rest
    names, parts = list[str](), list[Type]()
    while True:
        if name == "struct":
            member, _, rest = rest.partition(":")
            names.append(member)
        part, rest = _parse(rest)
        parts.append(part)
        end, rest = rest[0], rest[1:]
        if end == ">":
            return Type(name, tuple(parts), tuple(names)), rest
        assert end == ",", text


class Table:
    """A table.

    Attributes:
        location: Where it is, as ``s3://bucket/folder/``.
        columns: Types of the columns in files.
        partitions: Types of those in the names of folders.
    """

    def __init__(self, resource: Mapping[str, Any]) -> None:
        """``resource`` is the ``aws_glue_catalog_table`` of a Terraform state."""
        (descriptor,) = resource["storage_descriptor"]
        self.columns = {one["name"]: parse(one["type"]) for one in descriptor["columns"]}
        self.partitions = {one["name"]: parse(one["type"]) for one in resource["partition_keys"]}
        self._properties: dict[str, str] = resource["parameters"]
        assert self._properties["projection.enabled"] == "true"
        template = self._properties["storage.location.template"]
        self.location: str = descriptor["location"]
        assert template.startswith(self.location)
        folders = re.sub(r"\\\$\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
        self._object = re.compile(rf"{folders}[^/]+")

    def rows(self, objects: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
        """The rows of all objects, each of which has to be found; their copies by ``s3://`` URI."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for uri, path in objects.items():
                yield from self._rows(connection, self._partition(uri), path)

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, partition: dict[str, str], path: Path
    ) -> Iterator[dict[str, Any]]:
        def types(query: str) -> dict[str, str]:
            described = connection.execute(f"DESCRIBE {query}").fetchall()
            return {name.lower(): of.lower() for name, of, *_ in described}

        source = f"read_parquet('{path}', hive_partitioning = false)"
        wanted = ", ".join(f'NULL::{of.in_duckdb} AS "{name}"' for name, of in self.columns.items())
        assert types(f"SELECT * FROM {source}") == types(f"SELECT {wanted}")  # noqa: S608
        columns = [f'"{name}"::{of.in_duckdb} AS "{name}"' for name, of in self.columns.items()]
        columns += [
            f"'{partition[name]}'::{of.in_duckdb} AS \"{name}\""
            for name, of in self.partitions.items()
        ]
        query = f"SELECT {', '.join(columns)} FROM {source}"  # noqa: S608
        yield from connection.sql(query).to_arrow_table().to_pylist()

    def _partition(self, uri: str) -> dict[str, str]:
        """The values of an object's partition columns, all of which the projection names."""
        found = self._object.fullmatch(uri)
        assert found, f"no partition of the table holds {uri}"
        for name, value in found.groupdict().items():
            assert self._is_projected(name, value), f"{name} of {uri}"
        return found.groupdict()

    def _is_projected(self, name: str, value: str) -> bool:
        def of(word: str) -> str:
            return self._properties[f"projection.{name}.{word}"]

        match of("type"):
            case "injected":
                return True
            case "enum":
                return value in of("values").split(",")
            case "integer":
                first, last = map(int, of("range").split(","))
                return first <= int(value) <= last and len(value) == int(of("digits"))
            case "date":
                assert of("format") == "yyyy-MM-dd"
                oldest, newest = of("range").replace("NOW", str(ago(0))).split(",")
                return oldest <= value <= newest and str(date.fromisoformat(value)) == value
        raise AssertionError(of("type"))
