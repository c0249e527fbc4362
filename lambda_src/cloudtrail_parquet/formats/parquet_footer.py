"""Parquet footers: the annotation that makes a group of two binaries a VARIANT.

pyarrow writes a struct of the binaries ``metadata`` and ``value`` as the group that a VARIANT is
made of, but cannot annotate it as one. The schema is in the footer, which comes last in a file and
which nothing points into: a longer footer moves no offset.

Source: Apache Parquet, parquet.thrift (FileMetaData, SchemaElement, LogicalType, VariantType),
README.md (end of a file) and VariantEncoding.md ("Variant in Parquet").
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from cloudtrail_parquet.formats.thrift import I8, I32, LIST, STRUCT, Items, Reader, Struct, Typed
from cloudtrail_parquet.formats.thrift import write as write_thrift
from cloudtrail_parquet.wording import counted

_MAGIC = b"PAR1"
_LENGTH_BYTES = 4

_FILE_SCHEMA = 2  # field of FileMetaData
_TYPE, _REPETITION, _NAME, _CHILDREN, _CONVERTED, _LOGICAL = 1, 3, 4, 5, 6, 10  # of SchemaElement
_BYTE_ARRAY = Typed(I32, 6)
_REQUIRED = Typed(I32, 0)
_VARIANT = Typed(STRUCT, {16: Typed(STRUCT, {1: Typed(I8, 1)})})  # specification version 1


class Group(NamedTuple):
    """A group of a schema: its own element and those of its children."""

    element: Struct
    children: list[Struct]


def annotate_variants(tail: bytes, columns: Collection[str]) -> bytes:
    """Annotate groups of an unshredded variant's two binaries as VARIANT.

    Args:
        tail: The end of a Parquet file, including its whole footer.
        columns: Paths of the groups in the schema, such as ``eventContext.requestContext``.

    Returns:
        The end of the file with a changed footer; nothing before the footer changes.

    Raises:
        ValueError: The tail is not the end of a Parquet file with a whole, plain footer; or a
            column, which is named, is not a group of the required binaries ``metadata`` and
            ``value``, or is annotated already.
    """
    before, footer = _split(tail)
    reader = Reader(footer)
    start, schema = _read_schema(reader)
    groups = _groups(schema)
    for column in columns:
        _annotate(column, groups.get(column))
    changed = footer[:start] + write_thrift(LIST, Items(STRUCT, schema)) + footer[reader.at :]
    return before + changed + len(changed).to_bytes(_LENGTH_BYTES, "little") + _MAGIC


def _split(tail: bytes) -> tuple[bytes, bytes]:
    """What precedes the footer, and the footer without its length and the magic bytes."""
    end = len(tail) - _LENGTH_BYTES - len(_MAGIC)
    if end < 0 or not tail.endswith(_MAGIC):
        raise ValueError("not the end of a Parquet file with a plain footer")
    start = end - int.from_bytes(tail[end : end + _LENGTH_BYTES], "little")
    if start < 0:
        raise ValueError(
            f"the footer begins {counted(-start, 'byte')} before the given end of the file"
        )
    return tail[:start], tail[start:end]


def _read_schema(reader: Reader) -> tuple[int, list[Struct]]:
    """Read to the end of the schema: the start of its list, and its elements depth first.

    The row groups, by far the largest part of a footer, come after it and are left unread.
    """
    last = 0
    while (header := reader.field(last)) is not None:
        (last, kind), start = header, reader.at
        value = reader.value(kind)
        if last == _FILE_SCHEMA and isinstance(value, Items) and value.kind == STRUCT:
            return start, value.values
    raise ValueError("the footer has no schema")


def _groups(schema: list[Struct]) -> dict[str, Group]:
    """The groups below the root of a schema, by path."""
    groups: dict[str, Group] = {}
    elements = iter(schema)
    _read_group(next(elements, {}), "", elements, groups)
    return groups


def _read_group(
    element: Struct, prefix: str, elements: Iterator[Struct], groups: dict[str, Group]
) -> Group:
    """Take the elements below a group, and add the groups among them to ``groups``."""
    group = Group(element, [])
    for _ in range(_number(element, _CHILDREN)):
        child = next(elements, {})
        path = prefix + _name(child)
        group.children.append(child)
        if _CHILDREN in child:
            groups[path] = _read_group(child, f"{path}.", elements, groups)
    return group


def _name(element: Struct) -> str:
    if _NAME not in element:
        raise ValueError("the schema is cut short, or has an element without a name")
    name: bytes = element[_NAME].value
    return name.decode()


def _number(element: Struct, field: int) -> int:
    number: int = element[field].value if field in element else 0
    return number


def _annotate(column: str, group: Group | None) -> None:
    if group is None or not _is_of_two_binaries(group.children):
        raise ValueError(f"{column} is not a group of the required binaries metadata and value")
    if _CONVERTED in group.element or _LOGICAL in group.element:
        raise ValueError(f"{column} is annotated already")
    group.element[_LOGICAL] = _VARIANT


def _is_of_two_binaries(children: list[Struct]) -> bool:
    plain = [
        child[_TYPE] == _BYTE_ARRAY and child[_REPETITION] == _REQUIRED
        for child in children
        if _TYPE in child and _REPETITION in child and _LOGICAL not in child
    ]
    return sorted(map(_name, children)) == ["metadata", "value"] and plain == [True, True]
