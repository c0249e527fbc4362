"""Mistakes that people make, what they are told, and the page about it.

python -m tests.end_to_end.mistakes > docs/troubleshooting.md
"""

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    chdir,
    contextmanager,
    nullcontext,
    redirect_stderr,
)
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from unittest.mock import patch

import app
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.storage import disk
from tests.builders import ACCOUNT
from tests.end_to_end.program import Done, run
from tests.end_to_end.trees import NOON, deliver, event

HOME = "/data"
"""The folder in which the page has all of it happen."""

_ROOM = 4096
_NEEDED = shutil.disk_usage("/")._replace(free=_ROOM)


class Mistake(NamedTuple):
    """A mistake.

    Attributes:
        what: What is wrong, in words.
        typed: What is typed: a command's arguments, or all of it if it begins with another program.
        prepare: Makes the files that it takes.
        within: A context for it, such as a full disk.
        status: The exit status.
    """

    what: str
    typed: str
    prepare: Callable[[Path], object] = lambda _: None
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    status: int = 2

    def said(self, folder: Path) -> Done:
        """Make it in a folder that has what it takes; returns what the command leaves behind."""
        with chdir(folder), self.within():
            program, *arguments = self.typed.split(" ") if " " in self.typed else [self.typed]
            if program == "python":
                return _synthesised(*arguments[1:])
            return run(*[argument.replace("%20", " ") for argument in (program, *arguments)])


def _synthesised(*arguments: str) -> Done:
    with patch.object(sys, "argv", ["app.py", *arguments]), redirect_stderr(StringIO()) as said:
        return Done(app.main(), "", said.getvalue())


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Makes a file, and the folders above it."""

    def make(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def folder_named(name: str) -> Callable[[Path], object]:
    """Makes a folder."""
    return lambda folder: (folder / name).mkdir(parents=True)


def linked(name: str, to: str) -> Callable[[Path], object]:
    """Makes a link."""
    return lambda folder: (folder / name).symlink_to(to)


def damaged(folder: Path) -> None:
    """Makes another dataset, of which a part has lost its end."""
    shutil.copytree(folder / "cloudtrail", folder / "damaged")
    part = next((folder / "damaged").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:500])


def damaged_state(folder: Path) -> None:
    """Makes another state, whose properties are cut off."""
    write("damaged.state/dataset.json", '{"lookahead_s":')(folder)


@contextmanager
def full_disk() -> Iterator[None]:
    """A disk on which nothing has room, faked."""

    def refuse(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with patch.object(disk, "_sync", refuse), patch.object(shutil, "disk_usage", lambda _: _NEEDED):
        yield


@contextmanager
def read_only(flag: int = os.ST_RDONLY) -> Iterator[None]:
    """A disk that cannot be written, faked."""
    with (
        patch.object(os, "access", lambda *_, **__: False),
        patch.object(os, "statvfs", lambda _: _Flags(flag)),
    ):
        yield


class _Flags(NamedTuple):
    f_flag: int


def not_allowed() -> AbstractContextManager[None]:
    """A folder that others own, faked."""
    return read_only(0)


# Buckets: answers of S3 as its API reference has them, by the name of the bucket.

ANSWERS = {
    "denied": (403, "AccessDenied", "Access Denied"),
    "nosuch": (404, "NoSuchBucket", "The specified bucket does not exist"),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "wrongkey": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"),
    "wrongsecret": (403, "SignatureDoesNotMatch", "The request signature does not match"),
    "skewed": (403, "RequestTimeTooSkewed", "The difference between the times is too large."),
}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, code, message = ANSWERS[self.path.split("/")[1].split("?")[0]]
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def bucket() -> Iterator[None]:
    """A server that answers as S3 does to mistakes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
    }
    try:
        with patch.dict(os.environ, environment):
            yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def no_credentials() -> Iterator[None]:
    """An environment in which nobody has signed in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    kept |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    kept["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"
    with patch.dict(os.environ, kept, clear=True):
        yield


def at_ada() -> AbstractContextManager[object]:
    """The home folder of somebody."""
    return patch.dict(os.environ, {"HOME": "/home/ada"})


_CONSOLE = "https://s3.console.aws.amazon.com/s3/buckets/my-logs?region=eu-west-1&prefix=AWSLogs/"
_NO_QUOTES = "compression = zstd\n"
_ENVIRONMENT = 'region = "eu-central-1"\n[dataset]\nbucket = "lake"\nprefix = "cloudtrail"\n'
_SOURCES = '[[sources]]\nbucket = "logs"\n'

LOCATIONS = (
    Mistake("a folder that does not exist", "convert logz new"),
    Mistake("a bucket without `s3://`", "convert my-logs/AWSLogs new"),
    Mistake("an ARN", "convert arn:aws:s3:::my-logs/trail new"),
    Mistake("the console's address", f"convert {_CONSOLE} new"),
    Mistake("an object's address", "convert https://my-logs.s3.eu-west-1.amazonaws.com/trail new"),
    Mistake("another server's address", "convert http://minio:9000/my-logs new"),
    Mistake("a scheme that is not read", "convert ftp://my-logs/trail new"),
    Mistake("capitals", "convert S3://my-logs/trail new"),
    Mistake("a slash too few", "convert s3:/my-logs/trail new"),
    Mistake("no bucket", "convert s3:///trail new"),
    Mistake("a parameter that does not exist", "convert s3://my-logs/trail?regoin=eu-west-1 new"),
    Mistake("a home folder in quotes", "convert ~/logs new", within=at_ada),
    Mistake("`file://` with two slashes", "convert file://logs new"),
    Mistake("no location", "convert %20 new"),
    Mistake("several folders in one argument", "convert logs%20more new"),
    Mistake("a file that is no log", "convert notes.txt new", write("notes.txt", "Call Ada\n")),
    Mistake("an empty folder", "convert empty new", folder_named("empty")),
    Mistake(
        "`AWSLogs` in small letters",
        "backfill copied new --local",
        folder_named(f"copied/awslogs/{ACCOUNT}/CloudTrail"),
    ),
    Mistake("one account's folder", f"backfill logs/AWSLogs/{ACCOUNT} new --local"),
    Mistake("a dataset as the source", "convert cloudtrail new"),
    Mistake("its state as the source", "convert cloudtrail.state new"),
    Mistake("a link to nothing", "convert link new", linked("link", "nowhere")),
)
PLACES = (
    Mistake("the source as the dataset", "convert logs logs"),
    Mistake("a dataset in the source", "convert logs logs/parquet"),
    Mistake("a dataset among the logs", "convert logs logs/AWSLogs/parquet"),
    Mistake("the same, by a link", "convert logs link/parquet", linked("link", "logs")),
    Mistake("a dataset that holds the source", "convert logs ."),
    Mistake("a state in the source", "convert logs new --state logs/state"),
    Mistake("a state in the dataset", "convert logs new --state new/state"),
    Mistake("the state of a dataset as the dataset", "convert logs cloudtrail.state"),
    Mistake("a dataset as the state of another", "convert logs new --state cloudtrail"),
    Mistake("a file as the dataset", "convert logs file", write("file", "")),
    Mistake("a file above the dataset", "convert logs file/new", write("file", "")),
    Mistake("another layout", "convert logs cloudtrail --partition-layout account/region/dt"),
    Mistake("`dataset.json` is damaged", "convert logs damaged", damaged_state),
    Mistake("a folder of logs in `export`", "export logs"),
    Mistake("the state in `export`", "export cloudtrail.state"),
    Mistake("the state in `inspect`", "inspect cloudtrail.state"),
    Mistake("a file that is not Parquet", "inspect notes.parquet", write("notes.parquet", "Hello")),
    Mistake("a part that is cut off", "inspect damaged", damaged),
    Mistake("the same in `export`", "export damaged", damaged, status=1),
    Mistake("a folder with something in it", "generate logs"),
    Mistake("a bucket for sample logs", "generate s3://my-logs/sample"),
)
DISKS = (
    Mistake("a full disk", "convert logs new --workers 1", within=full_disk),
    Mistake("a read-only disk", "convert logs new", within=read_only),
    Mistake("a folder of somebody else", "convert logs new", within=not_allowed),
    Mistake("too long a name", f"convert logs {'n' * 260}"),
)
BUCKETS = (
    Mistake("no credentials", "convert s3://my-logs new", within=no_credentials),
    Mistake("not allowed to list", "convert s3://denied new", within=bucket),
    Mistake("no such bucket", "convert s3://nosuch new", within=bucket),
    Mistake("a token that has expired", "convert s3://expired new", within=bucket),
    Mistake("an unknown access key", "convert s3://wrongkey new", within=bucket),
    Mistake("a wrong secret", "convert s3://wrongsecret new", within=bucket),
    Mistake("a clock that is wrong", "convert s3://skewed new", within=bucket),
)
SELECTIONS = (
    Mistake("a German date", "convert logs new --day 10.1.2026"),
    Mistake("digits left out", "convert logs new --day 2026-1-5"),
    Mistake("no hyphens", "convert logs new --from 20260105"),
    Mistake("a word", "convert logs new --to yesterday"),
    Mistake("a day that never was", "convert logs new --day 2026-02-30"),
    Mistake("the last day before the first", "plan logs --from 2026-02-01 --to 2026-01-01"),
    Mistake("a day and days", "plan logs --day 2026-02-01 --to 2026-02-03"),
    Mistake("a day in the future", "convert logs new --from 2031-01-01"),
    Mistake("a lost zero", "convert logs new --account 12345678901"),
    Mistake("hyphens in an account", "convert logs new --account 0123-4567-8901"),
    Mistake("an account without logs", "convert logs new --account 999988887777"),
    Mistake("two in one option", "plan logs --region eu-west-1,us-east-1"),
    Mistake("an availability zone", "plan logs --region eu-central-1a"),
    Mistake("a region in capitals", "plan logs --region EU-CENTRAL-1"),
    Mistake("days that the dataset lacks", "export cloudtrail --day 2020-01-01"),
)
COMMANDS = (
    Mistake("a command that does not exist", "konvert logs new"),
    Mistake("an option that does not exist", "convert logs new --wokers 2"),
    Mistake("an argument left out", "convert logs"),
    Mistake("an argument too many", "convert logs more new"),
    Mistake("no number", "convert logs new --workers many"),
    Mistake("too few", "convert logs new --workers 0"),
    Mistake("a wrong word", "plan logs --only some"),
    Mistake("receipts are nowhere", "plan logs --only outdated"),
    Mistake("a wrong format", "schema --format mysql"),
    Mistake("a queue by its name", "backfill logs new --queue backfill"),
    Mistake("nobody to convert it", "backfill logs new"),
    Mistake("no backfill yet", "backfill status cloudtrail"),
)
_ALL = "SELECT%20eventName%20FROM%20cloudtrail"
QUERIES = (
    Mistake("a query that does not exist", "query cloudtrail calls_of_a_key"),
    Mistake("a parameter left out", "query cloudtrail calls_of_an_access_key"),
    Mistake("no SQL", "query cloudtrail SELEC%20eventName"),
    Mistake("a column that does not exist", "query cloudtrail SELECT%20name%20FROM%20cloudtrail"),
    Mistake("too much to read", f"query cloudtrail {_ALL} --max-bytes 1kB"),
    Mistake("no size", f"query cloudtrail {_ALL} --max-bytes some"),
    Mistake("Parquet without a file", f"query cloudtrail {_ALL} --format parquet"),
    Mistake("another file", "query cloudtrail SELECT%20*%20FROM%20'passwords.csv'"),
    Mistake("a folder of logs", f"query logs {_ALL}"),
    Mistake("results among the parts", f"query cloudtrail {_ALL} --output cloudtrail/counts.csv"),
    Mistake("results in no folder", "export cloudtrail -o results/records.jsonl"),
    Mistake("a file that is there", "export cloudtrail -o kept", write("kept", "mine")),
    Mistake("a tree of log files nowhere", "export cloudtrail --as aws"),
    Mistake("a tree of log files among others", "export cloudtrail --as aws -o logs"),
)
SETTINGS = (
    Mistake("no such file", "convert logs new --settings missing.toml"),
    Mistake("a folder", "convert logs new --settings logs"),
    Mistake("no quotes", "schema --settings s.toml", write("s.toml", _NO_QUOTES)),
    Mistake("UTF-16", "schema --settings s.toml", write("s.toml", _NO_QUOTES.encode("utf-16"))),
    Mistake("not text", "schema --settings s.toml", write("s.toml", b"PAR1\x15\x04\x80")),
    Mistake("one bracket", "schema --settings s.toml", write("s.toml", '[discard]\nname = "kms"')),
    Mistake("a misspelt name", "schema --settings s.toml", write("s.toml", 'compresion = "zstd"')),
    Mistake("out of range", "schema --row-group-rows 0"),
    Mistake("not a column", "schema --sort-by eventname"),
    Mistake(
        "several at once",
        "schema --settings s.toml --page-rows many",
        write("s.toml", 'compression = "zip"\nsort_by = ["eventname", "source"]'),
    ),
)
ENVIRONMENTS = (
    Mistake("no such environment", "python app.py --environments empty", folder_named("empty")),
    Mistake(
        "`[sources]` for `[[sources]]`",
        "python app.py --environments env",
        write("env/prod.toml", f"{_ENVIRONMENT}[sources]\nbucket = 'logs'\n"),
    ),
    Mistake(
        "no quotes",
        "python app.py --environments env",
        write("env/prod.toml", (_ENVIRONMENT + _SOURCES).replace('"logs"', "logs")),
    ),
    Mistake(
        "several at once",
        "python app.py --environments env",
        write("env/Prod.toml", f'{_ENVIRONMENT}kms_kye = "x"\n{_SOURCES}requester_pays = "yes"\n'),
    ),
)
TABLES = {
    "The source": LOCATIONS,
    "Dataset and state": PLACES,
    "Disks": DISKS,
    "Buckets": BUCKETS,
    "Days, accounts and regions": SELECTIONS,
    "Commands and options": COMMANDS,
    "Queries and exports": QUERIES,
    "Settings files and settings": SETTINGS,
    "Environment files": ENVIRONMENTS,
}
ALL = [mistake for mistakes in TABLES.values() for mistake in mistakes]


def at_home(folder: Path) -> None:
    """Furnish a folder with logs of a day, and the dataset made of them."""
    deliver(folder / "logs", *map(event, ("a", "b")), delivered=NOON + timedelta(minutes=5))
    with chdir(folder):
        done = run("convert", "logs", "cloudtrail", "--workers", 1)
    assert done.returncode == 0, done.stderr


_PAGE = """\
# Troubleshooting

Made by `tests/end_to_end/mistakes.py`, which makes each of these mistakes and compares what the
command says; change that, then run `python -m tests.end_to_end.mistakes > docs/troubleshooting.md`.

Whatever is wrong is told in a line on stderr: where, what, and what to do. The exit status is then
2: nothing was done, or what was not done waits for somebody to see to a location. Status 1 says
that something failed that may go well when it is tried again, or that one unit of several failed;
3, that all was done, but log files are quarantined, or lie where nothing reads them, or a partition
was kept. A traceback is a defect of ours: please report it.

All of this is typed in `/data`, where `logs` holds `AWSLogs`, and `cloudtrail` is the dataset made
of it.
"""
_SYMPTOMS = """
## What is not an error

| what is seen | why | what to do |
|---|---|---|
| `quarantined: …`, status 3 | a log file is damaged, or has no records; others are converted | \
put it back and run it again; `retry may help` says that the store failed |
| `not read: CloudTrail-Insight, …` | other logs lie beside those that are read | `--folder` reads \
them, where the line says so |
| `no unit reads these …`, status 3 | log files lie beside the folders of days | move them where \
the line says |
| `kept as it was: …`, status 3 | the source no longer has what the partition was made of, mostly \
because of a lifecycle rule | nothing; `--replace-shrunk` if less is right |
| a unit is `unfinished` | a run was killed while it replaced parts | run it again, to complete it |
| `nothing to convert` | all is up to date | `--only all` converts it again |
| a record lies in another day's partition than its log file | days are those of events, in UTC | \
[architecture.md](architecture.md#rules) |
| `a worker process was killed` | memory ran out | fewer `--workers`; [tuning.md](tuning.md) |

What goes wrong in the function is in [operations.md](operations.md), buckets and credentials are in
[s3.md](s3.md).
"""


def page() -> str:
    """The page as Markdown: makes all mistakes."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name).resolve()
        at_home(home / "home")
        rows = {mistake: row(mistake, home / "home", home / "here") for mistake in ALL}
    return page_of(rows)


def page_of(rows: Mapping[Mistake, Sequence[str]]) -> str:
    """The page that has these rows."""
    head = ("mistake", "typed", "what is said", "status")
    sections = [
        f"\n## {title}\n\n{table(head, [rows[mistake] for mistake in mistakes])}\n"
        for title, mistakes in TABLES.items()
    ]
    return _PAGE + "".join(sections) + _SYMPTOMS


def row(mistake: Mistake, home: Path, here: Path) -> tuple[str, ...]:
    """Make a mistake in a copy of a folder; returns its row of the page.

    Raises:
        AssertionError: It has left something, or taken something away; or is not told in a line.
    """
    shutil.copytree(home, here)
    mistake.prepare(here)
    before = standing(here)
    done = mistake.said(here)
    left = standing(here)
    shutil.rmtree(here)
    assert left == before, mistake
    assert done.returncode == mistake.status, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")][1:] == []
    return mistake.what, _typed(mistake), _told(done, here), str(done.returncode)


def standing(folder: Path) -> dict[str, bytes]:
    """All that stands in a folder: files, folders and links."""
    paths = sorted(folder.rglob("*"))
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in paths}


def _typed(mistake: Mistake) -> str:
    words = mistake.typed.split(" ")
    typed = [f'"{word.replace("%20", " ")}"' if "%20" in word else word for word in words]
    return f"`{_shortened(' '.join(typed))}`"


def _told(done: Done, folder: Path) -> str:
    at = done.stderr.index("error: ")  # before it stands what was found
    lines = done.stderr[at:].replace(str(folder), HOME).splitlines()
    return "<br>".join(f"`{_shortened(line.strip())}`" for line in lines)


def _shortened(text: str) -> str:
    return re.sub("n{20,}", "nnn…", text)


if __name__ == "__main__":
    sys.stdout.write(page())
