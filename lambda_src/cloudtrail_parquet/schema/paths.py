"""Names of columns as people write them in settings, and the Parquet leaves that they stand for.

A name is that of a leaf or of a struct, which stands for all leaves below it. Lists add nothing
to a name: ``resources.ARN`` is the leaf ``resources.list.element.ARN``.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from cloudtrail_parquet.schema.columns import kind, leaves

_LEAVES = dict(leaves())


def known_column(name: str) -> str:
    """The name, if there is such a column.

    Raises:
        ValueError: There is no such column; suggests similar names.
    """
    if leaves_of(name):
        return name
    import difflib  # noqa: PLC0415 - only mistakes need it

    near = difflib.get_close_matches(name, _all_names(), 3, 0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "docs/columns.md lists them"
    raise ValueError(f"there is no column {name}: {hint}")


def sortable_column(name: str) -> str:
    """The name, if rows can be sorted by it: a leaf with one value in each row, not free-form.

    Raises:
        ValueError: They cannot.
    """
    known_column(name)
    single = name in _LEAVES and ".list." not in name and ".key_value." not in name
    if not single or kind(_LEAVES[name]) == "json":
        raise ValueError(f"rows cannot be sorted by {name}: it is free-form or has many values")
    return name


def filterable_column(name: str) -> str:
    """The name, if it can have Bloom filters.

    Raises:
        ValueError: There is no such column, or it holds booleans.
    """
    known_column(name)
    if any(pa.types.is_boolean(dtype) for dtype in leaves_of(name).values()):
        raise ValueError(f"{name} holds booleans, which cannot have Bloom filters")
    return name


def leaves_of(name: str) -> dict[str, pa.DataType]:
    """The leaves that a name stands for, with their types; empty if there is no such column."""
    return {path: field.type for path, field in _LEAVES.items() if covers(name, path)}


def covers(name: str, path: str) -> bool:
    """Whether a name stands for a leaf of a file; files with VARIANT have leaves of their own."""
    wanted, leaf = _short(name), _short(path)
    return leaf == wanted or leaf.startswith(f"{wanted}.")


def by_leaf(values: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """Values of columns as values of leaves; if several names cover a leaf, the longest decides."""
    leaf_values = {}
    for path in paths:
        names = [name for name in values if covers(name, path)]
        if names:
            leaf_values[path] = values[max(names, key=len)]
    return leaf_values


def _short(path: str) -> str:
    return path.replace(".list.element", "")


def _all_names() -> list[str]:
    paths = [_short(path).split(".") for path in _LEAVES]
    names = {".".join(path[: depth + 1]) for path in paths for depth in range(len(path))}
    return sorted(names)
