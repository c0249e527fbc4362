import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.contract import PREFIX
from cloudtrail_parquet.dataset.writer import parquet_options
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.reference.settings_page import settings_page
from cloudtrail_parquet.schema.columns import leaves
from cloudtrail_parquet.settings.options import WriterOptions
from cloudtrail_parquet.settings.rules import Discard, Redact
from cloudtrail_parquet.settings.settings import (
    Settings,
    SettingSource,
    settings_environment,
    settings_file,
    settings_of,
)

PAGE = Path(__file__).parents[3] / "docs/settings.md"

OTHER: dict[str, tuple[str, str, object]] = {  # name: as text, as TOML, as the setting
    "compression": ("snappy", '"snappy"', "snappy"),
    "compression_level": ("9", "9", 9),
    "column_compression": ("eventID=none", '{eventID = "none"}', {"eventID": "none"}),
    "row_group_rows": ("1000", "1000", 1000),
    "row_group_bytes": ("1000000", "1_000_000", 1_000_000),
    "part_bytes": ("5", "5", 5),
    "page_bytes": ("4096", "4096", 4096),
    "page_rows": ("100", "100", 100),
    "page_checksums": ("false", "false", False),
    "sort_by": ("userIdentity.arn,eventTime", '["userIdentity.arn", "eventTime"]', ...),
    "column_encoding": ("eventName=PLAIN", '{eventName = "PLAIN"}', ...),
    "without_statistics": ("userAgent, unmapped", '["userAgent", "unmapped"]', ...),
    "bloom_columns": ("", "[]", ()),
    "bloom_fpp": ("0.01", "0.01", 0.01),
    "json_encoding": ("json", '"json"', "json"),
    "partition_layout": ("account/region/dt", '"account/region/dt"', "account/region/dt"),
    "lookbehind_s": ("0", "0", 0),
    "lookahead_s": ("60", "60", 60),
    "settle_margin_s": ("1", "1", 1),
    "folders": ("CloudTrail-Insight", '["CloudTrail-Insight"]', ("CloudTrail-Insight",)),
    "discard": (
        '[{"name": "kms", "eventSource": ["kms.amazonaws.com"]}]',
        '[{name = "kms", eventSource = ["kms.amazonaws.com"]}]',
        (Discard(name="kms", eventSource=("kms.amazonaws.com",)),),
    ),
    "redact": (
        '[{"name": "tokens", "keys": ["sessionToken"]}]',
        '[{name = "tokens", keys = ["sessionToken"]}]',
        (Redact(name="tokens", keys=("sessionToken",)),),
    ),
    "replace_shrunk": ("true", "true", True),
    "max_inflated_bytes": ("10", "10", 10),
    "fetch_threads": ("1", "1", 1),
    "fetch_ahead_bytes": ("1", "1", 1),
    "lease_s": ("10", "10", 10),
    "lease_wait_s": ("0", "0", 0),
}
"""For each setting another value than its default."""


def of_option(name: str, text: str) -> Settings:
    return settings_of(SettingSource("option", {name: text}))


def of_toml(text: str) -> Settings:
    return settings_of(SettingSource("file", tomllib.loads(text)))


def problem(**values: object) -> str:
    with pytest.raises(UsageError) as caught:
        settings_of(SettingSource("here", values))
    return str(caught.value)


def test_nothing_said_gives_the_defaults() -> None:
    assert settings_of() == Settings() == settings_of(SettingSource("option", {}))


def test_every_setting_is_tried_here() -> None:
    assert sorted(OTHER) == sorted(one.name for one in fields(Settings))


@pytest.mark.parametrize("name", OTHER)
def test_a_setting_has_the_same_value_from_everywhere(name: str, tmp_path: Path) -> None:
    text, toml, expected = OTHER[name]
    (tmp_path / "settings.toml").write_text(f"{name} = {toml}")
    environment = {f"{PREFIX}{name.upper()}": text, "PATH": "/bin"}

    settings = of_option(name, text)

    assert settings != Settings()
    assert settings == replace(Settings(), **{name: getattr(settings, name)})
    assert settings == settings_of(*settings_environment(environment))
    assert settings == settings_of(settings_file(tmp_path / "settings.toml"))
    assert expected is ... or getattr(settings, name) == expected


def test_an_option_decides_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("page_rows = 1\nfetch_threads = 1\nlease_s = 11")
    environment = {
        f"{PREFIX}SETTINGS": str(tmp_path / "settings.toml"),
        f"{PREFIX}PAGE_ROWS": "2",
        f"{PREFIX}FETCH_THREADS": "2",
    }

    settings = settings_of(
        *settings_environment(environment), SettingSource("o", {"page_rows": "3"})
    )

    assert (settings.page_rows, settings.fetch_threads, settings.lease_s) == (3, 2, 11)


def test_values_by_column_are_added_to_the_defaults() -> None:
    settings = settings_of(
        SettingSource("a", {"column_encoding": "eventName=PLAIN,eventID=DELTA_BYTE_ARRAY"}),
        SettingSource("b", {"column_encoding": {"eventName": "DICTIONARY"}}),
    )

    assert settings.column_encoding == {
        **Settings().column_encoding,
        "eventName": "DICTIONARY",
        "eventID": "DELTA_BYTE_ARRAY",
    }


@pytest.mark.parametrize(
    ("name", "value", "legal"),
    [
        ("row_group_rows", 0, "a whole number from 1 to 16,777,216"),
        ("row_group_rows", "many", "a whole number"),
        ("row_group_rows", True, "a whole number"),
        ("row_group_rows", 1.5, "a whole number"),
        ("page_rows", "0", "a whole number from 1 to"),
        ("part_bytes", -1, "a whole number from 1 to 1,099,511,627,776"),
        ("bloom_fpp", 0, "a number from 0.0001 to 0.5"),
        ("bloom_fpp", "nan", "a number from 0.0001 to 0.5"),
        ("compression", "lzo", "one of zstd, gzip, brotli, snappy, lz4, none"),
        ("compression_level", 23, "a whole number from 1 to 22, or empty"),
        ("column_compression", {"eventID": "zstd:23"}, "zstd has the levels 1 to 22"),
        ("column_compression", {"eventID": "snappy:1"}, "snappy has no levels"),
        ("column_compression", {"eventID": "zip"}, "zip is not one of zstd"),
        ("column_compression", "eventID", "columns with a codec"),
        ("column_compression", {"eventID": 9}, "columns with a codec"),
        ("column_encoding", {"eventTime": "DELTA_BYTE_ARRAY"}, "DELTA_BINARY_PACKED"),
        ("column_encoding", {"readOnly": "DICTIONARY"}, "PLAIN, RLE"),
        ("sort_by", ["requestParameters"], "rows cannot be sorted by requestParameters"),
        ("sort_by", ["resources.ARN"], "rows cannot be sorted by resources.ARN"),
        ("sort_by", ["userIdentity"], "rows cannot be sorted by userIdentity"),
        ("sort_by", ["eventTime", "eventTime"], "eventTime is given more than once"),
        ("bloom_columns", ["readOnly"], "readOnly holds booleans"),
        ("bloom_columns", ["userIdentity"], "userIdentity holds booleans"),
        ("json_encoding", "bson", "one of string, json, variant"),
        ("partition_layout", "year", "one of account/region/year/month/day, account/region/dt"),
        ("folders", ["Config"], "Config is not a folder of event logs"),
        ("replace_shrunk", "yes", "true or false"),
        ("discard", [{"eventName": ["x"]}], "Object missing required field `name`"),
        ("redact", "tokens", "a list of redact rules"),
        ("lookahead_s", 10**9, "a whole number from 0 to 604,800"),
    ],
)
def test_a_value_that_is_not_legal_is_named_with_what_is(
    name: str, value: object, legal: str
) -> None:
    said = problem(**{name: value})

    assert f"here: {name} = {value!r}: it has to be" in said
    assert legal in said


@pytest.mark.parametrize(
    ("value", "near"),
    [
        ("evntID", "did you mean eventID"),
        ("userIdentity.accesskeyid", "did you mean userIdentity.accessKeyId"),
        ("userIdentity.", "there is no column userIdentity."),
        ("nothing", "docs/columns.md lists them"),
    ],
)
@pytest.mark.parametrize("name", ["bloom_columns", "sort_by", "without_statistics"])
def test_a_column_that_is_none_is_an_error(name: str, value: str, near: str) -> None:
    assert f"there is no column {value}: " in (said := problem(**{name: [value]}))
    assert near in said


@pytest.mark.parametrize("name", ["column_compression", "column_encoding"])
def test_a_column_that_is_none_is_an_error_in_values_by_column_too(name: str) -> None:
    assert "there is no column evntID: did you mean eventID" in problem(
        **{name: {"evntID": "none"}}
    )


def test_a_setting_that_is_none_is_an_error_wherever_it_is_said() -> None:
    assert "here: there is no setting rowgroup_rows: did you mean row_group_rows?" in problem(
        rowgroup_rows=1
    )
    with pytest.raises(UsageError, match="environment: there is no setting row_groups"):
        settings_of(*settings_environment({f"{PREFIX}ROW_GROUPS": "1"}))


def test_a_level_that_the_codec_does_not_have_is_an_error() -> None:
    assert "compression_level = 10: gzip has the levels 1 to 9" in problem(
        compression="gzip", compression_level=10
    )
    assert WriterOptions.of(of_option("compression", "gzip")).codec == ("gzip", None)
    assert WriterOptions.of(Settings()).codec == ("zstd", 2)


def test_rules_that_make_no_sense_are_errors() -> None:
    assert "discard rule 1 ('all'): without values it would discard every record" in problem(
        discard=[{"name": "all"}]
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = problem(page_rows=0, compression="x", bloom_columns=["x"], nonsense=1)

    assert [name in said for name in ("page_rows", "compression", "bloom_columns", "nonsense")]
    assert said.count("\n  here: ") == 4


@pytest.mark.parametrize("write", [lambda path: path.mkdir(), lambda path: path.write_text("a =")])
def test_a_settings_file_that_cannot_be_read_is_an_error(
    write: Callable[[Path], object], tmp_path: Path
) -> None:
    write(tmp_path / "settings.toml")

    with pytest.raises(UsageError, match=r"settings\.toml: it cannot be read"):
        settings_of(settings_file(tmp_path / "settings.toml"))


@given(st.text(max_size=12), st.sampled_from([one.name for one in fields(Settings)]))
def test_any_text_is_either_legal_or_a_usage_error(text: str, name: str) -> None:
    try:
        settings = of_option(name, text)
    except UsageError as error:
        said = str(error)
    else:
        said = name
        assert json.dumps(settings.shaping())
    assert name in said


@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
                    lambda inner: st.one_of(st.lists(inner, max_size=3),
                                            st.dictionaries(st.text(), inner, max_size=3))),
       st.sampled_from([one.name for one in fields(Settings)]))  # fmt: skip
def test_any_value_of_a_file_is_either_legal_or_a_usage_error(value: object, name: str) -> None:
    with suppress(UsageError):
        assert isinstance(settings_of(SettingSource("file", {name: value})), Settings)


@pytest.mark.parametrize("path", [path for path, _ in leaves()])
def test_every_leaf_can_be_named(path: str) -> None:
    short = path.replace(".list.element", "")

    assert of_option("without_statistics", path).without_statistics == (path,)
    assert of_option("without_statistics", short).without_statistics == (short,)


def test_options_of_the_writer_are_made_once_for_equal_settings_and_no_others() -> None:
    codecs = {"eventID": "none", "requestParameters": "zstd:9"}
    one, other = (
        Settings(column_compression=dict(items))
        for items in (codecs.items(), reversed(codecs.items()))
    )

    assert parquet_options(WriterOptions.of(one)) is parquet_options(WriterOptions.of(other))
    assert parquet_options(WriterOptions.of(one)) != parquet_options(
        WriterOptions.of(replace(one, column_compression={}))
    )


def test_a_footer_gets_the_settings_that_shape_files() -> None:
    said = Settings(row_group_rows=5, fetch_threads=1).shaping()

    assert said["row_group_rows"] == 5
    assert said["column_encoding"]["eventID"] == "PLAIN"
    assert "fetch_threads" not in said


def test_the_page_of_the_docs_is_the_one_that_is_made() -> None:
    assert PAGE.read_text() == settings_page()
    for one in fields(Settings):
        assert f"| `{one.name}`" in PAGE.read_text()
