"""`verify` finds nothing in what convert has written, and names whatever is changed afterwards."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Stores, open_source, open_store
from tests.builders import ACCOUNT, log_file
from tests.end_to_end.altered import replaced, rewrite, row_of, without
from tests.end_to_end.altered import sign as sign_in
from tests.end_to_end.datasets import Json, parts, toml_of
from tests.end_to_end.program import run
from tests.end_to_end.trees import NOON, deliver, event
from tests.layouts import LAYOUTS

TREE = "--accounts 2 --regions 2 --days 2 --records 700 --late 0.05 --duplicates 0.05"
WRONG = 5
DAY_KEY = "account={}/region=eu-central-1/year=2026/month=01/day=10"


class Verified(NamedTuple):
    """What a verification has said."""

    status: int
    findings: list[Json]
    summary: Json

    def of(self, kind: str) -> list[Json]:
        return [finding for finding in self.findings if finding["kind"] == kind]

    @property
    def kinds(self) -> set[str]:
        return {finding["kind"] for finding in self.findings}


def verify(dataset: Path, *options: object, workers: int = 1) -> Verified:
    done = run("verify", dataset, "--json", "--workers", workers, *options)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    return Verified(done.returncode, lines[:-1], lines[-1])


def assert_clean(dataset: Path, source: Path | None, *notes: str) -> Json:
    """Nothing is wrong, and only these kinds of notes are made."""
    found = verify(dataset, *(("--source", source) if source else ()))
    assert (found.findings if found.kinds - set(notes) else []) == []
    assert found.status == 0
    return found.summary


class Generated(NamedTuple):
    tree: Path
    truth: Json


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    tree = tmp_path_factory.mktemp("generated") / "logs"
    done = run("generate", tree, *TREE.split(), "--corrupt", "0.03", "--json")
    return Generated(tree, json.loads(done.stdout))


def converted(logs: Path, dataset: Path, **settings: Any) -> Path:  # noqa: ANN401
    file = dataset.with_suffix(".toml")
    file.write_text(toml_of(settings))
    done = run("convert", logs, dataset, "--workers", 1, "--settings", file)
    assert done.returncode in {0, 3}, done.stderr
    return dataset


def test_log_files_of_one_name_in_several_trees_are_not_taken_for_one(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    deliver(logs / "one", event("a"), event("b"))
    deliver(logs / "other", event("c"), event("d"), event("e"))
    dataset = converted(logs, tmp_path / "lake")

    assert_clean(dataset, logs)


ENCODED = [(layout, "string") for layout in LAYOUTS] + [
    *((LAYOUTS[0], encoding) for encoding in ("json", "variant")),
    (LAYOUTS[4], "variant"),
]


@pytest.mark.parametrize(("layout", "encoding"), ENCODED)
def test_nothing_is_wrong_with_a_new_dataset(
    generated: Generated, tmp_path: Path, layout: str, encoding: str
) -> None:
    tree, truth = generated
    dataset = converted(tree, tmp_path / "dataset", partition_layout=layout, json_encoding=encoding)

    summary = assert_clean(dataset, tree, "quarantined")

    assert summary["looked_at"]["rows"] == truth["records"]
    assert summary["looked_at"]["units"] == summary["there"]["units"]
    assert summary["found"].keys() == {"quarantined"}
    assert_clean(dataset, None)


def test_the_damaged_files_of_the_tree_are_named(generated: Generated, tmp_path: Path) -> None:
    dataset = converted(generated.tree, tmp_path / "dataset")

    named = {one["log_file"] for one in verify(dataset, "--source", generated.tree).findings}

    assert named == {damaged["key"] for damaged in generated.truth["corrupt_files"]}


RULES: dict[str, Any] = {
    "discard": [{"name": "kms", "eventSource": ["kms.*"]}, {"name": "n", "eventName": ["Get*"]}],
    "redact": [
        {"name": "ids", "keys": ["instanceId", "keyId", "bucketName", "x"]},
        {"name": "names", "keys": ["userName", "name"], "columns": ["requestParameters"]},
    ],
}


def test_rules_are_accounted_for(generated: Generated, tmp_path: Path) -> None:
    dataset = converted(generated.tree, tmp_path / "dataset", **RULES)

    summary = assert_clean(dataset, generated.tree, "quarantined")

    assert 0 < summary["looked_at"]["rows"] < generated.truth["records"]


def test_processes_find_what_one_finds(generated: Generated, tmp_path: Path) -> None:
    dataset = converted(generated.tree, tmp_path / "dataset")
    parts(dataset)[0].unlink()

    one, two = (verify(dataset, "--source", generated.tree, workers=n) for n in (1, 2))

    assert one == two
    assert one.status == WRONG


def test_a_sample_is_the_same_each_time_and_says_how_large_it_is(
    generated: Generated, tmp_path: Path
) -> None:
    dataset = converted(generated.tree, tmp_path / "dataset")

    one, two, other = (
        verify(dataset, "--source", generated.tree, "--sample", "40%", "--seed", seed).summary
        for seed in (7, 7, 8)
    )

    assert one == two
    assert one != other
    assert 0 < one["looked_at"]["units"] < one["there"]["units"]
    assert 0 < one["looked_at"]["rows"] < one["there"]["rows"]
    text = run("verify", dataset, "--sample", "40%", "--seed", 7).stdout
    assert f"of {one['there']['units']} units" in text


@pytest.mark.parametrize("share", ["0%", "101%", "much", "-1", "nan"])
def test_another_share_is_a_wrong_usage(tmp_path: Path, share: str) -> None:
    deliver(tmp_path / "logs", event("a"))
    dataset = converted(tmp_path / "logs", tmp_path / "dataset")

    done = run("verify", dataset, f"--sample={share}")

    assert done.returncode == 2
    assert "is not a share" in done.stderr


# Odd records, which only the definition of what is lossless can compare.

ODD: list[object] = [
    event("null", errorCode=None, userIdentity={"type": None, "sessionContext": None}),
    event("number", additionalEventData={"a": 1.10, "b": -0.0, "c": 10**30, "d": "1.10"}),
    event("typed", readOnly="true", recipientAccountId=1234, managementEvent=1),
    event("further", newMember={"a": [None, {"b": None}]}, tlsDetails={"x": 1, "tlsVersion": 2}),
    event("alias", resources=[{"arn": "arn:aws:s3:::logs", "ARN": None}, {"accountId": 7}]),
    event("fraction") | {"eventTime": "2026-01-10T11:58:00.250Z"},
    event("epoch") | {"eventTime": 1768046280},
    event("major", eventVersion="2.0", readOnly=None, userIdentity=None),
    event("old", eventVersion="1.0", eventType=..., eventCategory=..., managementEvent=...),
    event(
        "map",
        userIdentity={
            "sessionContext": {"webIdFederationData": {"attributes": {"a": None, "b": 1, "c": "d"}}}
        },
    ),
    '{"eventTime":"2026-01-10T11:58:00Z","eventID":"\\ud800","requestParameters":{"a":"\\udfff"}}',
    '{"eventTime":"2026-01-10T11:58:00Z","eventID":"big","requestParameters":[1e400,1E-7]}',
    '{"eventTime":"2026-01-10T11:58:00Z","eventID":"deep","requestParameters":'
    + "[" * 150
    + "]" * 150
    + "}",
    '{"eventTime":"2026-01-10T11:58:00Z","requestParameters":"without an id"}',
    '{"eventTime":"2026-01-10T11:58:00Z","requestParameters":"without an id"}',
]


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_odd_records_are_equal_after_all(tmp_path: Path, encoding: str) -> None:
    deliver(tmp_path / "logs", *ODD, "17", '{"eventID":"no time"}')
    dataset = converted(tmp_path / "logs", tmp_path / "dataset", json_encoding=encoding)

    assert assert_clean(dataset, tmp_path / "logs")["looked_at"]["rows"] == len(ODD) - 1


def test_records_that_come_back_alike_are_no_repetition(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a", errorCode=None), event("a"))
    dataset = converted(tmp_path / "logs", tmp_path / "dataset")

    assert assert_clean(dataset, tmp_path / "logs")["looked_at"]["rows"] == 2
    assert_clean(dataset, None)


def test_other_shapes_and_odd_names_are_read_too(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    odd = deliver(logs, event("a"))
    odd.with_name("copy.json").write_text(json.dumps(event("b")) + "\n" + json.dumps(event("c")))
    odd.rename(odd.with_name("zz.json.gz"))
    dataset = converted(logs, tmp_path / "dataset")

    summary = assert_clean(dataset, logs)

    assert summary["looked_at"]["rows"] == 3
    assert summary["looked_at"]["odd"] == 2  # it has no time, and is read for two days


# What comes later: added, split, kept.


def test_log_files_that_come_later_are_not_lost(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    deliver(logs, event("a"), event("b"))
    dataset = converted(logs, tmp_path / "dataset")
    deliver(logs, event("c"), event("a"), unique="ZZZZZZZZZZZZZZZZ")

    later = verify(dataset, "--source", logs)

    assert later.kinds == {"log file added"}
    assert later.findings[0]["log_file"].endswith("ZZZZZZZZZZZZZZZZ.json.gz")
    converted(logs, dataset)
    assert_clean(dataset, logs)


def test_a_day_that_goes_on_is_not_wrong(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    now = NOON.now(NOON.tzinfo)
    deliver(logs, event("a", now - timedelta(minutes=9)), delivered=now - timedelta(minutes=7))
    dataset = converted(logs, tmp_path / "dataset")
    late, name = now - timedelta(minutes=1), "ZZZZZZZZZZZZZZZZ"
    deliver(logs, event("c", now - timedelta(minutes=3)), delivered=late, unique=name)

    found = verify(dataset, "--source", logs)

    assert (found.kinds, found.status) == ({"not converted yet"}, 0)
    converted(logs, dataset)
    assert_clean(dataset, logs)


def test_a_unit_that_was_never_converted_is_named_and_not_wrong(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    deliver(logs, event("a"))
    dataset = converted(logs, tmp_path / "dataset")
    later = NOON + timedelta(days=3)
    deliver(logs, event("b", later), delivered=later)

    found = verify(dataset, "--source", logs)

    assert (found.kinds, found.status) == ({"not converted yet"}, 0)
    assert found.findings[0]["unit"] == f"{ACCOUNT} eu-central-1 2026-01-13"


def test_shards_are_one_unit(tmp_path: Path) -> None:
    logs, dataset = tmp_path / "logs", tmp_path / "dataset"
    for hour in range(6):
        when = NOON + timedelta(hours=hour)
        deliver(
            logs,
            event(f"a{hour}", when),
            event(f"late{hour}", NOON - timedelta(days=4)),
            delivered=when,
        )
    stores = Stores(open_source(str(logs)), open_store(dataset), open_store(f"{dataset}.state"))
    unit = Unit(ACCOUNT, "eu-central-1", NOON.date())
    trails = [f"AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/"]
    one, two, three = Shard(1, 3).siblings
    convert_unit(unit, trails, stores, Settings(), shard=two)
    half = verify(dataset, "--source", logs)
    for shard in (one, three):
        convert_unit(unit, trails, stores, Settings(), shard=shard)

    assert "unfinished" in half.kinds
    assert assert_clean(dataset, logs, "not converted yet")["looked_at"]["rows"] == 12


def test_what_has_expired_is_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    deliver(logs, event("older", NOON - timedelta(days=9)), delivered=NOON - timedelta(days=9))
    gone = deliver(logs, event("a"), event("late", NOON - timedelta(days=4)))
    deliver(logs, event("b"), unique="ZZZZZZZZZZZZZZZZ")
    dataset = converted(logs, tmp_path / "dataset")
    gone.unlink()
    before = verify(dataset, "--source", logs)
    converted(logs, dataset)

    assert before.kinds == {"log file gone"}
    assert assert_clean(dataset, logs, "kept")["found"] == {"kept": 1}


def test_what_is_damaged_later_is_kept(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    damaged = deliver(logs, event("a"))
    deliver(logs, event("b"), unique="ZZZZZZZZZZZZZZZZ")
    dataset = converted(logs, tmp_path / "dataset")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    before = verify(dataset, "--source", logs)
    converted(logs, dataset)

    assert before.kinds == {"log file damaged"}
    assert assert_clean(dataset, logs, "kept")["found"] == {"kept": 1}


@pytest.mark.parametrize("rules", [{}, {"redact": [{"name": "a", "keys": ["a"]}]}])
@pytest.mark.parametrize("encoding", ["string", "variant"])
def test_records_that_are_nested_too_deep_for_python_are_compared_as_they_are(
    tmp_path: Path, encoding: str, rules: Json
) -> None:
    deep = '{"eventTime":"2026-01-10T11:58:00Z","eventID":"%s","userIdentity":{"type":"x","y":%s},'
    deep += '"requestParameters":{"a":%s, "b": 1.0}}'
    lists, objects = "[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000
    deliver(tmp_path / "logs", deep % ("l", 1, lists), deep % ("o", objects, "2"), event("x"))
    dataset = converted(tmp_path / "logs", tmp_path / "dataset", json_encoding=encoding, **rules)

    assert assert_clean(dataset, tmp_path / "logs")["looked_at"]["rows"] == 3
    damaged = part_of(dataset)
    row = row_of(damaged, "l")
    rewrite(damaged, lambda table: replaced(table, "userAgent", row, "x"))
    assert verify(dataset, "--source", tmp_path / "logs").of("record altered")


@pytest.mark.parametrize("named", [b"caf\xe9.json.gz", b"a b.json.gz"])
def test_a_damaged_log_file_of_any_name_is_quarantined(tmp_path: Path, named: bytes) -> None:
    path = deliver(tmp_path / "logs", event("a"))
    path.with_name(os.fsdecode(named)).write_bytes(b"\x1f\x8b")
    dataset = converted(tmp_path / "logs", tmp_path / "dataset")

    assert assert_clean(dataset, tmp_path / "logs", "quarantined")["found"]["quarantined"] > 0


def test_a_dataset_without_a_part_is_one_if_it_has_receipts(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", "17")
    dataset = converted(tmp_path / "logs", tmp_path / "dataset")
    assert not dataset.exists()

    assert_clean(dataset, tmp_path / "logs")


def test_a_dataset_that_is_gone_misses_its_parts(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("a"))
    dataset = converted(tmp_path / "logs", tmp_path / "dataset")
    shutil.rmtree(dataset)

    assert verify(dataset).kinds == {"part missing"}


def part_of(dataset: Path) -> Path:
    (one,) = parts(dataset)
    return one


# Tampering: a dataset of a few days, in which something is changed.


class Small(NamedTuple):
    """A dataset with a straggler, and its logs."""

    logs: Path
    dataset: Path

    @property
    def part(self) -> Path:
        return self.dataset / DAY_KEY.format(ACCOUNT) / "part-00000.parquet"

    @property
    def late(self) -> Path:
        return self.part.with_name("straggler-20260115-00000.parquet")

    @property
    def receipt(self) -> Path:
        return Path(f"{self.dataset}.state/receipts/{DAY_KEY.format(ACCOUNT)}.json")

    def key(self, path: Path) -> str:
        return str(path.relative_to(self.dataset))

    def verify(self, *options: object) -> Verified:
        return verify(self.dataset, *options)

    def compare(self) -> Verified:
        return verify(self.dataset, "--source", self.logs)


LATER = NOON + timedelta(days=5)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    logs = folder / "logs"
    for number in range(4):
        when = NOON + timedelta(hours=number)
        records = [event(f"{number}-{n}", when, userAgent=f"agent {n}") for n in range(20)]
        deliver(logs, *records, delivered=when)
    deliver(logs, *(event(f"o-{n}") for n in range(9)), account="999999999999")
    late = [event(f"late-{n}", NOON) for n in range(5)]
    deliver(logs, event("later", LATER), *late, delivered=LATER)
    dataset = converted(logs, folder / "dataset", row_group_rows=32)
    assert_clean(dataset, logs)
    return Small(logs, dataset)


@pytest.fixture
def small(untouched: Small, tmp_path: Path) -> Small:
    shutil.copytree(untouched.logs.parent, tmp_path / "copy")
    return Small(tmp_path / "copy" / "logs", tmp_path / "copy" / "dataset")


def sign(small: Small, path: Path) -> None:
    """Make the receipt of the day agree with a part that was written again."""
    sign_in(small.receipt, small.key(path), path)


def test_each_flipped_byte_of_a_part_is_found_and_named(small: Small) -> None:
    data = small.part.read_bytes()
    for at in {4, len(data) // 3, len(data) // 2, len(data) - 9, len(data) - 1}:
        small.part.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])

        found = small.verify()

        assert found.status == WRONG
        named = found.of("part altered") + found.of("part damaged")
        assert {one["part"] for one in named} == {small.key(small.part)}


def test_the_checksum_of_a_page_tells_damage_without_a_digest(tmp_path: Path) -> None:
    """A receipt of an older version has none."""
    logs, receipt = tmp_path / "logs", DAY_KEY.format(ACCOUNT)
    deliver(logs, *(event(f"{n}", userAgent=f"agent {n}") for n in range(300)))
    dataset = converted(logs, tmp_path / "dataset", compression="none")
    path = Path(f"{dataset}.state/receipts/{receipt}.json")
    text = path.read_text()
    path.write_text(text.replace(json.loads(text)["parts"][0]["sha256"], ""))
    before = verify(dataset)
    part = part_of(dataset)
    part.write_bytes(part.read_bytes().replace(b"agent 7", b"agent 8", 1))

    assert (before.status, before.kinds) == (0, {"no hash"})
    assert verify(dataset).of("part damaged")


def altered(small: Small) -> None:
    row = row_of(small.part, "1-3")
    rewrite(small.part, lambda table: replaced(table, "userAgent", row, "somebody else"))


def deleted(small: Small) -> None:
    rewrite(small.part, lambda table: without(table, row_of(small.part, "1-3")))


def doubled(small: Small) -> None:
    row = row_of(small.part, "1-3")
    rewrite(small.part, lambda table: pa.concat_tables([table, table.slice(row, 1)]))


def invented(small: Small) -> None:
    row = row_of(small.part, "1-3")

    def change(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, replaced(table.slice(row, 1), "eventID", 0, "invented")])

    rewrite(small.part, change)


REWRITTEN: dict[Callable[[Small], None], tuple[str, str]] = {
    altered: ("record altered", "1-3"),
    deleted: ("record missing", "1-3"),
    doubled: ("row repeated", "1-3"),
    invented: ("row without a log file", "invented"),
}


@pytest.mark.parametrize("tamper", REWRITTEN)
def test_a_part_that_was_written_again_is_named_and_the_row(
    small: Small, tamper: Callable[[Small], None]
) -> None:
    kind, event_id = REWRITTEN[tamper]
    tamper(small)

    assert {one["part"] for one in small.verify().of("part altered")} == {small.key(small.part)}
    (named,) = small.compare().of(kind)
    assert named["event_id"] == event_id
    if kind != "record missing":
        assert (named["part"], named["row"]) == (small.key(small.part), named["row"])
    if kind in {"record missing", "record altered"}:
        assert "T1300Z" in named["log_file"]
        assert named["record"] == 3


@pytest.mark.parametrize("tamper", REWRITTEN)
def test_it_is_named_even_if_the_receipt_agrees(
    small: Small, tamper: Callable[[Small], None]
) -> None:
    kind, event_id = REWRITTEN[tamper]
    tamper(small)
    sign(small, small.part)

    found = small.compare()

    assert not found.of("part altered")
    assert [one["event_id"] for one in found.of(kind)] == [event_id]
    assert found.status == WRONG


def test_a_row_of_another_day_or_an_empty_time_is_misplaced(small: Small) -> None:
    row = row_of(small.part, "1-3")
    rewrite(small.part, lambda table: replaced(table, "eventTime", row, LATER))

    (named,) = small.verify().of("row misplaced")
    assert (named["event_id"], named["row"]) == ("1-3", row)


def test_a_row_that_is_no_record_is_named(small: Small) -> None:
    row = row_of(small.part, "1-3")
    rewrite(small.part, lambda table: replaced(table, "requestParameters", row, "{"))

    (named,) = small.verify().of("row unreadable")
    assert (named["event_id"], named["row"]) == ("1-3", row)


def test_a_part_that_is_gone_is_named(small: Small) -> None:
    small.part.unlink()

    (named,) = small.verify().of("part missing")
    assert named["part"] == small.key(small.part)
    assert len(small.compare().of("record missing")) == 80


def test_a_straggler_part_that_is_gone_is_named(small: Small) -> None:
    small.late.unlink()

    (named,) = small.verify().of("part missing")
    assert named["part"] == small.key(small.late)
    assert len(small.compare().of("record missing")) == 5


@pytest.mark.parametrize("name", ["part-00001.parquet", "stray.parquet", "part-7.txt"])
def test_a_part_that_was_renamed_is_unknown_under_its_new_name(small: Small, name: str) -> None:
    renamed = small.part.with_name(name)
    small.part.rename(renamed)

    found = small.verify()

    assert {one["part"] for one in found.of("part unknown")} == {small.key(renamed)}
    assert {one["part"] for one in found.of("part missing")} == {small.key(small.part)}


@pytest.mark.parametrize(
    "key",
    [
        "stray.parquet",
        "dt=2026-01-10/part-00000.parquet",
        f"account={ACCOUNT}/region=eu-central-1/year=2026/month=1/day=10/part-00000.parquet",
    ],
)
def test_a_parquet_file_outside_all_partitions_is_unknown(small: Small, key: str) -> None:
    (small.dataset / key).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(small.part, small.dataset / key)

    found = small.compare()

    assert [(one["kind"], one["part"]) for one in found.findings] == [("part unknown", key)]
    assert found.status == WRONG
    assert found.summary["looked_at"]["units"] == found.summary["there"]["units"]


def test_a_copy_of_a_part_is_unknown_and_its_rows_are_there_twice(small: Small) -> None:
    shutil.copyfile(small.part, small.part.with_name("part-00001.parquet"))

    found = small.verify()

    assert found.of("part unknown")
    assert len(found.of("row repeated")) == 80


def test_the_size_of_a_straggler_part_is_compared_where_its_owner_is_looked_at(
    small: Small,
) -> None:
    small.late.write_bytes(small.late.read_bytes() + b"x")

    (named,) = small.verify("--day", "2026-01-15").findings
    assert (named["kind"], named["part"]) == ("part altered", small.key(small.late))


def test_two_parts_that_were_swapped_are_both_named(small: Small) -> None:
    other = Path(str(small.part).replace(ACCOUNT, "999999999999"))
    swapped = small.part.read_bytes()
    small.part.write_bytes(other.read_bytes())
    other.write_bytes(swapped)

    altered_parts = {one["part"] for one in small.verify().of("part altered")}
    assert altered_parts == {small.key(small.part), small.key(other)}
    missing = small.compare().of("record missing")
    assert len(missing) == 80 + 9


RECEIPT = {
    "records": {"written": 79},
    "bytes_out": 1,
    "stragglers": {"2026-01-09": 1},
    "source_fingerprint": "sum:" + "0" * 64,
    "schema_version": 1,
    "settings": {},
    "files": {"read": 3},
    "places": {ACCOUNT: {"eu-central-1": ["read", 4, 1, [0, 0, 0, 0, 0, 0, 0], ""]}},
}


@pytest.mark.parametrize("member", RECEIPT)
def test_a_receipt_that_was_edited_does_not_add_up(small: Small, member: str) -> None:
    receipt = json.loads(small.receipt.read_text())
    value: Any = RECEIPT[member]
    receipt[member] = receipt[member] | value if isinstance(value, dict) and value else value
    small.receipt.write_text(json.dumps(receipt))

    found = small.verify()

    assert found.status == WRONG
    assert found.kinds <= {"receipt false", "part altered"}
    assert {one["unit"] for one in found.findings} == {f"{ACCOUNT} eu-central-1 2026-01-10"}


def test_counts_that_add_up_and_are_not_those_of_the_log_files_are_found(small: Small) -> None:
    receipt = json.loads(small.receipt.read_text())
    receipt["records"] |= {"read": 81, "elsewhere": receipt["records"]["elsewhere"] + 1}
    del receipt["places"]
    small.receipt.write_text(json.dumps(receipt))

    assert small.verify().status == 0
    assert len(small.compare().of("receipt false")) == 2


@pytest.mark.parametrize("text", ["", "{}", "[", None])
def test_a_receipt_that_is_damaged_or_gone_is_named(small: Small, text: str | None) -> None:
    if text is None:
        small.receipt.unlink()
    else:
        small.receipt.write_text(text)

    found = small.verify()

    assert found.kinds & {"receipt false", "receipt missing"}
    assert found.status == WRONG


def test_the_receipt_of_another_unit_is_none(small: Small) -> None:
    other = Path(str(small.receipt).replace(ACCOUNT, "999999999999"))
    shutil.copyfile(other, small.receipt)

    assert small.verify().of("receipt false")


def logs_of(small: Small, hour: int) -> Path:
    (path,) = (
        small.logs.rglob(f"*20260110T{hour}00Z*")
        if hour > 12
        else [one for one in small.logs.rglob("*20260110T1200Z*") if ACCOUNT in one.name]
    )
    return path


def test_log_files_that_have_expired_are_no_fault(small: Small) -> None:
    for path in small.logs.rglob("*20260110T*"):
        if ACCOUNT in path.name:
            path.unlink()

    found = small.compare()

    assert (found.kinds, found.status) == ({"expired"}, 0)
    assert "80 records" in found.findings[0]["what"]


def test_the_last_minutes_of_the_day_before_expire_first(tmp_path: Path) -> None:
    logs, midnight = tmp_path / "logs", NOON + timedelta(hours=12)
    when = midnight - timedelta(minutes=5)
    first = deliver(
        logs, event("a", when), event("b", midnight + timedelta(minutes=9)), delivered=when
    )
    second = deliver(
        logs, event("c", midnight + timedelta(hours=9)), delivered=midnight + timedelta(hours=9)
    )
    deliver(
        logs, event("d", midnight + timedelta(hours=8)), delivered=midnight + timedelta(hours=8)
    )
    dataset = converted(logs, tmp_path / "dataset")
    first.unlink()

    assert_clean(dataset, logs, "expired")
    second.unlink()
    assert verify(dataset, "--source", logs).of("log file gone")


def test_log_files_that_lie_between_others_do_not_expire(small: Small) -> None:
    for path in small.logs.rglob("*20260115T*"):
        path.unlink()

    assert small.compare().kinds == {"log file gone"}


def test_a_log_file_that_was_removed_is_missed(small: Small) -> None:
    logs_of(small, 13).unlink()

    found = small.compare()

    (named,) = found.of("log file gone")
    assert "1 of 4 log files" in named["what"]
    assert "20 records" in named["what"]
    assert found.kinds == {"log file gone"}


def test_rows_are_not_hidden_by_a_log_file_that_is_gone(small: Small) -> None:
    logs_of(small, 13).unlink()
    invented(small)
    sign(small, small.part)

    assert "invented" in {one["event_id"] for one in small.compare().of("row without a log file")}


def test_a_log_file_that_was_added_is_named(small: Small) -> None:
    added = deliver(small.logs, event("forged"), unique="FORGED0000000000")

    (named,) = small.compare().of("log file added")
    assert named["log_file"] == str(added.relative_to(small.logs))


def test_a_log_file_with_a_flipped_byte_is_named(small: Small) -> None:
    path = logs_of(small, 13)
    data = path.read_bytes()
    path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])

    found = small.compare()

    (named,) = found.of("log file damaged")
    assert named["log_file"] == str(path.relative_to(small.logs))
    assert found.kinds == {"log file damaged"}


def rewrite_log(path: Path, change: Callable[[list[Json]], list[Json]]) -> None:
    records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
    path.write_bytes(log_file(*change(records)))


def test_a_record_that_was_changed_in_a_log_file_is_named(small: Small) -> None:
    path = logs_of(small, 13)
    rewrite_log(
        path,
        lambda all_: [one | {"userAgent": "x"} if one["eventID"] == "1-3" else one for one in all_],
    )

    found = small.compare()

    (named,) = found.of("record altered")
    assert (named["event_id"], named["record"]) == ("1-3", 3)
    assert named["log_file"] == str(path.relative_to(small.logs))
    assert found.of("log file changed")


def test_a_log_file_with_fewer_or_more_records_is_named(small: Small) -> None:
    path = logs_of(small, 13)
    rewrite_log(path, lambda records: records[1:])

    (named,) = small.compare().of("log file changed")
    assert named["log_file"] == str(path.relative_to(small.logs))
    rewrite_log(path, lambda records: [*records, event("more", NOON), event("most", NOON)])
    found = small.compare()
    assert found.of("log file changed")
    assert {"more", "most"} <= {one["event_id"] for one in found.of("record missing")}


def test_two_log_files_that_were_swapped_are_found(small: Small) -> None:
    one, other = (
        logs_of(small, 13),
        next(path for path in small.logs.rglob("*T1200Z*") if "999999999999" in path.name),
    )
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)

    found = small.compare()

    names = {finding["log_file"] for finding in found.of("log file changed")}
    assert names == {str(path.relative_to(small.logs)) for path in (one, other)}
    assert len(found.of("record missing")) == 29


def test_a_straggler_that_was_altered_is_named(small: Small) -> None:
    row = row_of(small.late, "late-2")
    rewrite(small.late, lambda table: replaced(table, "userAgent", row, "x"))

    (named,) = small.compare().of("record altered")
    assert (named["event_id"], named["part"]) == ("late-2", small.key(small.late))


def test_a_straggler_that_nobody_delivered_is_named(small: Small) -> None:
    def change(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, replaced(table.slice(0, 1), "eventID", 0, "invented")])

    rewrite(small.late, change)

    (named,) = small.compare().of("row without a log file")
    assert (named["event_id"], named["part"]) == ("invented", small.key(small.late))


def test_a_single_day_says_what_it_leaves_out(small: Small) -> None:
    found = small.verify("--source", small.logs, "--day", "2026-01-10", "--account", ACCOUNT)

    assert (found.status, found.kinds) == (0, {"not looked at"})
    assert found.findings[0]["count"] == 5
    other = small.verify("--source", small.logs, "--day", "2026-01-15")
    assert (other.status, other.kinds) == (0, set())
    small.late.unlink()
    assert (
        len(small.verify("--source", small.logs, "--day", "2026-01-15").of("record missing")) == 5
    )


def test_a_unit_that_is_gone_between_others_is_missing(small: Small) -> None:
    between = NOON + timedelta(days=2)
    deliver(small.logs, event("between", between), delivered=between)
    assert small.compare().kinds == {"unit missing"}
    converted(small.logs, small.dataset)
    assert_clean(small.dataset, small.logs)

    shutil.rmtree(small.part.parent.with_name("day=12"))
    Path(str(small.receipt).replace("day=10", "day=12")).unlink()

    found = small.compare()
    assert (found.status, found.kinds) == (WRONG, {"unit missing"})
    assert found.findings[0]["unit"] == f"{ACCOUNT} eu-central-1 2026-01-12"


def test_a_log_file_that_was_exchanged_has_not_expired(small: Small) -> None:
    logs_of(small, 13).unlink()
    deliver(small.logs, event("forged"), unique="FORGED0000000000")

    assert {"log file gone", "log file added"} <= small.compare().kinds


def test_what_was_rewritten_is_verified_against_the_same_log_files(
    small: Small, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run("rewrite", small.dataset, other, "--partition-layout", "dt", "--workers", 1)
    run("rewrite", small.dataset, "--only", "all", "--json-encoding", "variant", "--workers", 1)

    assert assert_clean(small.dataset, small.logs)["looked_at"]["rows"] == 95
    assert assert_clean(other, small.logs)["looked_at"]["rows"] == 95
    changed = next(path for path in parts(other) if "2026-01-10" in str(path))
    rewrite(changed, lambda table: replaced(table, "userAgent", 0, "x"))
    assert verify(other, "--source", small.logs).of("record altered")


def test_what_has_been_removed_as_too_old_is_not_missed(small: Small) -> None:
    done = run("expire", small.dataset, "--older-than", "300d")
    assert done.returncode == 0, done.stderr

    assert assert_clean(small.dataset, small.logs, "no longer kept")["found"] == {
        "no longer kept": 95
    }
    assert_clean(small.dataset, None, "no longer kept")


def test_a_run_that_has_not_ended_is_named(small: Small) -> None:
    intent = Path(str(small.receipt).replace("receipts", "intents"))
    intent.parent.mkdir(parents=True)
    intent.write_text('{"run":"x","begun":"2026-01-11T00:00:00Z","parts":[]}')

    found = small.verify()

    assert (found.kinds, found.status) == ({"unfinished"}, WRONG)


RULED = {
    "discard": [{"name": "n", "eventName": ["Drop*"]}],
    "redact": [{"name": "secret", "keys": ["secret"]}],
}


def test_what_rules_take_has_to_be_gone(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    secret = {"secret": "s3cret", "a": [{"secret": None}]}
    late = event("late", NOON - timedelta(days=4), eventName="Dropped")
    deliver(logs, event("kept", requestParameters=secret), event("dropped", eventName="Drop"), late)
    dataset = converted(logs, tmp_path / "dataset", **RULED)
    assert_clean(dataset, logs)
    plain = converted(logs, tmp_path / "plain")
    _pretend(plain, RULED)

    found = verify(plain, "--source", logs)

    assert {one["event_id"] for one in found.of("record not discarded")} == {"dropped", "late"}
    assert {one["event_id"] for one in found.of("value not redacted")} == {"kept"}
    assert not found.of("row without a log file")


def _pretend(dataset: Path, rules: Json) -> None:
    """Write other rules into receipts than the parts were made with."""
    for path in Path(f"{dataset}.state/receipts").rglob("*.json"):
        receipt = json.loads(path.read_text())
        receipt["settings"] |= rules
        path.write_text(json.dumps(receipt))


# What is printed.


def test_what_is_printed_names_the_first_ones_and_counts_all(small: Small) -> None:
    small.part.unlink()

    done = run("verify", small.dataset, "--source", small.logs, "--workers", 1)

    lines = done.stdout.splitlines()
    assert done.returncode == WRONG
    assert sum(line.startswith("record missing: ") for line in lines) == 10
    assert any(line.startswith("wrong: record missing (80): convert") for line in lines)
    assert lines[-1].startswith(f"{small.dataset}: something is wrong in ")


def test_a_clean_dataset_is_said_to_be_clean(small: Small) -> None:
    done = run("verify", small.dataset)

    assert done.returncode == 0
    *_, last, hint = done.stdout.splitlines()
    assert last.startswith(f"{small.dataset}: nothing is wrong in 3 units, 4 parts, 95 rows, ")
    assert "--source" in hint


def test_what_is_no_dataset_is_a_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert run("verify", tmp_path / "empty").returncode == 2
    assert run("verify", tmp_path / "missing").returncode == 2


def test_days_without_units_are_a_wrong_usage(small: Small) -> None:
    done = run("verify", small.dataset, "--day", "2020-01-01")

    assert done.returncode == 2
    assert "no units" in done.stderr
