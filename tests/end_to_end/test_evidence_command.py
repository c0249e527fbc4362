"""``evidence``: a zip file that proves an event offline, and that cannot be altered unnoticed."""

import ast
import io
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.digests.findings import NOTES, WRONG
from cloudtrail_parquet.digests.proof import sums_of, text_of
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.sample_logs.digests import keys_of
from tests.end_to_end.program import run

SPEC = TreeSpec(accounts=2, regions=2, days=2, records=600, late=0.1, duplicates=0.1, digests=True)
DIGEST, NEXT, RECORD, SUMS = "digest.json.gz", "next-digest.json.gz", "record.json", "SHA256SUMS"
CASE, KEYS = "case.json", "public-keys.json"


@dataclass(frozen=True)
class Sample:
    """A dataset, its logs, and an event of it."""

    dataset: Path
    logs: Path
    event_id: str

    @property
    def keys(self) -> Path:
        return keys_of(self.logs)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("evidence")
    generate_tree(folder / "logs", SPEC)
    done = run("convert", str(folder / "logs"), str(folder / "set"), "--workers", "1")
    assert done.returncode == 0, done.stderr
    exported = run("export", str(folder / "set"), "--day", "2026-01-11").stdout.splitlines()
    return Sample(folder / "set", folder / "logs", json.loads(exported[20])["eventID"])


@pytest.fixture(scope="module")
def case(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("case") / "case.zip"
    done = run(*command(sample, path))
    assert (done.returncode, done.stdout.count("proved: ")) == (0, 5), done.stdout + done.stderr
    return path


def command(sample: Sample, path: Path, *options: str, keys: bool = True) -> list[str]:
    name = ["evidence", str(sample.dataset), sample.event_id, "--source", str(sample.logs)]
    known = ["--public-keys", str(sample.keys)] if keys else []
    return [*name, "-o", str(path), *known, *options]


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_case(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def prove(program: Path, case: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a case's program without this package, the environment or anything in the folder."""
    return subprocess.run(
        [sys.executable, "-I", str(program), str(case), *options],
        env={"PATH": os.environ["PATH"]},
        cwd=case.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def program(case: Path) -> Path:
    path = case.parent / "verify.py"
    path.write_bytes(members_of(case)["verify.py"])
    return path


def test_the_program_in_a_case_proves_it_in_a_bare_process(case: Path, program: Path) -> None:
    done = prove(program, case)

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["proved"] * 5


def test_a_digest_file_that_somebody_has_added_is_not_taken_for_the_signed_one(
    sample: Sample, case: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(sample.logs, logs)
    for path in [*logs.rglob("CloudTrail-Digest/**/*.json.gz")]:
        forged = json.loads(text_of(path.read_bytes()))
        for log in forged["logFiles"]:
            log["hashValue"] = "0" * 64
        account, digest, region, trail, *rest = path.name.split("_")
        decoy = path.with_name("_".join([account, digest, region, f"a{trail}", *rest]))
        forged["digestS3Object"] = forged["digestS3Object"].replace(path.name, decoy.name)
        decoy.write_text(json.dumps(forged))

    done = run(
        *command(
            replace(sample, logs=logs),
            tmp_path / "case.zip",
            "--public-keys",
            str(sample.keys),
            keys=False,
        )
    )

    assert done.returncode == 0, done.stdout
    there = members_of(tmp_path / "case.zip")
    assert there[DIGEST] == members_of(case)[DIGEST]


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        (RECORD, lambda _: b"[]", "its record cannot be understood"),
        (RECORD, lambda _: b"[" * 99_999, "its record cannot be understood"),
        ("receipt.json", lambda _: b"[]", "its part cannot be understood"),
        (DIGEST, lambda data: data[:60] + bytes([data[60] ^ 255]) + data[61:], "is damaged"),
        (
            CASE,
            lambda data: json.dumps(
                json.loads(data) | {"event_id": "\x1b[2K\nproved: all \ud800"}
            ).encode(),
            r"of another event than \x1b[2K\nproved: all \ud800",
        ),
    ],
)
def test_the_program_says_what_is_wrong_whatever_a_file_holds(  # noqa: PLR0913, PLR0917
    member: str,
    change: Callable[[bytes], bytes],
    said: str,
    case: Path,
    program: Path,
    tmp_path: Path,
) -> None:
    members = members_of(case)
    members[member] = change(members[member])
    members[SUMS] = sums_of(members)

    done = prove(program, write_case(tmp_path / "case.zip", members))

    assert (done.returncode, done.stderr) == (1, "")
    assert said in done.stdout


@pytest.mark.parametrize("name", ["set/case.zip", "set.state/case.zip"])
def test_a_case_is_not_written_into_the_dataset(name: str, sample: Sample) -> None:
    path = sample.dataset.parent / name

    done = run(*command(sample, path))

    assert (done.returncode, path.exists()) == (2, False)
    assert "Name a location outside it" in done.stderr


def test_names_that_are_not_utf_8_are_told(sample: Sample, tmp_path: Path) -> None:
    dataset = tmp_path / os.fsdecode(b"s\xe9t")
    shutil.copytree(sample.dataset, dataset)
    shutil.copytree(f"{sample.dataset}.state", f"{dataset}.state")

    done = run(*command(replace(sample, dataset=dataset), tmp_path / "case.zip"))
    unknown = run(*command(replace(sample, event_id="\udcff"), tmp_path / "other.zip"))

    assert (done.returncode, unknown.returncode) == (0, 2), done.stderr
    assert "s\\udce9t" in members_of(tmp_path / "case.zip")[CASE].decode()
    assert "no event \\xff in what was selected" in unknown.stderr


def test_the_program_needs_nothing_but_the_standard_library_and_cryptography(
    program: Path, tmp_path: Path
) -> None:
    """In an environment without any package, it gets as far as the signature."""
    venv.create(tmp_path / "bare", with_pip=False)
    tree = ast.parse(program.read_text())
    imported = {
        str(node.module if isinstance(node, ast.ImportFrom) else name.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }

    assert imported - sys.stdlib_module_names == {"cryptography"}
    usage = subprocess.run(
        [str(tmp_path / "bare/bin/python"), "-I", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (usage.returncode, usage.stderr.split()[0]) == (2, "usage:")


def test_a_case_can_be_proved_where_it_was_unpacked(case: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    with zipfile.ZipFile(case) as archive:
        archive.extractall(folder)

    done = prove(folder / "verify.py", folder)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_same_event_gives_the_same_bytes(sample: Sample, case: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    run(*command(sample, again))

    assert again.read_bytes() == case.read_bytes()


def test_whatever_member_is_altered_removed_or_added_is_found(
    case: Path, program: Path, tmp_path: Path
) -> None:
    whole = members_of(case)
    for name in whole:
        middle = len(whole[name]) // 2
        altered = bytearray(whole[name])
        altered[middle] ^= 1
        without = {other: data for other, data in whole.items() if other != name}
        for members in (whole | {name: bytes(altered)}, without):
            done = prove(program, write_case(tmp_path / "altered.zip", members))
            assert done.returncode == 1, name
            assert name in done.stdout

    done = prove(program, write_case(tmp_path / "more.zip", whole | {"more": b""}))
    assert (done.returncode, "more is not in SHA256SUMS" in done.stdout) == (1, True)


FORGED = {
    "another account": (DIGEST, b'"awsAccountId": "', b"0"),
    "another signature": (NEXT, b'"previousDigestSignature": "', b"0"),
    "another hash of the digest file": (NEXT, b'"previousDigestHashValue": "', b"0"),
    "another record in the dataset": (RECORD, b'"awsRegion":"', b"0"),
    "another name before the one in the dataset": (
        RECORD,
        b'"eventName":',
        b'"Other","eventName":',
    ),
    "another record in the log file": ("log-file.json.gz", b'"awsRegion":"', b"0"),
    "one more record in the log file": ("log-file.json.gz", b'"Records":[', b"{},"),
    "another log file": (CASE, b"_CloudTrail_", b"0"),
    "another event": (CASE, b'"event_id": "', b"0"),
    "another part": (CASE, b'"sha256": "', b"0"),
    "another region of the key": (KEYS, b'"Region": "', b"0"),
}


@pytest.mark.parametrize("what", FORGED)
def test_who_also_writes_the_sums_anew_lacks_the_signature(
    case: Path, program: Path, tmp_path: Path, what: str
) -> None:
    name, before, inserted = FORGED[what]
    members = members_of(case)
    text = text_of(members[name])
    assert before in text
    members[name] = text.replace(before, before + inserted)
    if what == "one more record in the log file":  # behind the others, so that none moves
        members[name] = text[: -len(b"]}")] + b",{}]}"
    members[SUMS] = sums_of(members)

    done = prove(program, write_case(tmp_path / "forged.zip", members))

    assert done.returncode == 1, done.stdout
    assert "proved: all files are those of SHA256SUMS" in done.stdout


def test_somebody_elses_key_is_told_by_cloudtrails_own(
    case: Path, program: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"PublicKeyList": []}')

    done = prove(program, case, "--public-keys", str(keys))

    assert done.returncode == 3
    assert "not proved: the signature: there is no public key" in done.stdout


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 100])
def test_what_is_no_case_is_not_proved(program: Path, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.zip"
    path.write_bytes(data)

    done = prove(program, path)

    assert (done.returncode, done.stderr) == (1, "")


def test_a_damaged_zip_file_is_never_proved(case: Path, program: Path, tmp_path: Path) -> None:
    whole = case.read_bytes()
    sizes = range(100, len(whole), len(whole) // 12)
    for size in sizes:
        path = tmp_path / "damaged.zip"
        path.write_bytes(whole[:size] + bytes([whole[size] ^ 1]) + whole[size + 1 :])
        done = prove(program, path)
        same = None
        if done.returncode == 0:  # a byte of the archive that no file depends on
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                same = {name: archive.read(name) for name in archive.namelist()}
        assert done.returncode == 1 or same == members_of(case)


def test_without_keys_a_case_says_what_is_not_proved(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))

    done = run(*command(sample, tmp_path / "case.zip", keys=False))

    assert done.returncode == 3
    assert "not proved: the signature" in done.stdout
    assert "name CloudTrail's public keys with --public-keys" in done.stderr


def test_logs_without_digest_files_give_a_case_that_says_so(sample: Sample, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    shutil.copytree(sample.logs, logs, ignore=shutil.ignore_patterns("CloudTrail-Digest"))

    done = run(*command(Sample(sample.dataset, logs, sample.event_id), tmp_path / "c.zip"))

    assert done.returncode == 3
    assert "not proved: no digest file names the log file" in done.stdout


def test_each_event_of_a_day_has_a_case(sample: Sample, tmp_path: Path) -> None:
    """Late, repeated, of either trail: the log file and its digest file are found."""
    exported = run("export", str(sample.dataset), "--day", "2026-01-10").stdout.splitlines()
    ids = list(filter(None, (json.loads(line).get("eventID") for line in exported)))
    for event_id in ids[:: len(ids) // 12]:
        name = Sample(sample.dataset, sample.logs, event_id)
        done = run(*command(name, tmp_path / f"{event_id}.zip", "--json"))

        steps = json.loads(done.stdout)["proof"]
        assert (done.returncode, {step["status"] for step in steps}) == (0, {"proved"})


def test_an_event_that_is_not_there_is_an_error_with_what_to_do(
    sample: Sample, tmp_path: Path
) -> None:
    path = tmp_path / "case.zip"
    unknown = Sample(sample.dataset, sample.logs, "00000000-0000-0000-0000-000000000000")

    done = run(*command(unknown, path))

    assert done.returncode == 2
    assert "no event 00000000-0000-0000-0000-000000000000 in what was selected" in done.stderr
    assert not path.exists()


def test_a_row_that_was_altered_has_no_log_file(sample: Sample, tmp_path: Path) -> None:

    dataset = tmp_path / "set"
    shutil.copytree(sample.dataset, dataset)
    shutil.copytree(f"{sample.dataset}.state", f"{dataset}.state")
    for part in dataset.rglob("day=11/*.parquet"):
        table = pq.ParquetFile(part).read()
        ids = table["eventID"].to_pylist()
        if sample.event_id in ids:
            names = table["eventName"].to_pylist()
            names[ids.index(sample.event_id)] = "NothingAtAll"
            column = table.schema.get_field_index("eventName")
            table = table.set_column(column, table.schema.field(column), pa.array(names))
            pq.write_table(table, part)

    done = run(*command(Sample(dataset, sample.logs, sample.event_id), tmp_path / "c.zip"))

    assert done.returncode == 2
    assert "no log file of its unit holds the event" in done.stderr


def test_the_page_tells_all_kinds_of_findings_and_all_members(case: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/digests.md").read_text()
    first_cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    told = {name.strip(" `") for cell in first_cells for name in cell.split(",")}

    assert WRONG.keys() | NOTES.keys() <= told
    assert members_of(case).keys() <= told


def test_the_command_of_the_page_is_legal(sample: Sample, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/digests.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("cloudtrail-parquet evidence")]
    values = {"DATASET": sample.dataset, "EVENT_ID": sample.event_id, "SOURCE": sample.logs}
    values |= {"case.zip": tmp_path / "case.zip", "2026-01-10": "2026-01-11"}
    words = [str(values.get(word, word)) for word in line.split()[1:]]

    assert run(*words, "--public-keys", str(sample.keys)).returncode == 0


@pytest.mark.parametrize("layout", ["account/dt", "year/month/day"])
def test_an_event_has_a_case_in_a_folded_layout(
    sample: Sample, tmp_path: Path, layout: str
) -> None:
    dataset = tmp_path / "folded"
    options = ("--partition-layout", layout, "--workers", "1")
    done = run("convert", str(sample.logs), str(dataset), *options)
    assert done.returncode == 0, done.stderr
    folded = Sample(dataset, sample.logs, sample.event_id)

    done = run(*command(folded, tmp_path / "case.zip", "--day", "2026-01-11"))

    assert (done.returncode, done.stdout.count("proved: ")) == (0, 5), done.stdout + done.stderr


def test_what_the_dataset_redacts_is_told(sample: Sample, tmp_path: Path) -> None:
    dataset, rules = tmp_path / "redacted", tmp_path / "settings.toml"
    rules.write_text(
        '[[redact]]\nname = "names"\ncolumns = ["requestParameters"]\nkeys = ["bucketName"]\n'
    )
    options = ("--settings", str(rules), "--workers", "1")
    assert run("convert", str(sample.logs), str(dataset), *options).returncode == 0
    exported = run("export", str(dataset), "--day", "2026-01-11").stdout.splitlines()
    event = next(json.loads(line) for line in exported if '"[redacted]"' in line)

    done = run(*command(Sample(dataset, sample.logs, event["eventID"]), tmp_path / "case.zip"))

    assert done.returncode == 3
    assert "values that the dataset redacts: requestParameters.bucketName" in done.stdout
