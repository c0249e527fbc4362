"""Environment files are read, or refused with all their mistakes at once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cloudtrail_parquet.errors import UsageError
from stacks.environment.load import EXAMPLE, load, load_all
from tests.stacks.conftest import CASES, ENVIRONMENTS, ROOT
from tests.stacks.environment.files import LEAST, changed, problem, problems, read, table, toml


def test_what_has_to_be_given_is_named() -> None:
    assert problems({}) == [
        "a.toml: region: has to be given",
        "a.toml: sources: has to be given",
        "a.toml: dataset: has to be given",
    ]
    assert problems(table(vpc={}, sources=[{}])) == [
        "a.toml: sources[0].bucket: has to be given",
        "a.toml: vpc.subnets: has to be given",
        "a.toml: vpc.security_groups: has to be given",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"regoin": "x"}, "regoin: there is no such field; did you mean region?"),
        (
            {"function.timeout": 9},
            "function.timeout: there is no such field; did you mean timeout_s?",
        ),
        (
            {"sources[].buket": "a"},
            "sources[0].buket: there is no such field; did you mean bucket?",
        ),
        ({"state.creat": True}, "state.creat: there is no such field; did you mean create?"),
        ({"zzz": 1}, "zzz: there is no such field"),
        ({"function.zzz.zzz": 1}, "function.zzz: there is no such field"),
        (
            {"converter.row_group_row": 1},
            "converter: there is no setting row_group_row: did you mean row_group_rows?",
        ),
    ],
)
def test_an_unknown_field_is_refused_with_the_one_that_was_meant(
    changes: dict[str, Any], expected: str
) -> None:
    assert problems(changed(changes)) == [f"a.toml: {expected}"]


def test_every_mistake_of_every_file_is_reported_at_once() -> None:
    first = table(region="x", function__memory_mb=1, converter__page_rows=0, converter__lease_s=1)
    third = table(tags={"a": "%", "b": "%"}, sources=[{"bucket": "A"}, {"bucket": "B"}])

    lines = problems(first, LEAST, third)

    assert [line.split(" = ")[0] for line in lines] == [
        "a.toml: region",
        "a.toml: function.memory_mb",
        "a.toml: converter: page_rows",
        "a.toml: converter: lease_s",
        "c.toml: tags.a",
        "c.toml: tags.b",
        "c.toml: sources[0].bucket",
        "c.toml: sources[1].bucket",
    ]


def test_a_message_says_file_field_value_and_what_is_legal() -> None:
    assert problem(function__memory_mb=99) == (
        "a.toml: function.memory_mb = 99: it has to be 512 to 10,240 MB"
    )
    assert problem(function__architecture="amd64") == (
        "a.toml: function.architecture = 'amd64': it has to be 'arm64' or 'x86_64'"
    )
    assert problem(converter__compression_level=23) == (
        "a.toml: converter: compression_level = 23: it has to be a whole number from 1 to 22, or"
        " empty for the codec's own"
    )


@pytest.mark.parametrize(
    "content", [b"region = ", b"\xff", b"a = " + b"9" * 5000, b"a = " + b"[" * 9999]
)
def test_a_file_that_is_no_toml_is_named_beside_the_other_mistakes(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    (tmp_path / "b.toml").write_text("region = 1")

    with pytest.raises(UsageError, match=r"(?s)a\.toml: it cannot be read.*b\.toml: region = 1"):
        load(tmp_path / "a.toml", tmp_path / "b.toml")


def test_a_name_is_given_once_in_an_account() -> None:
    here, there = "111122223333", "444455556666"
    first, second = table(name="trails", account=here), table(name="trails", account=there)

    assert len(read(first, second)) == 2
    assert problems(first, {**second, "account": here}) == [
        "a.toml: name = 'trails': another environment of that account has it",
        "b.toml: name = 'trails': another environment of that account has it",
    ]
    # Whatever else is wrong with one of them; but a name that is not legal is nobody's.
    assert len(problems(first, {**second, "account": here, "tags": 3})) == 3
    assert len(problems(first, {**second, "account": 3})) == 1
    # Roles have no region.
    assert len(problems(table(name="trails"), table(name="trails", region="us-east-1"))) == 2


def test_two_environments_of_an_account_and_region_make_no_database_or_table_twice() -> None:
    here = {"account": "111122223333", "catalogue.enabled": True}
    given = {**here, "catalogue.database": "security"}
    uses = {**given, "catalogue.create_database": False}
    of = "another environment of that account and region has it"

    assert [one.database for one in read(changed(here), changed(here))] == [
        "cloudtrail_parquet_a",
        "cloudtrail_parquet_b",
    ]
    assert problems(changed(given), changed({**given, "catalogue.table": "b"})) == [
        f"{file}.toml: catalogue.database = 'security': {of}; only one may create it"
        for file in "ab"
    ]
    assert problems(changed(given), changed(uses)) == [
        f"{file}.toml: catalogue.table = 'cloudtrail' in 'security': {of}" for file in "ab"
    ]
    for other in (
        {**uses, "catalogue.table": "other"},
        {**given, "region": "us-east-1"},
        {**given, "account": "444455556666"},
        {**given, "catalogue.enabled": False},
    ):
        assert len(read(changed(given), changed(other))) == 2


def test_the_name_comes_from_the_file_unless_given() -> None:
    (environment,) = read(LEAST)

    assert environment.name == "cloudtrail-parquet-a"


def test_all_environments_of_a_folder_are_read_but_the_example(tmp_path: Path) -> None:
    for name in ("dev", "prod", EXAMPLE):
        lines = (f"{key} = {toml(value)}\n" for key, value in LEAST.items())
        (tmp_path / f"{name}.toml").write_text("".join(lines))

    assert list(load_all(tmp_path)) == ["dev", "prod"]
    assert list(load_all(tmp_path, "prod")) == ["prod"]
    with pytest.raises(
        UsageError, match=r"no staging here \(found: dev, example, prod\)\. Copy exam"
    ):
        load_all(tmp_path, "staging")
    with pytest.raises(UsageError, match=r"no environment here \(found: nothing\)"):
        load_all(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["constructor", "..", ".", "python3.13", "-x", "_x", "a b", "Prod", "prod\n", "é", "'a"]
)
def test_a_name_that_would_break_a_folder_or_the_toolkit_is_refused(
    name: str, tmp_path: Path
) -> None:
    shutil.copy(ENVIRONMENTS / "everything.toml", tmp_path / f"{name}.toml")

    with pytest.raises(UsageError, match="lower-case letters, digits, _ and -, not beginning with"):
        load_all(tmp_path)


@pytest.mark.parametrize("name", ["before", "0", "a", "dev_eu-1", "stacks", "tree", "con"])
def test_any_other_name_will_do(name: str, tmp_path: Path) -> None:
    shutil.copy(ENVIRONMENTS / "everything.toml", tmp_path / f"{name}.toml")

    assert list(load_all(tmp_path)) == [name]


SHIPPED = ROOT / "environments"


def test_the_shipped_environments_and_those_of_the_tests_are_legal() -> None:
    shipped = load_all(SHIPPED)
    assert sorted(shipped) == ["dev", "prod"]
    for name, one in shipped.items():  # a file that gets another name is the same deployment
        assert f'name = "{one.name}"' in (SHIPPED / f"{name}.toml").read_text()
    assert set(CASES) <= set(load_all(ENVIRONMENTS))
