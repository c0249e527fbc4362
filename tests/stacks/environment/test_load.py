"""Environment files are read, or refused with all their mistakes at once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cloudtrail_parquet.errors import MistakesError, UsageError
from stacks.environment.load import EXAMPLE, load, load_all
from tests.stacks.conftest import CASES, ENVIRONMENTS, ROOT
from tests.stacks.environment.files import LEAST, changed, problem, problems, read, table, toml

ELSEWHERE = {"bucket": "other-lake", "prefix": "cloudtrail"}
"""The dataset of another environment."""


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
    third["dataset"] = ELSEWHERE

    lines = problems(first, table(dataset__prefix="b"), third)

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
    first = table(name="trails", account=here)
    second = table(name="trails", account=there, dataset=ELSEWHERE)

    assert len(read(first, second)) == 2
    assert problems(first, {**second, "account": here}) == [
        "a.toml: name = 'trails': another environment of that account has it",
        "b.toml: name = 'trails': another environment of that account has it",
    ]
    # Whatever else is wrong with one of them; but a name that is not legal is nobody's.
    assert len(problems(first, {**second, "account": here, "tags": 3})) == 3
    assert len(problems(first, {**second, "account": 3})) == 1
    # Roles have no region.
    first = table(name="trails")
    assert len(problems(first, {**first, "region": "us-east-1", "dataset": ELSEWHERE})) == 2


def test_two_environments_of_an_account_and_region_make_no_database_or_table_twice() -> None:
    here = {"account": "111122223333", "catalogue.enabled": True}
    given = {**here, "catalogue.database": "security"}
    uses = {**given, "catalogue.create_database": False}
    of = "another environment of that account and region has it"

    def both(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
        return [changed(first), changed({**second, "dataset": ELSEWHERE})]

    assert [one.database for one in read(*both(here, here))] == [
        "cloudtrail_parquet_a",
        "cloudtrail_parquet_b",
    ]
    assert problems(*both(given, {**given, "catalogue.table": "b"})) == [
        f"{file}.toml: catalogue.database = 'security': {of}; only one may create it"
        for file in "ab"
    ]
    assert problems(*both(given, uses)) == [
        f"{file}.toml: catalogue.table = 'cloudtrail' in 'security': {of}" for file in "ab"
    ]
    for other in (
        {**uses, "catalogue.table": "other"},
        {**given, "region": "us-east-1"},
        {**given, "account": "444455556666"},
        {**given, "catalogue.enabled": False},
    ):
        assert len(read(*both(given, other))) == 2


def test_two_environments_do_not_share_a_terraform_state() -> None:
    backend = {"bucket": "terraform", "key": "a.tfstate", "region": "eu-central-1"}
    first = table(backend=backend)
    second = table(dataset__bucket="other-lake", backend=backend)

    taken = "another environment has it, and each would destroy what the other has made"
    assert problems(first, second) == [
        f"{file}.toml: backend.key = 'a.tfstate' in 'terraform': {taken}" for file in "ab"
    ]
    # Buckets of a name are one, whatever account and region deploy with it.
    elsewhere = {**second, "account": "444455556666", "region": "eu-west-1"}
    assert len(problems(first, elsewhere)) == 2
    # But what is not legal is nobody's, and other partitions have buckets of their own.
    assert len(problems(first, {**second, "backend": {**backend, "region": "x"}})) == 1
    assert len(problems(first, {**second, "backend": {**backend, "bucket": "X"}})) == 1
    for change in ({"key": "b.tfstate"}, {"bucket": "terraform-2"}):
        assert len(read(first, {**second, "backend": {**backend, **change}})) == 2
    china = {"region": "cn-north-1", "backend": {**backend, "region": "cn-north-1"}}
    assert len(read(first, {**second, **china})) == 2


def test_two_environments_do_not_create_the_same_bucket() -> None:
    first = table(dataset__create=True)
    state = {"bucket": "lake", "prefix": "state", "create": True}
    second = table(dataset__bucket="other-lake", state=state)

    assert problems(first, second) == [
        "a.toml: dataset.create: another environment creates lake, too",
        "b.toml: state.create: another environment creates lake, too",
    ]
    assert len(problems(first, {**second, "state": {**state, "bucket": "L"}})) == 1
    assert len(read(first, {**second, "state": {**state, "create": False}})) == 2


def test_two_environments_do_not_write_into_the_same_folder() -> None:
    def environment(prefix: str, **more: object) -> dict[str, Any]:
        return table(dataset__prefix=prefix, **more)

    first = environment("cloudtrail")
    assert problems(first, first) == [
        "a.toml: dataset: s3://lake/cloudtrail is the dataset of environment b already",
        "b.toml: dataset: s3://lake/cloudtrail is the dataset of environment a already",
    ]
    for other, line in (
        (environment("cloudtrail/b"), "dataset: s3://lake/cloudtrail/b lies in the dataset of"),
        (environment("cloudtrail.state"), "dataset: s3://lake/cloudtrail.state is the state of"),
        (
            environment("b", state={"bucket": "lake", "prefix": "cloudtrail.state/b"}),
            "state: s3://lake/cloudtrail.state/b lies in the state of environment a, s3://lake/c",
        ),
    ):
        (told,) = problems(first, other)
        assert told.startswith(f"b.toml: {line}")
    states = {"bucket": "states"}
    own = (environment(prefix, state=states) for prefix in "ab")
    assert problems(*own) == [
        "a.toml: state: s3://states is the state of environment b already",
        "b.toml: state: s3://states is the state of environment a already",
    ]
    assert len(problems(first, environment("cloudtrail", region="Frankfurt"))) == 1
    assert len(read(first, environment("cloudtrail2"), environment("a"))) == 3


def test_the_name_comes_from_the_file_unless_given() -> None:
    (environment,) = read(LEAST)

    assert environment.name == "cloudtrail-parquet-a"


def test_all_environments_of_a_folder_are_read_but_the_example(tmp_path: Path) -> None:
    for name in ("dev", "prod", EXAMPLE):
        own = table(dataset__prefix=name)
        lines = (f"{key} = {toml(value)}\n" for key, value in own.items())
        (tmp_path / f"{name}.toml").write_text("".join(lines))

    assert list(load_all(tmp_path)) == ["dev", "prod"]
    assert list(load_all(tmp_path, "prod")) == ["prod"]
    with pytest.raises(
        UsageError, match=r"no staging here \(found: dev, example, prod\)\. Copy exam"
    ):
        load_all(tmp_path, "staging")
    with pytest.raises(UsageError, match=r"no environment here \(found: nothing\)"):
        load_all(tmp_path / "nowhere")


def test_one_environment_alone_is_compared_with_the_others_too(tmp_path: Path) -> None:
    for name, own in (("dev", table(tags=3)), ("prod", LEAST), (EXAMPLE, LEAST)):
        lines = (f"{key} = {toml(value)}\n" for key, value in own.items())
        (tmp_path / f"{name}.toml").write_text("".join(lines))
    (tmp_path / "broken.toml").write_text("region = ")

    with pytest.raises(MistakesError) as caught:
        load_all(tmp_path, "prod")

    (told,) = caught.value.problems
    taken = "s3://lake/cloudtrail is the dataset of environment dev already"
    assert told == f"{tmp_path / 'prod.toml'}: dataset: {taken}"
    (tmp_path / "dev.toml").unlink()
    assert list(load_all(tmp_path, "prod")) == ["prod"]


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
