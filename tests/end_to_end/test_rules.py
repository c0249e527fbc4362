"""Rules about what is not kept: what was planted is counted, gone, and nothing else is."""

import base64
import gzip
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.settings.rules import Discard, Redact
from tests.builders import ACCOUNT, as_text, envelope, exact, log_key, normal
from tests.end_to_end.datasets import (
    Json,
    ask,
    by_value,
    convert,
    exported,
    part,
    parts,
    said,
    toml_of,
)
from tests.end_to_end.program import run, succeed
from tests.end_to_end.trees import NOON, contents, deliver, event

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
FATES = ("written", "straggled", "elsewhere", "duplicate", "discarded", "quarantined")
LATE = NOON + timedelta(days=5)


def block(language: str) -> str:
    """The first block of the page in a language."""
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


@pytest.mark.parametrize("kind", [Discard, Redact])
def test_the_page_has_every_key_of_a_rule(kind: type[Discard | Redact]) -> None:
    section = PAGE.partition(f"## {kind.__name__} rules\n")[2].partition("\n## ")[0]

    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == kind.__struct_fields__


# The rules of the page, on a generated tree in which records come late and twice.


def is_discarded(one: Json) -> bool:
    """Whether the rule of the page discards a record."""
    name, address = one.get("eventName") or "", one.get("sourceIPAddress") or ""
    return (
        one.get("eventSource") == "kms.amazonaws.com"
        and (name in {"Decrypt", "Encrypt"} or name.startswith(("GenerateDataKey", "ReEncrypt")))
        and (address.endswith(".amazonaws.com") or address == "AWS Internal")
    )


def redacted(value: Any, keys: Mapping[str, str], counts: Counter[str]) -> Any:  # noqa: ANN401
    """A parsed value without what rules take out; ``keys`` gives the name of each key's rule."""
    if isinstance(value, list):
        return [redacted(one, keys, counts) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, one in value.items():
        if name in keys and one is not None:
            counts[keys[name]] += 1
            found[name] = "[redacted]"
        else:
            found[name] = redacted(one, keys, counts)
    return found


class Truth(NamedTuple):
    """What the rules of the page have to make of a tree, found out without the program.

    Attributes:
        records: The records that stay, by value.
        discarded: Copies of records that are discarded.
        redacted: Values that are redacted, repeated records' too, by rule.
    """

    records: Counter[str]
    discarded: int
    redacted: Counter[str]


def truth_of(logs: Path) -> Truth:
    kept: dict[str, str] = {}
    discarded, counts = 0, Counter[str]()
    for path in sorted(logs.rglob("CloudTrail/**/*.json.gz")):
        for one in exact(gzip.decompress(path.read_bytes()).decode())["Records"]:
            if is_discarded(one):
                discarded += 1
                continue
            without = dict(one)
            for name, value in one.items():
                keys = {"sessionToken": "session-tokens"}
                if name == "additionalEventData":
                    keys["x-amz-id-2"] = "s3-ids"
                without[name] = redacted(value, keys, counts)
            text = json.dumps(normal(without), sort_keys=True)
            kept[json.dumps(one, sort_keys=True)] = text
    return Truth(Counter(kept.values()), discarded, counts)


class Ruled(NamedTuple):
    logs: Path
    dataset: Path
    truth: Truth
    receipts: list[Json]


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Ruled:
    """A generated tree under the rules of the page; the tests leave it as it is."""
    folder = tmp_path_factory.mktemp("ruled")
    shape = "--accounts 1 --regions 2 --days 2 --records 1500 --late 0.05 --duplicates 0.05"
    succeed("generate", folder / "logs", *shape.split())
    receipts = convert(folder / "logs", folder / "dataset", toml=block("toml"))
    return Ruled(folder / "logs", folder / "dataset", truth_of(folder / "logs"), receipts)


def totals(receipts: list[Json], kind: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for receipt in receipts:
        total.update(receipt[kind])
    return total


def test_the_rules_of_the_page_find_what_stands_in_the_logs(ruled: Ruled) -> None:
    assert ruled.truth.discarded > 20
    assert all(ruled.truth.redacted[name] > 10 for name in ("session-tokens", "s3-ids"))
    assert totals(ruled.receipts, "discarded") == {"kms-by-services": ruled.truth.discarded}
    assert totals(ruled.receipts, "redacted") == ruled.truth.redacted


def test_the_sums_of_the_receipts_meet(ruled: Ruled) -> None:
    for receipt in ruled.receipts:
        records = receipt["records"]
        assert records["read"] == sum(records[fate] for fate in FATES)
        assert records["discarded"] == sum(receipt["discarded"].values())
        assert records["written"] + records["straggled"] == sum(
            one["rows"] for one in receipt["parts"]
        )
        assert all(receipt["discarded"].values())
    assert totals(ruled.receipts, "records")["straggled"] > 0
    assert totals(ruled.receipts, "records")["duplicate"] > 0


def test_discarded_records_are_absent_and_all_others_are_there(ruled: Ruled) -> None:
    assert by_value(exported(ruled.dataset).elements()) == ruled.truth.records


def test_the_environment_of_the_page_says_the_same_as_its_file(
    ruled: Ruled, tmp_path: Path
) -> None:
    texts = dict(re.findall(r"export CLOUDTRAIL_PARQUET_(\w+)='([^']*)'", block("sh")))

    convert(ruled.logs, tmp_path / "out", environment=texts)

    assert texts.keys() == {"DISCARD", "REDACT"}
    assert contents(tmp_path / "out") == contents(ruled.dataset)


def test_converting_again_leaves_every_byte_as_it_was(ruled: Ruled, tmp_path: Path) -> None:
    dataset = shutil.copytree(ruled.dataset, tmp_path / "dataset")
    shutil.copytree(f"{ruled.dataset}.state", tmp_path / "dataset.state")

    again = convert(ruled.logs, dataset, "--only", "all", toml=block("toml"))

    assert contents(dataset) == contents(ruled.dataset)
    assert sorted(map(_lasting, again)) == sorted(map(_lasting, ruled.receipts))


def _lasting(receipt: Json) -> str:
    """A receipt without what differs from run to run."""
    return json.dumps({**receipt, "converted_at": "", "seconds": 0, "run": ""}, sort_keys=True)


def test_each_part_says_its_rules(ruled: Ruled) -> None:
    for path in parts(ruled.dataset):
        found = said(path)
        assert [rule["name"] for rule in found["discard"]] == ["kms-by-services"]
        assert found["redact"] == [
            {"name": "session-tokens", "keys": ["sessionToken"], "columns": []},
            {"name": "s3-ids", "keys": ["x-amz-id-2"], "columns": ["additionalEventData"]},
        ]


def test_inspect_says_which_rules_have_changed(ruled: Ruled, tmp_path: Path) -> None:
    today = tmp_path / "rules.toml"

    def changed(rules: str) -> Json:
        today.write_text(rules)
        done = succeed("inspect", ruled.dataset, "--json", "--settings", today)
        found: Json = json.loads(done)["changed"]
        return found

    assert changed(block("toml")) == {}
    assert changed("") == {"discard": "[]", "redact": "[]"}
    assert changed(block("toml").replace('"Encrypt", ', "")).keys() == {"discard"}
    assert changed(block("toml").replace("s3-ids", "ids")).keys() == {"redact"}
    assert "redact" in succeed("inspect", ruled.dataset)


def test_the_summary_adds_up_what_the_rules_found(ruled: Ruled, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(block("toml"))

    table = succeed("convert", ruled.logs, tmp_path / "out", "--settings", tmp_path / "rules.toml")

    found = {name.strip(): int(n) for name, n in re.findall(r"│ (.+?) +│ +(\d+) │", table)}
    assert found["records discarded by kms-by-services"] == ruled.truth.discarded
    for name, count in ruled.truth.redacted.items():
        assert found[f"values redacted by {name}"] == count


# Dry runs.


def everything(folder: Path) -> dict[str, bytes | None]:
    """Each file and folder below a folder, with the bytes of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("there", ["nothing", "empty folders"])
def test_a_dry_run_prints_the_same_counts_and_leaves_nothing_behind(
    ruled: Ruled, tmp_path: Path, scratch: Path, there: str
) -> None:
    places = [tmp_path / "deep" / "out", tmp_path / "deep" / "out.state"]
    rules = tmp_path / "rules.toml"
    rules.write_text(block("toml"))
    for folder in places if there == "empty folders" else []:
        folder.mkdir(parents=True)
    before = everything(tmp_path)

    done = run(
        *("convert", ruled.logs, places[0], "--settings", rules, "--dry-run", "--json"),
        *("--workers", 1),
    )

    assert done.returncode == 0, done.stderr
    assert "nothing was written" in done.stderr
    assert everything(tmp_path) == before
    assert not list(scratch.iterdir())
    # stragglers meet no standing copies when nothing stands
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    for kind in ("discarded", "redacted", "versions"):
        assert totals(receipts, kind) == totals(ruled.receipts, kind)


def test_a_dry_run_on_several_processes_leaves_nothing_behind_either(
    ruled: Ruled, tmp_path: Path
) -> None:
    succeed("convert", ruled.logs, tmp_path / "out", "--dry-run", "--workers", 2)

    assert not list(tmp_path.iterdir())


def test_a_dry_run_beside_a_dataset_says_what_the_next_run_writes(
    ruled: Ruled, tmp_path: Path, scratch: Path
) -> None:
    dataset, rules = tmp_path / "dataset", tmp_path / "rules.toml"
    rules.write_text(block("toml"))
    convert(ruled.logs, dataset)
    before = everything(tmp_path)

    dry = run(
        *("convert", ruled.logs, dataset, "--settings", rules, "--dry-run", "--json"),
        *("--workers", 1),
    )

    assert dry.returncode == 0, dry.stderr
    assert everything(tmp_path) == before
    assert not list(scratch.iterdir())
    receipts = [json.loads(line) for line in dry.stdout.splitlines()]
    for kind in ("discarded", "redacted", "versions"):
        assert totals(receipts, kind) == totals(ruled.receipts, kind)
    assert all(receipt["records"]["read"] for receipt in receipts)


def test_a_dry_run_of_a_dataset_that_stands_prints_the_receipts_that_stand(ruled: Ruled) -> None:
    before = everything(ruled.dataset.parent)

    arguments = ("convert", ruled.logs, ruled.dataset, "--dry-run", "--json", "--workers", 1)
    done = run(*arguments, "--only", "all", "--settings", ruled.dataset.with_suffix(".toml"))

    assert done.returncode == 0, done.stderr
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(map(_lasting, receipts)) == sorted(map(_lasting, ruled.receipts))
    assert everything(ruled.dataset.parent) == before


def test_a_dry_run_says_what_a_run_would_keep_since_its_source_has_shrunk(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("stays"))
    gone = deliver(tmp_path / "logs", event("goes"), unique="G" * 16)
    convert(tmp_path / "logs", tmp_path / "out")
    gone.unlink()

    dry = run("convert", tmp_path / "logs", tmp_path / "out", "--json", "--workers", 1, "--dry-run")
    real = run("convert", tmp_path / "logs", tmp_path / "out", "--json", "--workers", 1)

    assert dry.returncode == real.returncode == 3
    assert _lasting(json.loads(dry.stdout)) == _lasting(json.loads(real.stdout))


def test_the_dry_run_of_the_page_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.toml").write_text(block("toml"))
    commands = re.findall(
        r"^    cloudtrail-parquet (.*)$", PAGE.partition("## Try")[2], re.MULTILINE
    )
    (output,) = re.findall(r"^```\n(dry run.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

    generate, dry_run = commands
    succeed(*generate.split())
    done = run(*dry_run.split(), "--workers", 1)

    assert done.returncode == 0, done.stderr
    assert set(output.splitlines()[:2]) <= set(done.stderr.splitlines())
    assert _rows(done.stdout) == _rows(output)
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "rules.toml"}


def _rows(table: str) -> dict[str, str]:
    """The rows of a table; sizes depend on zlib, and seconds on the machine."""
    rows = dict(re.findall(r"^│ (.+?) +│ +([\d.,]+) │", table, re.MULTILINE))
    return {**rows, **dict.fromkeys(("bytes in", "bytes out", "seconds"), "some")}


# Secrets: `<1>` as a value is the place of a secret in a record that is planted.

TOKENS = [{"name": "tokens", "keys": ["sessionToken", "x-amz-id-2", "über"]}]
PLACE = re.compile(r'"<(\d+)>"')
SECRET = re.compile(rb"SECRET\d\dEND")
SHAPES = [
    '"SECRET{0}END"',
    '{{"value" : "SECRET{0}END", "sessionToken":["SECRET{0}END", null]}}',
    '[1, [["\\u0041SECRET{0}END"]], {{"a":1.10}}]',
    '"{{\\"json\\":\\"SECRET{0}END\\"}}"',
]


def planted(text: str) -> str:
    """A text with its secrets, of different shapes."""
    return PLACE.sub(lambda place: SHAPES[int(place[1]) % len(SHAPES)].format(place[1]), text)


def kept(text: str) -> str:
    """A text as it has to be kept."""
    return PLACE.sub('"[redacted]"', text)


def escaped(name: str, text: str, written: str) -> str:
    """A text in which a member name is written in another way."""
    assert f'"{name}":' in text
    return text.replace(f'"{name}":', written)


def secret(number: int) -> str:
    return f"<{number:02}>"


REQUEST = (
    '{ "a" : 1.10,"sessionToken" : "<50>" ,\t"b":[1e40, {"x":"\\u003c\\/",  "x-amz-id-2":"<51>"}],'
    '"sessionToken": null , "sessionTokens":"kept", "SessionToken" : "kept"}'
)
PLANTED = {
    "depths": as_text(
        event(
            "depths",
            requestParameters={
                "sessionToken": secret(1),
                "a": {"b": [{"sessionToken": secret(2)}, [[{"sessionToken": secret(3)}]]]},
            },
        )
    ),
    "columns": as_text(
        event(
            "columns",
            responseElements={"credentials": {"sessionToken": secret(4), "accessKeyId": "kept"}},
            additionalEventData={"x-amz-id-2": secret(5), "sessionToken": secret(6)},
            serviceEventDetails=[{"sessionToken": secret(7)}],
            edgeDeviceDetails={"über": secret(8)},
            insightDetails={"a": {"sessionToken": secret(9)}},
            eventContext={
                "requestContext": {"sessionToken": secret(10)},
                "tagContext": {"sessionToken": secret(11)},
            },
        )
    ),
    "unknown": as_text(
        event("unknown", newField={"a": [{"sessionToken": secret(12)}]}, sessionToken=secret(13))
    ),
    "structs": as_text(
        event(
            "structs",
            userIdentity={
                "type": "Root",
                "sessionToken": secret(14),
                "sessionContext": {"new": {"sessionToken": secret(15)}},
            },
            tlsDetails={"sessionToken": secret(16)},
            eventContext={"sessionToken": secret(17)},
        )
    ),
    "misplaced": as_text(
        event("misplaced", eventName={"sessionToken": secret(18)}, readOnly=[{"über": secret(19)}])
    ),
    "version": as_text(
        event("version", eventVersion="2.0", requestParameters={"sessionToken": secret(20)})
    ),
    "escapes": escaped(
        "sessionToken",
        as_text(event("escapes", requestParameters={"sessionToken": secret(21)})),
        r'"session\u0054oken" : ',
    ),
    "umlaut": escaped(
        "über",
        as_text(
            event("umlaut", another={"über": secret(22)}, responseElements={"über": secret(23)})
        ),
        r'"\u00fcber":',
    ),
    "twice": as_text(event("twice", requestParameters="#")).replace(
        '"#"', '{"sessionToken":"<24>","sessionToken":"<25>"}'
    ),
    "deep": as_text(event("deep", requestParameters="#")).replace(
        '"#"', "[" * 3000 + '{"sessionToken":"<26>"}' + "]" * 3000
    ),
    "surrogate": as_text(event("surrogate", requestParameters="#")).replace(
        '"#"', r'{"\ud800":1,"sessionToken":"<27>","b":"\udc00"}'
    ),
    "bytes": as_text(event("bytes", requestParameters="#", responseElements="#"))
    .replace('"#"', REQUEST, 1)
    .replace('"#"', '{ "x-amz-id-2" :"<28>" }'),
}
PLACES = sum(len(PLACE.findall(text)) for text in PLANTED.values())
NO_UTF8 = as_text(
    event("bad", userAgent="#", requestParameters={"sessionToken": secret(60)}, newer="<61>")
).replace('"newer":"<61>"', '"newer":{"sessionToken":"<61>"}')


def plant(logs: Path, *, hurt: bool = True) -> None:
    """Deliver the planted records; if hurt, also one that is no UTF-8 and files with damages."""
    texts = [planted(text) for text in PLANTED.values()]
    bad = planted(NO_UTF8).encode().replace(b'"userAgent":"#"', b'"userAgent":"\xff\xfe"')
    log = envelope([*texts, *(["{}"] if hurt else [])])
    path = logs / log_key(ACCOUNT, "eu-central-1", NOON)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(log.replace(b",{}]}", b"," + bad + b"]}"), mtime=0))
    if hurt:
        token = b'{"sessionToken":"SECRET70END"}'
        cut = path.with_name(path.name.replace("AbCdEfGhIjKlMnOp", "C" * 16))
        cut.write_bytes(gzip.compress(b'{"Records":[{"requestParameters":' + token))
        odd = path.with_name(path.name.replace("AbCdEfGhIjKlMnOp", "O" * 16))
        odd.write_bytes(gzip.compress(b'{"Records":["SECRET71END",' + token + b"]}"))


def strings(value: Any) -> Iterator[bytes]:  # noqa: ANN401  of any column
    if isinstance(value, str):
        yield value.encode()
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def secrets_in(dataset: Path) -> set[bytes]:
    """The secrets in a dataset: in all values, in base64 in them, and in the bytes around them."""
    found: set[bytes] = set()
    for path in parts(dataset):
        found.update(SECRET.findall(path.read_bytes()))
        for text in strings(pq.ParquetFile(path).read().to_pylist()):
            found.update(SECRET.findall(text))
            for code in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", text):
                whole = code[: len(code) // 4 * 4]
                found.update(SECRET.findall(base64.b64decode(whole)))
    return found


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_no_secret_is_left_in_the_dataset_nor_in_what_is_said_about_it(
    tmp_path: Path, encoding: str
) -> None:
    plant(tmp_path / "logs")
    rules = tmp_path / "rules.toml"
    rules.write_text(toml_of({"redact": TOKENS, "json_encoding": encoding}))

    done = run(
        *("convert", tmp_path / "logs", tmp_path / "out", "--settings", rules, "--json"),
        *("--workers", 1),
    )

    receipt = json.loads(done.stdout)
    assert done.returncode == 3  # of the damaged files
    assert receipt["records"]["written"] == len(PLANTED) + 1
    assert secrets_in(tmp_path / "out") == set()
    state = b"".join(contents(tmp_path / "out.state").values())
    assert b"tokens" in state
    assert not SECRET.search(state + (done.stdout + done.stderr).encode())
    assert receipt["redacted"] == {"tokens": PLACES + 2}
    assert PLACES > 25


@pytest.mark.parametrize("encoding", ["string", "variant"])
def test_without_rules_all_secrets_are_there(tmp_path: Path, encoding: str) -> None:
    plant(tmp_path / "logs", hurt=False)

    (receipt,) = convert(tmp_path / "logs", tmp_path / "out", "--json-encoding", encoding)

    assert len(secrets_in(tmp_path / "out")) == PLACES
    assert receipt["redacted"] == {}


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
def test_all_else_comes_back_as_it_was_delivered_and_again_the_same(
    tmp_path: Path, encoding: str
) -> None:
    plant(tmp_path / "logs", hurt=False)
    settings = toml_of({"redact": TOKENS, "json_encoding": encoding})

    convert(tmp_path / "logs", tmp_path / "out", toml=settings)
    first = contents(tmp_path / "out")
    convert(tmp_path / "logs", tmp_path / "out", toml=settings)

    assert contents(tmp_path / "out") == first
    lines = {_event_id(line): line for line in exported(tmp_path / "out")}
    assert lines.keys() == PLANTED.keys()
    deep = kept(PLANTED["deep"])
    assert deep[deep.index("[[") : deep.index("]]")] in lines.pop("deep")
    for name, line in lines.items():
        assert exact(line) == normal(exact(kept(PLANTED[name]))), name


def _event_id(line: str) -> str:
    match = re.search(r'"eventID":"(\w+)"', line)
    assert match
    return match[1]


def test_all_other_bytes_of_free_form_text_are_those_that_were_delivered(tmp_path: Path) -> None:
    plant(tmp_path / "logs", hurt=False)

    convert(tmp_path / "logs", tmp_path / "out", toml=toml_of({"redact": TOKENS}))

    texts = ask(
        "FROM read_parquet(?) SELECT requestParameters, responseElements WHERE eventID = 'bytes'",
        part(tmp_path / "out"),
    )
    assert texts == [(kept(REQUEST), '{ "x-amz-id-2" :"[redacted]" }')]


def test_texts_that_hold_json_and_typed_columns_stay_as_they_are(tmp_path: Path) -> None:
    policy = '{"sessionToken":"inner"}'
    one = event(
        "limits",
        userAgent="sessionToken",
        errorMessage=policy,
        requestParameters={"policyDocument": policy, "b": 'x"sessionToken":"y"'},
    )
    deliver(tmp_path / "logs", one)

    (receipt,) = convert(tmp_path / "logs", tmp_path / "out", toml=toml_of({"redact": TOKENS}))

    (line,) = exported(tmp_path / "out")
    assert json.loads(line) == normal(one)
    assert receipt["redacted"] == {}


def test_a_rule_for_some_columns_leaves_the_others_alone(tmp_path: Path) -> None:
    one = event(
        "some",
        requestParameters={"sessionToken": "<1>"},
        responseElements={"sessionToken": "stays"},
        newField={"sessionToken": "stays"},
    )
    deliver(tmp_path / "logs", planted(as_text(one)))
    rules = [{**TOKENS[0], "columns": ["requestParameters", "eventContext.tagContext"]}]

    (receipt,) = convert(tmp_path / "logs", tmp_path / "out", toml=toml_of({"redact": rules}))

    (line,) = exported(tmp_path / "out")
    assert exact(line) == normal(exact(kept(as_text(one))))
    assert receipt["redacted"] == {"tokens": 1}


def test_a_rule_for_some_columns_leaves_no_copy_of_a_record_that_is_no_utf8(
    tmp_path: Path,
) -> None:
    plant(tmp_path / "logs")
    rules = [{**TOKENS[0], "columns": ["requestParameters"]}]
    settings = tmp_path / "rules.toml"
    settings.write_text(toml_of({"redact": rules}))

    run("convert", tmp_path / "logs", tmp_path / "out", "--settings", settings, "--workers", 1)

    assert b"SECRET60END" not in secrets_in(tmp_path / "out")


# Rules and records that are delivered twice.


def deliver_twice(logs: Path, one: Json) -> None:
    """In time, and again five days later beside another one."""
    deliver(logs, one)
    deliver(logs, one, event("other", LATE), delivered=LATE)


@pytest.mark.parametrize("encoding", ["string", "json", "variant"])
@pytest.mark.parametrize("days", [["2026-01-10", "2026-01-15"], ["2026-01-15", "2026-01-10"]])
@pytest.mark.parametrize("name", ["with an id", None])
def test_a_redacted_record_that_is_delivered_again_is_a_duplicate(
    tmp_path: Path, encoding: str, days: list[str], name: str | None
) -> None:
    one = event("", requestParameters={"b": 2, "sessionToken": "x", "a": 1.10}, eventContext={})
    one["eventID"] = name
    deliver_twice(tmp_path / "logs", one)
    settings = toml_of({"redact": TOKENS, "json_encoding": encoding})

    receipts = [
        receipt
        for day in days
        for receipt in convert(tmp_path / "logs", tmp_path / "out", "--day", day, toml=settings)
    ]

    assert totals(receipts, "records")["duplicate"] == 1
    assert totals(receipts, "redacted") == {"tokens": 2}
    assert sum(exported(tmp_path / "out").values()) == 2


def test_a_record_that_is_delivered_twice_is_discarded_twice(tmp_path: Path) -> None:
    deliver_twice(tmp_path / "logs", event("unwanted", sourceIPAddress="photos.amazonaws.com"))
    rule = json.dumps([{"name": "services", "sourceIPAddress": ["*.amazonaws.com"]}])

    receipts = convert(tmp_path / "logs", tmp_path / "out", environment={"DISCARD": rule})

    assert [receipt["discarded"] for receipt in receipts] == [{"services": 1}, {"services": 1}]
    assert totals(receipts, "records")["straggled"] == 0
    assert [_event_id(line) for line in exported(tmp_path / "out")] == ["other"]


def test_a_day_of_which_all_is_discarded_has_no_parts_any_more(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("one"), event("two"))
    convert(tmp_path / "logs", tmp_path / "out")
    rule = json.dumps([{"name": "all", "eventName": ["*"]}])

    (receipt,) = convert(tmp_path / "logs", tmp_path / "out", "--discard", rule)

    assert parts(tmp_path / "out") == []
    assert (receipt["status"], receipt["discarded"]) == ("complete", {"all": 2})


def test_days_that_are_converted_again_under_new_rules_hold_each_record_once(
    tmp_path: Path,
) -> None:
    deliver_twice(tmp_path / "logs", event("token", requestParameters={"sessionToken": "x"}))
    rules = toml_of({"redact": TOKENS})
    convert(tmp_path / "logs", tmp_path / "out", "--day", "2026-01-10")
    convert(tmp_path / "logs", tmp_path / "out", "--day", "2026-01-15", toml=rules)

    assert sum(exported(tmp_path / "out").values()) == 3  # as docs/rules.md says

    convert(tmp_path / "logs", tmp_path / "out", toml=rules)

    lines = exported(tmp_path / "out")
    assert sorted(map(_event_id, lines.elements())) == ["other", "token"]
    assert not any('"x"' in line for line in lines)


def test_rules_in_one_place_take_the_place_of_those_in_another(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", event("one", requestParameters={"a": 1, "b": 2}))
    file = toml_of({"redact": [{"name": "file", "keys": ["a"]}]})
    environment = {"REDACT": '[{"name":"environment","keys":["b"]}]'}

    (receipt,) = convert(tmp_path / "logs", tmp_path / "o", toml=file, environment=environment)
    (other,) = convert(tmp_path / "logs", tmp_path / "p", "--redact", "[]", environment=environment)

    assert receipt["redacted"] == {"environment": 1}
    assert other["redacted"] == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--discard", '[{"name":"all"}]'], "would discard every record"),
        (["--discard", '[{"name":"x","eventNames":["a"]}]'], "eventNames"),
        (["--redact", '[{"name":"x","keys":["a"],"columns":["userAgent"]}]'], "requestParameters"),
        (["--redact", "sessionToken"], "docs/rules.md"),
    ],
)
def test_rules_that_make_no_sense_end_with_exit_code_2_and_write_nothing(
    tmp_path: Path, options: list[str], words: str
) -> None:
    deliver(tmp_path / "logs", event("one"))

    done = run("convert", tmp_path / "logs", tmp_path / "out", *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
