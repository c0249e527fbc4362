"""What parts are to be like, and what of that can be changed without the log files."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.rewriting.parts.rows import Changes
from cloudtrail_parquet.schema.columns import SCHEMA_VERSION
from cloudtrail_parquet.settings.options import ConversionOptions
from cloudtrail_parquet.settings.rules import Discard, Redact
from cloudtrail_parquet.settings.settings import Settings, SettingSource, settings_of
from cloudtrail_parquet.state.receipt import Receipt

_RULES = ("discard", "redact")
_OWNERSHIP = ("lookbehind_s", "lookahead_s", "folders")
_GROUPS = ("row_group_rows", "row_group_bytes")


class Wanted(NamedTuple):
    """What the parts of a unit are to be like.

    Attributes:
        options: The options to write them with; rules are those that are applied.
        shaping: The settings that they are then made with, by name: rules that were applied before
            are among them, since what they have taken does not come back.
    """

    options: ConversionOptions
    shaping: dict[str, Any]

    @property
    def shaping_json(self) -> str:
        """`shaping` as footers have it."""
        return msgspec.json.encode(self.shaping).decode()

    def why(self, schema_version: int, settings: Mapping[str, Any]) -> list[str]:
        """What is to change of parts that were made so: names of settings, and the schema."""
        names = [name for name, value in self.shaping.items() if settings.get(name) != value]
        return ["schema", *names] if schema_version < SCHEMA_VERSION else names

    def changes(self, schema_version: int, settings: Mapping[str, Any]) -> Changes:
        """What is to become of rows that were made so; rules are not applied again."""
        rows, writer = self.options.rows, self.options.writer
        discard = [rule for rule in rows.discard if _plain(rule) not in settings.get("discard", [])]
        redact = [rule for rule in rows.redact if _plain(rule) not in settings.get("redact", [])]
        return Changes(
            schema=schema_version < SCHEMA_VERSION,
            encoding=writer.json_encoding,
            discard=tuple(discard),
            redact=tuple(redact),
            place_columns=rows.place_columns,
        )

    def regroups(self, settings: Mapping[str, Any]) -> bool:
        """Whether row groups are made anew of parts that were made with some settings."""
        return any(settings.get(name) != self.shaping[name] for name in _GROUPS)

    def sorts(self, settings: Mapping[str, Any]) -> bool:
        """Whether the rows of each row group are put into another order."""
        return bool(settings.get("sort_by") != self.shaping["sort_by"])


def wanted_of(before: Mapping[str, Any], settings: Settings) -> Wanted:
    """What parts that were made with some settings are to be like with others.

    Args:
        before: The settings that they were made with, by name.
        settings: The settings that they are to be made with.
    """
    shaping = settings.shaping()
    for name in _OWNERSHIP:
        shaping[name] = before.get(name, shaping[name])
    for name in _RULES:
        shaping[name] = _both(before.get(name, []), shaping[name])
    return Wanted(ConversionOptions.of(settings), shaping)


def _plain(rule: Discard | Redact) -> Any:  # noqa: ANN401 - a rule as footers have it
    return msgspec.json.decode(msgspec.json.encode(rule))


def _both(before: Sequence[Any], now: Sequence[Any]) -> list[Any]:
    """The rules that rows have gone through, first those that are no longer there."""
    return [*(rule for rule in before if rule not in now), *now]


def settings_of_receipt(receipt: Receipt) -> Settings:
    """The settings that the parts of a receipt were made with.

    Raises:
        UsageError: They are of a version that has others.
    """
    try:
        return settings_of(SettingSource("receipt", receipt.settings))
    except UsageError as error:
        hint = "Rewrite it with the version that has begun to"
        raise UsageError(error.what, receipt.unit.name, hint) from error
