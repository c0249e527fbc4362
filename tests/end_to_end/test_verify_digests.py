"""``verify --digests``: log files against what CloudTrail has signed."""

import gzip
import json
import shutil
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import Done, run

SPEC = TreeSpec(accounts=2, regions=2, days=2, records=400, digests=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    generate_tree(folder / "logs", SPEC)
    done = run("convert", str(folder / "logs"), str(folder / "set"), "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def verify(folder: Path, *options: str, keys: bool = True) -> Done:
    known = ("--public-keys", str(folder / "logs.public-keys.json")) if keys else ()
    source = ("--source", str(folder / "logs"), "--workers", "1")
    return run("verify", str(folder / "set"), *source, "--digests", *known, *options)


def digests_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*CloudTrail-Digest_*"))


def test_nothing_is_wrong_with_what_was_delivered(whole: Path) -> None:
    done = verify(whole)

    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("digests: nothing is wrong in ")
    assert "wrong:" not in done.stdout


def test_the_command_of_the_page_is_legal(whole: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/digests.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("cloudtrail-parquet verify")]
    values = {"DATASET": "set", "SOURCE": "logs", "FILE": "logs.public-keys.json"}
    words = [str(whole / values[word]) if word in values else word for word in line.split()]

    assert run(*words[1:]).returncode == 0


def test_all_of_it_as_json(whole: Path) -> None:
    done = verify(whole, "--json")

    *findings, summary = map(json.loads, done.stdout.splitlines())
    digests = summary["digests"]
    assert (done.returncode, summary["clean"]) == (0, True)
    assert (
        digests["digests"] == len(digests_of(whole)) == digests["signed"] + 6
    )  # trails' last ones
    assert digests["log_files"] == len(list(whole.rglob("*_CloudTrail_*")))
    assert {each["kind"] for each in findings} <= {"signature unknown", "no digest"}


def test_two_deleted_digest_files_in_a_row_are_found(folder: Path) -> None:
    first, second = digests_of(folder)[10:12]
    first.unlink()
    second.unlink()

    done = verify(folder)

    assert done.returncode == 5
    assert f"digest missing: {second.relative_to(folder / 'logs')}: " in done.stdout
    assert "so about 2 are missing" in done.stdout
    assert "digests: something is wrong in " in done.stdout


def test_an_altered_log_file_is_found_even_if_its_digest_file_is_altered_alike(
    folder: Path,
) -> None:
    digest = next(path for path in digests_of(folder) if b"hashValue" in gunzipped(path))
    digest.write_bytes(
        gzip.compress(gunzipped(digest).replace(b'"hashValue": "', b'"hashValue": "0'))
    )

    done = verify(folder)

    assert done.returncode == 5
    assert f"digest altered: {digest.relative_to(folder / 'logs')}: " in done.stdout


def gunzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_only_the_days_that_were_asked_for_are_checked(folder: Path) -> None:
    early = digests_of(folder)[3]
    assert "/2026/01/10/" in str(early)
    early.unlink()

    assert verify(folder, "--day", "2026-01-10").returncode == 5
    assert verify(folder, "--day", "2026-01-11").returncode == 0


def test_without_keys_and_credentials_hashes_and_chains_are_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(folder))

    done = verify(folder, keys=False)

    assert done.returncode == 0
    assert "signatures are not checked: name CloudTrail's public keys" in done.stderr
    assert ", 0 with signatures checked" in done.stdout

    digests_of(folder)[5].unlink()
    assert verify(folder, keys=False).returncode == 5


class CloudTrail(BaseHTTPRequestHandler):
    """CloudTrail's API, in all regions alike: ListPublicKeys gives the keys of a generated tree."""

    keys: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        region = self.headers["Authorization"].split("/")[2]
        self.asked.append(region)
        assert self.headers["X-Amz-Target"].endswith(".ListPublicKeys")
        entries = [
            {
                "Fingerprint": key["Fingerprint"],
                "Value": key["Value"],
                "ValidityStartTime": datetime.fromisoformat(key["ValidityStartTime"]).timestamp(),
                "ValidityEndTime": datetime.fromisoformat(key["ValidityEndTime"]).timestamp(),
            }
            for key in self.keys
            if key["Region"] == region
        ]
        body = json.dumps({"PublicKeyList": entries}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_with_credentials_cloudtrail_is_asked_for_the_keys_of_each_region(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        CloudTrail,
        "keys",
        json.loads((whole / "logs.public-keys.json").read_bytes())["PublicKeyList"],
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), CloudTrail)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    done = verify(whole, keys=False)
    server.shutdown()
    server.server_close()

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(CloudTrail.asked) == ["eu-central-1", "us-east-1"]
    assert ", 0 with signatures checked" not in done.stdout
    assert "key " not in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--digests",), "--digests: digest files lie beside the logs. Name them with --source"),
        (("--public-keys", "keys.json"), "--public-keys: keys are for the signatures of digest"),
    ],
)
def test_options_that_lack_another_are_refused(
    whole: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("verify", str(whole / "set"), *options)

    assert done.returncode == 2
    assert f"error: {message}" in done.stderr


def test_keys_that_are_none_are_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("no keys")

    done = verify(whole, "--public-keys", str(tmp_path / "keys.json"))

    assert done.returncode == 2
    assert "it does not hold public keys" in done.stderr

    done = verify(whole, "--public-keys", str(tmp_path / "other.json"))

    assert done.returncode == 2
    assert "cannot be read (No such file or directory). Check its name" in done.stderr
