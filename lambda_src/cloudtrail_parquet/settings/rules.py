"""Rules about what is not kept: records that are discarded, and values that are redacted.

There are none by default. `check` finds what is wrong with the configured ones, `Discarder` applies
discard rules, and `keys_by_column` prepares redact rules for `records.redact`.
"""

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from cloudtrail_parquet.schema.columns import JSON_COLUMNS

_FIELDS = ("eventSource", "eventName", "sourceIPAddress")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_REMEMBERED = 20_000  # triples of the three fields; about 5 MB


class Discard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records that are not wanted: those that match every list that is not empty.

    A list matches when one of its values does: exactly, or as a pattern in which ``*`` stands for
    any characters and ``?`` for any single one. Case matters; brackets are literal. A record
    without the field matches no value, not even ``*``.

    Attributes:
        name: What the receipt counts the records under.
        eventSource: Such as ``kms.amazonaws.com``.
        eventName: Such as ``Decrypt`` or ``GenerateDataKey*``.
        sourceIPAddress: Such as ``*.amazonaws.com``, for calls made by AWS services.
    """

    name: str
    eventSource: tuple[str, ...] = ()  # noqa: N815  as in the record
    eventName: tuple[str, ...] = ()  # noqa: N815
    sourceIPAddress: tuple[str, ...] = ()  # noqa: N815


class Redact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members of free-form JSON whose values are not wanted, at any depth.

    Attributes:
        name: What the receipt counts the values under.
        keys: Exact member names; case matters.
        columns: Some of `JSON_COLUMNS`; empty for all. A record whose major version is not 1 is
            wholly in ``unmapped``.
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...] = ()


def check(discard: Sequence[Discard], redact: Sequence[Redact]) -> list[str]:
    """A message for each mistake in the rules: the rule, the value, what is legal."""
    rules: list[tuple[str, Discard | Redact]] = [
        *((f"discard rule {number}", rule) for number, rule in enumerate(discard, 1)),
        *((f"redact rule {number}", rule) for number, rule in enumerate(redact, 1)),
    ]
    names: Counter[str] = Counter()
    problems = []
    for label, rule in rules:
        names[rule.name] += 1
        check_lists = _check_discard(rule) if isinstance(rule, Discard) else _check_redact(rule)
        mistakes = (*_check_name(rule.name, names), *check_lists)
        problems += [f"{label} ({rule.name!r}): {mistake}" for mistake in mistakes]
    return problems


def _check_name(name: str, names: Counter[str]) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "a name has 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-'"
    if names[name] > 1:
        yield "the name is taken by a rule above; give each rule its own"


def _check_discard(rule: Discard) -> Iterator[str]:
    if not any(getattr(rule, field) for field in _FIELDS):
        lists = ", ".join(_FIELDS)
        yield f"without values it would discard every record; give some for one of {lists}"
    for field in _FIELDS:
        if "" in getattr(rule, field):
            yield f"{field} holds ''; give exact values or patterns with '*' and '?'"


def _check_redact(rule: Redact) -> Iterator[str]:
    if not rule.keys:
        yield "keys is empty; give at least one member name"
    if "" in rule.keys:
        yield "keys holds ''; give member names, as they are in the records"
    for column in rule.columns:
        if column not in JSON_COLUMNS:
            yield f"columns holds {column!r}; give some of {', '.join(JSON_COLUMNS)}"


class Discarder:
    """Finds the records that rules discard; build it once, call it for each batch.

    The records of an account have few distinct values in the three fields, so results are
    remembered.
    """

    def __init__(self, rules: Iterable[Discard]) -> None:
        self._rules = [
            (rule.name, [_pattern(getattr(rule, field)) for field in _FIELDS]) for rule in rules
        ]
        self._rule_of = lru_cache(_MAX_REMEMBERED)(self._first_match)

    def discarded(
        self,
        sources: Iterable[str | None],
        names: Iterable[str | None],
        addresses: Iterable[str | None],
    ) -> dict[int, str]:
        """Judge n records by their eventSource, eventName and sourceIPAddress.

        Returns:
            By index: the name of the first rule, in configured order, that discards the record.
        """
        rules = enumerate(map(self._rule_of, sources, names, addresses))
        return {row: name for row, name in rules if name is not None}

    def _first_match(self, *values: str | None) -> str | None:
        matching = (name for name, patterns in self._rules if all(map(_matches, patterns, values)))
        return next(matching, None)


def _pattern(values: tuple[str, ...]) -> re.Pattern[str] | None:
    """One pattern for all values of a list; None, which matches all, when it is empty."""
    literal = (value.replace("[", "[[]") for value in values)  # to fnmatch it opens a class
    return re.compile("|".join(map(fnmatch.translate, literal))) if values else None


def _matches(pattern: re.Pattern[str] | None, value: str | None) -> bool:
    return pattern is None or (value is not None and pattern.match(value) is not None)


def keys_by_column(rules: Iterable[Redact]) -> dict[str, dict[str, str]]:
    """By column and key: the name of the first rule that redacts it.

    Columns that no rule names are left out.
    """
    columns: dict[str, dict[str, str]] = {}
    for rule in rules:
        for column in rule.columns or JSON_COLUMNS:
            keys = columns.setdefault(column, {})
            for key in rule.keys:
                keys.setdefault(key, rule.name)
    return columns
