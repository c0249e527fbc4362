"""Every setting of a conversion, with its default; the infrastructure reads the same constants.

A setting has one name everywhere: in a settings file (TOML), in the environment (in capitals, after
``CLOUDTRAIL_PARQUET_``) and as an option (``--row-group-rows``). An option takes precedence over
the environment, that over the file; values by column are merged column by column.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PREFIX, PartitionLayout, Variable
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import MistakesError, UsageError
from cloudtrail_parquet.schema.columns import JsonEncoding
from cloudtrail_parquet.schema.paths import filterable_column, known_column, sortable_column
from cloudtrail_parquet.settings.rules import Discard, Redact, check
from cloudtrail_parquet.settings.toml_file import read_toml
from cloudtrail_parquet.settings.types import (
    CODECS,
    ByColumn,
    Choice,
    CompressionLevel,
    Flag,
    Names,
    Number,
    SettingType,
    Shapes,
    Structs,
    codec_and_level,
    encoding_of,
    level_problem,
    setting,
)

LOG_FOLDERS = ("CloudTrail",)
OPTIONAL_LOG_FOLDERS = ("CloudTrail-NetworkActivity", "CloudTrail-Insight", "CloudTrail-Aggregated")

OTHER_FOLDERS = (
    *("CloudTrail-Digest", "Config", "elasticloadbalancing", "vpcflowlogs", "vpcdnsquerylogs"),
    *("WAFLogs", "GuardDuty", "network-firewall", "globalaccelerator", "redshift", "CloudFront"),
)
"""Folders of other logs that AWS puts beside them."""

DEFAULT_LEVELS = {"zstd": 2}
"""Levels used when none is set, where they differ from the codec's own default."""

_PAGE_HINT = "docs/settings.md lists all settings"
_WEEK_S = 7 * 86_400
_TIB = 1 << 40


def _log_folder(name: str) -> str:
    if name not in LOG_FOLDERS + OPTIONAL_LOG_FOLDERS:
        raise ValueError(f"{name} is not a folder of event logs")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How conversions behave; built once, then passed down. ``docs/settings.md`` lists them."""

    compression: str = setting("zstd", Choice(CODECS), "codec of all columns", shapes="files")
    compression_level: int | None = setting(
        None,
        CompressionLevel(),
        "level of that codec; empty for 2 with zstd, else the codec's own default",
        shapes="files",
    )
    column_compression: Mapping[str, str] = setting(
        {},
        ByColumn("a codec, or a codec with a level such as zstd:9", codec_and_level),
        "other codecs for some columns",
        shapes="files",
    )
    row_group_rows: int = setting(
        32_768, Number(1, 16_777_216), "rows of a full row group", shapes="files"
    )
    row_group_bytes: int = setting(
        256 << 20,
        Number(1, _TIB),
        "bytes of a row group in memory; where rows are large, it has fewer of them",
        shapes="files",
    )
    part_bytes: int = setting(
        64 << 20,
        Number(1, _TIB),
        "bytes of a part, without its footer, after which the next begins; at most 64 MiB in S3",
        shapes="files",
    )
    page_bytes: int = setting(
        256 << 10, Number(1, 1 << 30), "bytes of a data page before compression", shapes="files"
    )
    page_rows: int = setting(20_000, Number(1, 16_777_216), "rows of a data page", shapes="files")
    page_checksums: bool = setting(
        True,  # noqa: FBT003 - a default
        Flag(),
        "a checksum in the header of each page, with which readers can detect damage",
        shapes="files",
    )
    sort_by: tuple[str, ...] = setting(
        ("eventSource", "eventName", "userIdentity.arn", "eventTime"),
        Names("columns", sortable_column),
        "columns that order the rows of a row group, empty for time; row groups are in time order, "
        "or by account and region before that where these are columns",
        shapes="files",
    )
    column_encoding: Mapping[str, str] = setting(
        {
            "eventID": "PLAIN",
            "requestID": "PLAIN",
            "sharedEventID": "PLAIN",
            "requestParameters": "PLAIN",
            "responseElements": "PLAIN",
            "additionalEventData": "PLAIN",
            "serviceEventDetails": "PLAIN",
        },
        ByColumn("an encoding", encoding_of),
        "encodings of columns; DICTIONARY for all others, but in small parts PLAIN in its place",
        shapes="files",
    )
    without_statistics: tuple[str, ...] = setting(
        (
            *("requestParameters", "responseElements", "additionalEventData"),
            *("serviceEventDetails", "edgeDeviceDetails", "eventContext", "insightDetails"),
            *("unmapped", "errorMessage", "userAgent", "eventID", "requestID", "sharedEventID"),
            "userIdentity.sessionContext.webIdFederationData",
        ),
        Names("columns", known_column),
        "columns without minimum and maximum, in row groups and in pages",
        shapes="files",
    )
    bloom_columns: tuple[str, ...] = setting(
        ("eventID", "requestID", "userIdentity.accessKeyId", "sharedEventID"),
        Names("columns", filterable_column),
        "columns with a Bloom filter in each row group",
        shapes="files",
    )
    bloom_fpp: float = setting(
        0.05,
        Number(0.0001, 0.5, float),
        "false-positive rate of these filters; their sizes are powers of two",
        shapes="files",
    )
    json_encoding: JsonEncoding = setting(
        "string",
        Choice(get_args(JsonEncoding)),
        "how free-form columns are written: as text, as text marked JSON, or as VARIANT",
        shapes="rows",
    )
    partition_layout: PartitionLayout = setting(
        DEFAULT_LAYOUT,
        Choice(get_args(PartitionLayout)),
        "the folders of partitions; account and region are columns if they are no folders",
        shapes="rows",
    )
    lookbehind_s: int = setting(
        15 * 60,
        Number(0, _WEEK_S),
        "seconds before a day from which deliveries may hold its records",
        shapes="rows",
    )
    lookahead_s: int = setting(
        2 * 3600,
        Number(0, _WEEK_S),
        "seconds after a day up to which deliveries belong to it",
        shapes="rows",
    )
    settle_margin_s: int = setting(
        3600, Number(0, _WEEK_S), "seconds after its window until a day is settled"
    )
    folders: tuple[str, ...] = setting(
        LOG_FOLDERS,
        Names(f"names out of {', '.join(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS)}", _log_folder, 1),
        "the log folders that are read",
        shapes="rows",
    )
    discard: tuple[Discard, ...] = setting(
        (),
        Structs("discard rules, see docs/rules.md", Discard),
        "records that are not kept",
        shapes="rows",
    )
    redact: tuple[Redact, ...] = setting(
        (),
        Structs("redact rules, see docs/rules.md", Redact),
        "values in free-form JSON that are not kept",
        shapes="rows",
    )
    replace_shrunk: bool = setting(
        False,  # noqa: FBT003 - a default
        Flag(),
        "replace a partition even when its source has lost log files or readable records",
    )
    max_inflated_bytes: int = setting(
        1 << 30, Number(1, _TIB), "bytes a log file may inflate to; larger ones are quarantined"
    )
    fetch_threads: int = setting(
        32, Number(1, 256), "log files fetched at a time; at most 4 of them from a disk"
    )
    fetch_ahead_bytes: int = setting(
        2 << 20, Number(1, _TIB), "stored bytes of log files fetched ahead of decoding"
    )
    lease_s: int = setting(
        120,
        Number(10, 86_400),
        "seconds after its holder's last sign of life until a lease in an object store is void",
    )
    lease_wait_s: int = setting(
        15 * 60, Number(0, 86_400), "seconds that a run waits for another run of the same unit"
    )

    @property
    def window(self) -> Window:
        """The delivery times that belong to a day."""
        return Window(self.lookbehind_s, self.lookahead_s)

    def shaping(self, *what: Shapes) -> dict[str, Any]:
        """The settings that files depend on, by name, as plain values.

        Args:
            what: Only those that shape the rows, or the look of the files; by default both.
        """
        wanted = what or get_args(Shapes)
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.metadata["shapes"] in wanted
        }
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(values))
        return plain


class SettingSource(NamedTuple):
    """A source of settings.

    Attributes:
        name: Its name in messages.
        values: Its values by name.
        problem: Why there are none, if it cannot be read.
    """

    name: str
    values: Mapping[str, Any]
    problem: str = ""


def settings_of(*sources: SettingSource) -> Settings:
    """Combine settings; a later source takes precedence over an earlier one.

    Raises:
        UsageError: Something is not legal; names every such setting, its value and what is legal.
    """
    settings = Settings()
    problems = [f"{source.name}: {source.problem}" for source in sources if source.problem]
    types: dict[str, SettingType] = {
        field.name: field.metadata["type"] for field in fields(Settings)
    }
    for source, name, value in _entries(sources):
        if name not in types:
            from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

            near = get_close_matches(name, types, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them"
            problems.append(f"{source}: there is no setting {name}: {hint}")
            continue
        try:
            read = types[name].read(value)
        except (ValueError, TypeError, RecursionError) as error:
            why = f" ({error})" if str(error) else ""
            problems.append(f"{source}: {name} = {value!r}: it has to be {types[name].legal}{why}")
            continue
        if isinstance(read, dict):
            read = {**getattr(settings, name), **read}
        settings = replace(settings, **{name: read})
    problems += _conflicts(settings)
    if problems:
        raise MistakesError.of(problems, "settings", _PAGE_HINT)
    return settings


def check_settings(settings: Settings) -> None:
    """Check settings that a program has made itself, as those of a settings file are checked.

    Raises:
        UsageError: Something is not legal; names every such setting.
    """
    if not isinstance(settings, Settings):
        hint = "Use Settings, or make_settings"
        raise UsageError(f"{type(settings).__name__} is not Settings", "settings", hint)
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    try:
        plain = msgspec.json.decode(msgspec.json.encode(values))
    except (TypeError, ValueError) as error:
        raise UsageError(f"a value of another kind ({error})", "settings", _PAGE_HINT) from error
    settings_of(SettingSource("Settings", plain))


def _entries(sources: tuple[SettingSource, ...]) -> Iterator[tuple[str, str, Any]]:
    for source in sources:
        for name, value in source.values.items():
            yield source.name, name, value


def _conflicts(settings: Settings) -> Iterator[str]:
    """What is wrong with settings that are each legal on their own."""
    if problem := level_problem(settings.compression, settings.compression_level):
        yield f"compression_level = {settings.compression_level}: {problem}"
    yield from check(settings.discard, settings.redact)


def settings_file(path: Path) -> SettingSource:
    """The settings of a settings file; none, and the reason, if it cannot be read."""
    try:
        return SettingSource(path.name, read_toml(path))
    except ValueError as error:
        return SettingSource(str(path), {}, str(error))


def settings_environment(environment: Mapping[str, str]) -> list[SettingSource]:
    """The settings of the environment, after those of the file that it may name."""
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX) and name not in set(Variable)
    }
    path = environment.get(Variable.SETTINGS)
    return [*([settings_file(Path(path))] if path else []), SettingSource("environment", values)]
