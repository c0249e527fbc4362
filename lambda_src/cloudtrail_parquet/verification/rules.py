"""Rules of a unit's settings, applied once more: what they discard, and what they redact.

What is redacted depends on the column in which a value ends up. So both the record of a log file
and that of a row are masked, and then compared: each member that some rule names loses its value.
Within typed structs this may mask more than the rules do; free-form columns are masked as they say.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cloudtrail_parquet.schema.columns import JSON_COLUMNS, RECORD, UNMAPPED
from cloudtrail_parquet.verification.values import is_compatible, is_deep, is_text

REDACTED = "[redacted]"
_FIELDS = ("eventSource", "eventName", "sourceIPAddress")
_INVALID_UTF8 = "invalidUtf8"
_NESTED = {path.partition(".")[0] for path in JSON_COLUMNS if "." in path}

Rule = Mapping[str, Any]


class Discards:
    """The discard rules of a unit, as its settings have them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = [
            [(field, tuple(rule[field])) for field in _FIELDS if rule.get(field)] for rule in rules
        ]

    def match(self, record: Mapping[str, Any]) -> bool:
        """Whether a rule discards a record."""
        if not self._rules or not is_compatible(record):
            return False
        return any(all(_matches(record.get(n), values) for n, values in r) for r in self._rules)


def _matches(value: Any, patterns: tuple[str, ...]) -> bool:  # noqa: ANN401
    if not is_text(value):
        return False
    return any(fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in patterns)


class Masks:
    """Masks what redact rules name; without rules it changes nothing."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._keys: dict[str, set[str]] = {}
        for rule in rules:
            for column in rule.get("columns") or JSON_COLUMNS:
                self._keys.setdefault(column, set()).update(rule["keys"])
        self._unmapped = frozenset(self._keys.get(UNMAPPED, ()))
        nested = (self._keys.get(path, set()) for path in JSON_COLUMNS if "." in path)
        self._nested = self._unmapped.union(*nested)

    def record(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record without the values that rules may have taken."""
        if not self._keys:
            return record
        usual = is_compatible(record)
        return {name: self._member(name, value, usual=usual) for name, value in record.items()}

    def _member(self, name: str, value: Any, *, usual: bool) -> Any:  # noqa: ANN401
        if name == _INVALID_UTF8:
            return REDACTED
        if RECORD.get_field_index(name) < 0:
            is_named = name in self._unmapped and value is not None
            return REDACTED if is_named else masked(value, self._unmapped)
        if name in JSON_COLUMNS and usual:
            return masked(value, frozenset(self._keys.get(name, ())))
        return masked(value, self._nested if name in _NESTED else self._unmapped)

    def left(self, record: Mapping[str, Any]) -> str:
        """The free-form column of a row's record that holds a value to be redacted; else empty."""
        if self._keys and is_compatible(record):
            for column, keys in self._keys.items():
                value = record.get(column)
                if (
                    value is not None
                    and not is_deep(value)
                    and masked(value, frozenset(keys)) != value
                ):
                    return column
        return ""


def masked(value: Any, keys: frozenset[str]) -> Any:  # noqa: ANN401
    """A value in which members of these names, at any depth, have lost their values."""
    if not keys:
        return value
    if is_deep(value):
        return REDACTED
    if type(value) is list:
        return [masked(item, keys) for item in value]
    if type(value) is not dict:
        return value
    return {
        name: REDACTED if name in keys and one is not None else masked(one, keys)
        for name, one in value.items()
    }
