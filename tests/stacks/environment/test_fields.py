"""Each field: what it may hold, its default, and how the function reads the settings."""

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from cloudtrail_parquet.contract import Variable
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Shard, Unit, straggler_key
from cloudtrail_parquet.schema.columns import JSON_COLUMNS, leaves
from cloudtrail_parquet.settings.rules import Discard
from cloudtrail_parquet.settings.settings import (
    LOG_FOLDERS,
    OPTIONAL_LOG_FOLDERS,
    Settings,
    SettingSource,
    settings_environment,
    settings_of,
)
from cloudtrail_parquet.settings.types import (
    CODECS,
    ByColumn,
    Choice,
    CompressionLevel,
    Flag,
    Names,
    Number,
    SettingType,
    Structs,
)
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.storage.s3 import Bucket
from stacks.environment.fields import Environment
from stacks.environment.load import EXAMPLE, load
from stacks.environment.types import (
    LOG_RETENTION_DAYS,
    MAX_PREFIX,
    RESERVED_ENDS,
    RESERVED_STARTS,
)
from tests.stacks.conftest import ROOT
from tests.stacks.environment.files import (
    BOUNDARY,
    KEY,
    LEAST,
    ROLE,
    SOURCE,
    TOPIC,
    at,
    changed,
    problems,
    read,
    table,
)

SHIPPED = ROOT / "environments"
RESERVED = [f"{start}lake" for start in RESERVED_STARTS] + [f"lake{end}" for end in RESERVED_ENDS]
NO_BUCKETS = [
    *("ab", "a" * 64, "Lake", "s3://lake", "lake/", "arn:aws:s3:::lake", "a_b", "", 7, "lake\n"),
    *("192.168.1.1", "a..b.c", "a.-b", "a-.b", "-lake", "lake-", ".lake", "lake."),
]
BUCKETS = (
    ["abc", "a" * 63, "a.b-c9", "a--b.0", "192.168.1", "192.168.1.1.1", "1.2.3.a", "xn-lake"],
    [*NO_BUCKETS, *RESERVED],
)
PREFIXES = (
    ["", "a", "a/b=1/c_d!e.f'(g)", "o-abc/trails", "..a/.b/c./...", "a" * MAX_PREFIX],
    [
        *("/a", "a/", "a//b", "a b", "a*", "a?", "${a}", "a%7Bb", "é", 1, "a\n"),
        *(".", "..", "a/..", "./a", "a/../b", "a/./b", "a" * (MAX_PREFIX + 1)),
    ],
)
REGIONS = (["eu-central-1", "ap-southeast-5"], ["Frankfurt", "EU-WEST-1", "eu-west-1a", "", 1])
ACCOUNTS = (["012345678901"], [12345678901, "12345678901", "0123 45678901", "٠١٢٣٤٥٦٧٨٩٠١"])
KEYS = (
    [KEY, KEY.replace("11111111", "mrk-1111")],
    ["alias/lake", KEY.replace("key/", "alias/"), KEY.replace("eu-", "*-"), "", 3],
)
ROLES = (
    [ROLE, ROLE.replace("role/", "role/aws-reserved/sso.amazonaws.com/")],
    ["deploy", ROLE.replace("role", "user"), ROLE.replace("1111", ""), 1],
)
OF_A_NEW_BUCKET = ("prevent_destroy", "readers", "tiers", "expire_days")
FLAGS = ([True, False], ["true", 1, 0])
CONVERTER = ([{}, {"page_rows": 5}], [{"page_rowz": 5}, {"page_rows": 0}, {"source": "s3://a"}])


FIELDS: dict[str, tuple[list[Any], list[Any]]] = {
    "region": (
        [*REGIONS[0], "us-gov-west-1", "cn-northwest-1"],
        [*REGIONS[1], "us-iso-east-1", "us-isob-east-1"],
    ),
    "account": ACCOUNTS,
    "assume_role": ROLES,
    "name": (["ab", "trails-2", "a" * 40], ["a", "Trails", "a" * 41, "2a", "a-", "a_b", ""]),
    "tags": (
        [{}, {"Équipe 1": "a b_.:/=+-@"}, {str(n): "" for n in range(50)}, {"a" * 128: "a" * 256}],
        [
            {str(n): "" for n in range(51)},
            *({name: "x"} for name in ("", "aws:x", "AWS:x", "a" * 129, "a{", "a\n")),
            *({"a": value} for value in ("${b}", "%{b}", "a" * 257, 1, "a\tb")),
        ],
    ),
    "kms_key": KEYS,
    "sources": ([[SOURCE], [SOURCE, {"bucket": "others"}]], [[], 3, [3], [{}], [[SOURCE]]]),
    "sources[].bucket": (BUCKETS[0] + RESERVED, NO_BUCKETS),
    "sources[].prefix": (
        [*PREFIXES[0], "AWSLogs", "trails/AWSLogs", "AWSLogs-old/a"],
        [*PREFIXES[1], "AWSLogs/o-abc", "trails/AWSLogs/012345678901/CloudTrail"],
    ),
    "sources[].region": REGIONS,
    "sources[].account": ACCOUNTS,
    "sources[].kms_keys": ([[], [KEY]], [KEY, [KEY, "alias/x"], 3]),
    "sources[].requester_pays": FLAGS,
    "dataset.bucket": BUCKETS,
    "dataset.prefix": (PREFIXES[0][1:], PREFIXES[1]),
    "dataset.region": REGIONS,
    "dataset.account": ACCOUNTS,
    "dataset.kms_key": KEYS,
    "dataset.create": FLAGS,
    "dataset.prevent_destroy": FLAGS,
    "dataset.readers": (
        [[], ["012345678901", ROLE]],
        [
            *("012345678901", [1], ["analyst"], [ROLE.replace("role", "user")], [ROLE, ROLE]),
            [f"{number:012}" for number in range(51)],
            [f"{ROLE}/{'x' * 200}{number}" for number in range(25)],
        ],
    ),
    "dataset.tiers": (
        [{}, {"INTELLIGENT_TIERING": 1}, {"STANDARD_IA": 30, "GLACIER_IR": 60}],
        [{"GLACIER": 90}, {"STANDARD_IA": 0}, {"GLACIER_IR": "90"}, {"ONEZONE_IA": 90}, 3],
    ),
    "dataset.expire_days": ([36, 36_500], [0, 36_501, "400"]),
    "dataset.noncurrent_days": ([1, 3650], [0, 3651, 1.0, "1", True]),
    "state.bucket": BUCKETS,
    "state.prefix": PREFIXES,
    "state.region": REGIONS,
    "state.account": ACCOUNTS,
    "state.kms_key": KEYS,
    "state.create": FLAGS,
    "state.prevent_destroy": FLAGS,
    "state.noncurrent_days": ([1, 3650], [0, 3651]),
    "function.memory_mb": ([512, 10_240], [511, 10_241, "1769", 1769.0, True]),
    "function.timeout_s": ([60, 900], [59, 901]),
    "function.ephemeral_storage_mb": ([512, 10_240], [511, 10_241]),
    "function.architecture": (["arm64", "x86_64"], ["amd64", "", 1]),
    "function.runtime": (["python3.12", "python3.13", "python3.14"], ["python3.11", "nodejs22.x"]),
    "function.reserved_concurrency": ([1, 10_000], [0, -1, 10_001]),
    "function.log_retention_days": (list(LOG_RETENTION_DAYS), [0, 2, 366, "30"]),
    "schedule.daily": (
        ["cron(15 3 * * ? *)", "rate(1 day)", "cron(0 4 ? * MON-FRI *)"],
        [
            *("cron(15 3 * * *)", "15 3 * * ? *", "at(2026-01-01T00:00:00)", "rate(0 days)"),
            *("rate(1)", "cron(99 99 * * ? *)", "cron(15 3 * * * *)"),
        ],
    ),
    "schedule.provisional": (
        ["rate(1 hour)", "rate(30 minutes)", "cron(0 9-17 L JAN,FEB ? 2027)"],
        ["hourly", "rate(1 week)", "", "cron(0 24 * * ? *)", "cron(0 * ? * ? *)"],
    ),
    "schedule.catch_up": (["rate(7 days)"], ["weekly", "cron(15 9 * * SUN *)"]),
    "schedule.catch_up_days": ([0, 5, 366], [-1, 367, True]),
    "schedule.expire": (["rate(1 day)"], ["daily", "cron(15 9 * * SUN *)"]),
    "schedule.expire_after": (
        ["7y", "18 months", "30d", "2 months"],
        ["7", "29d", "1 month", "0y", "", "seven years", 7, "-7y"],
    ),
    "schedule.enabled": FLAGS,
    "backfill_queue.enabled": FLAGS,
    "backfill_queue.max_concurrency": ([2, 1000], [1, 1001, "10"]),
    "backfill_queue.max_receives": ([1, 1000], [0, 1001]),
    "alarms.enabled": FLAGS,
    "alarms.topic": ([TOPIC], ["alarms", TOPIC.replace("sns", "sqs"), TOPIC + ":x", 1]),
    "alarms.dashboard": FLAGS,
    "catalogue.enabled": FLAGS,
    "catalogue.database": (["security", "a_1"], ["Security", "a-b", "", "a" * 256]),
    "catalogue.create_database": FLAGS,
    "catalogue.table": (["trails"], ["my table", "Trails", 1]),
    "catalogue.accounts": (
        [[], ["012345678901", "111122223333"]],
        [[1], "012345678901", ["1"], ["012345678901"] * 2],
    ),
    "catalogue.regions": (
        [[], ["eu-west-1", "us-east-1"]],
        [["x"], "us-east-1", ["us-east-1"] * 2],
    ),
    "catalogue.workgroup.bucket": BUCKETS,
    "catalogue.workgroup.prefix": PREFIXES,
    "catalogue.workgroup.account": ACCOUNTS,
    "catalogue.workgroup.kms_key": KEYS,
    "catalogue.workgroup.max_query_bytes": ([10_485_760, 10**15], [10_485_759, 10**15 + 1, "1"]),
    "iam.path": (["/", "/a/", "/a/b@c/"], ["", "a", "/a", "a/", "//", "/é/"]),
    "iam.permissions_boundary": (
        [BOUNDARY, "arn:aws:iam::aws:policy/PowerUserAccess"],
        ["boundary", BOUNDARY.replace("policy", "role"), BOUNDARY.replace("1111", "")],
    ),
    "vpc.subnets": ([["subnet-0a", "subnet-0b"]], [[], ["0a"], "subnet-0a", ["sg-0a"]]),
    "vpc.security_groups": ([["sg-0a"]], [[], ["default"], ["subnet-0a"]]),
    "backend.bucket": BUCKETS,
    "backend.key": (["a", "a/b.tfstate"], ["", "/a", "a/", 1]),
    "backend.region": REGIONS,
    "backend.kms_key": KEYS,
    "backend.lock": FLAGS,
    "backend.assume_role": ROLES,
    "converter": CONVERTER,
}
"""Of each field: what it may be, and what it may not."""


EXAMPLES = {"region", "sources", "sources[].bucket", "dataset.bucket", "dataset.prefix"}
"""What stands in the example as an example, and not as the default."""


def table_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type, or a generic one
    """The table that a field is, may be, or has several of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := table_in(one))), None)


def walk(table: type[BaseModel] = Environment, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its default, as in ``sources[].bucket``."""
    for name, field in table.model_fields.items():
        below, path = table_in(field.annotation), f"{above}{name}"
        if below is None:
            yield path, field.get_default()
        elif get_args(field.annotation)[1:] == (...,):
            yield path, PydanticUndefined
            yield from walk(below, f"{path}[].")
        else:
            yield from walk(below, f"{path}.")


def test_every_field_is_tried_here() -> None:
    assert sorted(FIELDS) == sorted(path for path, _ in walk())


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_takes_what_is_legal(path: str) -> None:
    needed: dict[str, dict[str, object]] = {
        "state.bucket": {"state.prefix": "elsewhere"},
        "state.create": {"state.bucket": "fresh"},
        "dataset.create": {"dataset.bucket": "fresh"},
        **{f"dataset.{name}": {"dataset.create": True} for name in OF_A_NEW_BUCKET},
        "state.prevent_destroy": {"state.bucket": "fresh", "state.create": True},
    }
    for value in FIELDS[path][0]:
        (environment,) = read(changed({**needed.get(path, {}), path: value}))

        found = at(environment.model_dump(mode="json", exclude_unset=True), path)
        assert found == value


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_refuses_anything_else_by_its_name(path: str) -> None:
    shown = f"a.toml: {path.replace('[]', '[0]')}"

    for value in FIELDS[path][1]:
        lines = problems(changed({path: value}))

        assert lines
        assert all(line.startswith(shown) or path == "converter" for line in lines), (value, lines)


@pytest.mark.parametrize("value", [3, "x", [], [3], True, 1.5, date(2026, 1, 1)])
@pytest.mark.parametrize(
    "path",
    sorted({path.split(".")[0] for path, _ in walk() if "." in path} | {"converter", "tags"}),
)
def test_something_else_in_place_of_a_table_is_refused_by_its_name(
    path: str, value: object
) -> None:
    path = path.removesuffix("[]")

    lines = problems({**LEAST, path: value})

    assert all(line.startswith(f"a.toml: {path}") for line in lines)
    assert all("it has to be " in line for line in lines)


def test_the_state_lies_beside_the_dataset_unless_given() -> None:
    dataset = {"bucket": "lake", "prefix": "a", "kms_key": KEY, "create": True}

    (environment,) = read(table(dataset=dataset))

    assert environment.locations == {
        Variable.SOURCE: "s3://org-logs",
        Variable.DATASET: f"s3://lake/a?kms_key_id={KEY}",
        Variable.STATE: f"s3://lake/a.state?kms_key_id={KEY}",
    }
    assert not environment.state_location.create


@pytest.mark.parametrize("prefix", PREFIXES[0])
def test_the_converter_takes_every_prefix_that_a_field_takes(prefix: str) -> None:
    assert Bucket.of(f"s3://lake/{prefix}").prefix == prefix


def test_a_prefix_leaves_room_for_the_longest_keys() -> None:
    unit = Unit("0" * 12, "ap-southeast-12", date(2026, 1, 1))
    shard = Shard(99, 99, "0" * 8)
    kind = max(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS, key=len)
    folders = ("AWSLogs", f"o-{'a' * 32}", "0" * 12, kind, "ap-southeast-12", "2026/01/01")
    name = f"{'0' * 12}_CloudTrail_ap-southeast-12_20260101T0000Z_{'a' * 16}.json.gz"
    keys = [
        straggler_key(unit, date(2026, 1, 1), 99_999, shard=shard),
        *(f".state/{key}" for key in StateKeys.of(unit, shard)),
        "/".join((*folders, name)),
    ]

    assert max(map(len, keys)) < 1024 - MAX_PREFIX


def _uncommented(text: str) -> str:
    """The example with every field that is commented out."""
    return re.sub(r"^# (?=\[|[A-Za-z_]+ = )", "", text, flags=re.MULTILINE)


def test_every_field_stands_in_the_example(tmp_path: Path) -> None:
    text = _uncommented((SHIPPED / f"{EXAMPLE}.toml").read_text())
    raw = tomllib.loads(text)
    # Some fields are about a bucket that is made.
    (tmp_path / "all.toml").write_text(text.replace("create = false", "create = true", 1))

    for path, _ in walk():
        # Its fields are those of the dataset, as the example says.
        assert at(raw, path.replace("state.", "dataset.")) is not None, path
    assert load(tmp_path / "all.toml")


def test_what_the_example_says_is_the_default() -> None:
    raw = tomllib.loads((SHIPPED / f"{EXAMPLE}.toml").read_text())
    said = {}
    for path, default in walk():
        with suppress(KeyError):
            said[path] = (at(raw, path), default)

    assert len(said) > 25
    for path, (value, default) in said.items():
        if path not in EXAMPLES:
            assert (tuple(value) if isinstance(value, list) else value) == default, path


def test_what_the_example_leaves_out_has_no_default() -> None:
    raw = tomllib.loads((SHIPPED / f"{EXAMPLE}.toml").read_text())

    for path, default in walk():
        table_of, _, name = path.rpartition(".")
        with suppress(KeyError):  # a table that is left out as a whole
            if name not in (at(raw, table_of) if table_of else raw):
                assert default in {None, ()} or path == "name", path


_COLUMNS = sorted(path for path, _ in leaves())


def _of_kind(kind: SettingType) -> st.SearchStrategy[Any]:
    """What a settings file may say, and some that it may not."""
    match kind:
        case Flag():
            values: st.SearchStrategy[Any] = st.sampled_from([True, False, "true", "false", 1, 0])
        case Choice(words):
            values = st.sampled_from(words)
        case CompressionLevel():
            values = st.sampled_from([1, 9, 22, "", "9"])
        case Number(low, high, of):
            numbers = st.integers(int(low), int(high)) if of is int else st.floats(low, high)
            values = numbers | numbers.map(str)
        case Names(each):
            names = _COLUMNS if each == "columns" else LOG_FOLDERS + OPTIONAL_LOG_FOLDERS
            lists = st.lists(st.sampled_from(names), unique=True, max_size=3)
            values = lists | lists.map(", ".join)
        case ByColumn(each):
            of_column = st.sampled_from(
                ["PLAIN", "RLE"] if "encoding" in each else [*CODECS, "zstd:9"]
            )
            pairs = st.dictionaries(st.sampled_from(_COLUMNS), of_column, max_size=3)
            values = pairs | pairs.map(lambda one: ",".join(f"{k}={v}" for k, v in one.items()))
        case Structs(_, of):
            values = _rules("eventName" if of is Discard else "keys")
        case _:
            raise AssertionError(kind)
    return values


def _rules(of: str) -> st.SearchStrategy[Any]:
    texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1)
    more = {"columns": st.lists(st.sampled_from(JSON_COLUMNS), max_size=2)} if of == "keys" else {}
    rule = st.fixed_dictionaries({"name": st.sampled_from("abc"), of: texts}, optional=more)
    rules = st.lists(rule, max_size=3, unique_by=lambda one: str(one["name"]))
    return rules | rules.map(json.dumps)


_SETTINGS = st.fixed_dictionaries(
    {}, optional={one.name: _of_kind(one.metadata["type"]) for one in fields(Settings)}
)


def read_back(converter: dict[str, Any]) -> None:
    try:
        expected = settings_of(SettingSource("file", converter))
    except UsageError:
        reject()

    environment = Environment.model_validate({**LEAST, "name": "trails", "converter": converter})

    assert environment.settings == expected
    assert settings_of(*settings_environment(environment.variables)) == expected


@given(_SETTINGS)
def test_the_function_reads_the_settings_that_the_file_has(converter: dict[str, Any]) -> None:
    read_back(converter)


@pytest.mark.parametrize("name", [one.name for one in fields(Settings)])
@given(data=st.data())
def test_the_function_reads_each_setting_that_the_file_has(name: str, data: st.DataObject) -> None:
    kinds = {one.name: one.metadata["type"] for one in fields(Settings)}

    read_back({name: data.draw(_of_kind(kinds[name]))})


def test_the_function_reads_what_is_written_otherwise_than_in_its_environment() -> None:
    read_back({"discard": [], "redact": [], "bloom_columns": [], "column_compression": {}})
    read_back({"replace_shrunk": 1, "compression_level": "", "bloom_fpp": 1e-3})
    read_back({"discard": [{"name": "a", "eventName": ["a,b=c", "${x}", "é\n"]}]})


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.dates()
    | st.sampled_from([KEY, TOPIC, "", "eu-central-1", "lake"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["bucket", "enabled", "prefix", "name"]) | st.text("ab.[] "),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


_PLACES = sorted({*FIELDS, *Environment.model_fields} - {"sources[].bucket"})


@given(st.sampled_from(_PLACES), _VALUES)
def test_whatever_stands_in_a_field_is_read_or_refused_by_its_name(path: str, value: Any) -> None:  # noqa: ANN401
    raw = changed({path: value})

    try:
        read(raw)
    except UsageError:
        table = path.partition(".")[0].removesuffix("[]")
        tables = (table, "state") if table == "dataset" else (table,)  # it lies beside that
        starts = tuple(f"a.toml: {one}" for one in tables)
        assert all(line.startswith(starts) for line in problems(raw))


@given(
    st.dictionaries(st.sampled_from([*Environment.model_fields, "x"]) | st.text("ab. "), _VALUES)
)
def test_whatever_stands_in_a_file_is_read_or_refused(raw: dict[str, Any]) -> None:
    with suppress(UsageError):
        read(raw)
