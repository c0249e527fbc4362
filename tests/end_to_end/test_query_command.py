"""The command query: by name, by SQL, by a prompt; in every format, and to a terminal."""

import csv
import io
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.querying.library import names, queries
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.end_to_end.program import Done, command, run, run_apart, succeed
from tests.layouts import convert_in

SPEC = TreeSpec(accounts=2, regions=1, days=2, records=400)
BY_NAME = "SELECT eventName, count(*) AS calls FROM cloudtrail GROUP BY ALL ORDER BY 2 DESC, 1"
ENDLESS = "SELECT max(sin(range)) FROM range(100000000000)"
ERROR_FIRST = (
    "SELECT errorCode, eventTime, eventID FROM cloudtrail ORDER BY errorCode, eventID LIMIT 2"
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("query")
    generate_tree(folder / "logs", SPEC)
    return convert_in("account/region/year/month/day", folder / "logs", folder / "cloudtrail")


def rows(*arguments: object) -> list[dict[str, object]]:
    return [
        json.loads(line) for line in succeed("query", *arguments, "--format", "json").splitlines()
    ]


def test_sql_is_answered_with_all_rows_in_each_format(dataset: Path, tmp_path: Path) -> None:
    expected = rows(dataset, BY_NAME)
    assert sum(int(str(row["calls"])) for row in expected) == 400

    text = succeed("query", dataset, BY_NAME, "--format", "csv")
    assert [
        {**row, "calls": int(row["calls"])} for row in csv.DictReader(io.StringIO(text))
    ] == expected
    head, rule, *lines = succeed("query", dataset, BY_NAME).splitlines()
    assert (head.split(), set(rule)) == (["eventName", "calls"], {"-", " "})
    assert [line.split() for line in lines] == [
        [row["eventName"], str(row["calls"])] for row in expected
    ]
    for ending in ("parquet", "csv"):
        out = tmp_path / f"out.{ending}"
        assert succeed("query", dataset, BY_NAME, "--format", ending, "-o", out) == ""
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == expected
    assert (tmp_path / "out.csv").read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.parquet"]


def test_times_are_iso_8601_and_nulls_are_nulls_of_the_format(dataset: Path) -> None:
    sql = (
        "SELECT TIMESTAMPTZ '2026-01-10 10:00:00.5+01' AS t, NULL AS n, [1, NULL] AS l, "
        "{'a': true} AS s, MAP {'k': DATE '2026-01-10'} AS m, 1.50 AS d, 'x,\"y' AS q"
    )

    (row,) = rows(dataset, sql)
    _, line = succeed("query", dataset, sql, "--format", "csv").splitlines()
    *_, table = succeed("query", dataset, sql).splitlines()

    time_ = "2026-01-10T09:00:00.500000Z"
    assert row == {
        "t": time_,
        "n": None,
        "l": [1, None],
        "s": {"a": True},
        "m": {"k": "2026-01-10"},
        "d": 1.5,
        "q": 'x,"y',
    }
    assert line == f'{time_},,"[1,null]","{{""a"":true}}","{{""k"":""2026-01-10""}}",1.5,"x,""y"'
    assert table.split() == [
        time_,
        "NULL",
        "[1,null]",
        '{"a":true}',
        '{"k":"2026-01-10"}',
        "1.5",
        'x,"y',
    ]


ODD_VALUES = {
    "DATE '10000-01-01'": "10000-01-01",
    "'infinity'::TIMESTAMPTZ": "infinity",
    "['-infinity'::TIMESTAMP]": "[-infinity]",
    "MAP {{'a': 1}: 2}": "{{'a': 1}=2}",
    "INTERVAL 3 DAY": "3 days",
    "union_value(a := 1)": "1",
}


@pytest.mark.parametrize("format_", ["table", "csv", "json", "parquet"])
def test_values_that_python_or_parquet_lacks_are_text(
    dataset: Path, tmp_path: Path, format_: str
) -> None:
    odd = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(ODD_VALUES))
    sql = f"SELECT {odd} UNION ALL SELECT {', '.join(['NULL'] * len(ODD_VALUES))}"

    succeed("query", dataset, sql, "--format", format_, "-o", tmp_path / "out")

    if format_ == "parquet":
        table = pq.read_table(tmp_path / "out")
        assert table["c4"].to_pylist() == ["3 days", None]
        assert table["c5"].to_pylist() == ["1", None]
        return
    text = (tmp_path / "out").read_text()
    assert all(value in text for value in ODD_VALUES.values())
    if format_ == "json":
        assert list(json.loads(text.splitlines()[0]).values()) == list(ODD_VALUES.values())


def test_nanoseconds_are_kept(dataset: Path) -> None:
    (row,) = rows(dataset, "SELECT TIMESTAMP_NS '2026-01-01 00:00:00.123456789' AS t")

    assert str(row["t"]).endswith("00:00:00.123456789")


def test_columns_of_one_name_are_numbered_and_none_is_lost(dataset: Path, tmp_path: Path) -> None:
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS b, 5 AS a"
    expected = {"a": 1, "a_2": 2, "a_1": 3, "b": 4, "a_3": 5}

    assert rows(dataset, sql) == [expected]
    succeed("query", dataset, sql, "--format", "parquet", "-o", tmp_path / "out")
    assert pq.read_table(tmp_path / "out").to_pylist() == [expected]


def test_a_query_runs_by_its_name_with_its_parameters(dataset: Path) -> None:
    (first, *_) = rows(dataset, "SELECT eventID, region FROM cloudtrail ORDER BY ALL")

    for given in (
        ["--event-id", first["eventID"]],
        [f"--event_id={first['eventID']}"],
        ["--param", f"event_id={first['eventID']}"],
    ):
        (found,) = rows(dataset, "one_event", *given)
        assert found["eventID"] == first["eventID"]


def test_a_day_chooses_the_folders_and_is_the_query_s_parameter_too(dataset: Path) -> None:
    of_a_day = rows(dataset, "services_and_errors_of_a_day", "--day", "2026-01-11")

    assert of_a_day
    (row,) = rows(dataset, "SELECT count(*) AS n FROM cloudtrail", "--day", "2026-01-11")
    assert sum(int(str(one["calls"])) for one in of_a_day) == row["n"]


def test_no_query_has_a_parameter_that_is_an_option_of_the_command_but_a_day() -> None:
    options = set(re.findall(r"--([a-z-]+)", succeed("query", "--help")))

    parameters = {each.name.replace("_", "-") for query in queries() for each in query.parameters}

    assert parameters & options == {"day"}


def test_all_queries_are_listed_with_what_they_find_and_need() -> None:
    listed = run_apart("query", "--list", env={"COLUMNS": "250"}).stdout

    for query in queries():
        assert query.name in listed
        assert query.title in listed
    assert "--event-id 01234567-89ab-cdef-0123-456789abcdef" in listed
    assert "[--day 2026-01-11]" in listed


@pytest.mark.parametrize("dialect", ["duckdb", "athena"])
def test_the_text_of_a_query_is_printed_with_what_is_given(dialect: str) -> None:
    text = succeed(
        "query", "--print", "--dialect", dialect, "calls_of_an_access_key", "--key", "A'1"
    )

    assert "'A''1'" in text
    code = re.sub(r"--.*", "", text)
    assert "?" not in code
    assert "getvariable" not in code


def test_the_printed_text_gives_the_same_rows(dataset: Path) -> None:
    (first, *_) = rows(dataset, "SELECT eventID FROM cloudtrail ORDER BY ALL")
    text = succeed("query", "--print", "one_event", "--event-id", first["eventID"])

    assert rows(dataset, text) == rows(dataset, "one_event", "--event-id", first["eventID"])


def test_sql_is_read_from_a_file_and_from_a_pipe(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    file.write_text(f"-- a comment\n{BY_NAME};\n")

    expected = succeed("query", dataset, BY_NAME)

    assert succeed("query", dataset, "--file", file) == expected
    for words in ([dataset, "-"], [dataset]):
        assert piped(file.read_text(), "query", *words).stdout == expected


def piped(text: str, *arguments: object) -> Done:
    done = subprocess.run(
        command(*arguments), input=text, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_what_would_be_read_is_explained_and_not_read(dataset: Path) -> None:
    text = succeed(
        "query",
        dataset,
        "SELECT max(userAgent) FROM cloudtrail",
        "--explain",
        "--day",
        "2026-01-10",
    )

    day = list(dataset.rglob("day=10/*.parquet"))
    size = sum(path.stat().st_size for path in day)
    assert f"{len(day)}, {size:,} bytes" in text
    assert "userAgent" in text
    assert re.search(r"about [\d,]+, by \d+ of \d+ footers", text)


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no dataset": ([], "query: no dataset is named. Write query DATASET NAME, and SQL in quotes"),
    "no folder": (
        ["nowhere", "root_use"],
        "dataset: there is no folder nowhere. Check its name",
    ),
    "no such query": (
        ["DATASET", "root_user"],
        "root_user: there is no query of this name, and it is not SQL. Did you mean root_use?",
    ),
    "unquoted SQL": (
        ["DATASET", "SELECT", "1"],
        "'1' is one word too many. Write query DATASET NAME",
    ),
    "a needed parameter": (
        ["DATASET", "one_event"],
        "one_event: needs a parameter. Add --event-id 0",
    ),
    "another parameter": (
        ["DATASET", "one_event", "--id", "x"],
        "one_event: has no parameter --id. It has --event-id 01234567",
    ),
    "a parameter of none": (
        ["DATASET", "root_use", "--key", "x"],
        "root_use: has no parameter --key. It has none",
    ),
    "an option without value": (["DATASET", "one_event", "--event-id"], "--event-id: has no value"),
    "an option twice": (["DATASET", "one_event", "--key=1", "--key=2"], "--key: is there twice"),
    "an unknown option": (
        ["DATASET", "SELECT 1", "--frm", "2026-01-01"],
        "--frm: there is no such option",
    ),
    "a day that is none": (
        ["DATASET", "calls_from_a_new_address", "--since", "10.1.2026"],
        "--since: '10.1.2026' is not a day. Write 2026-01-11",
    ),
    "a number that is none": (
        ["DATASET", "spikes_of_denied_calls", "--least", "x"],
        "--least: 'x' is not a number. Write 20",
    ),
    "a file that is there": (
        ["DATASET", "SELECT 1", "-o", "FILE"],
        "the file exists. Name another, or replace it with --force",
    ),
    "no pair": (["DATASET", "root_use", "--param", "x"], "--param: 'x' is not NAME=VALUE"),
    "days for a day": (
        ["DATASET", "services_and_errors_of_a_day", "--from", "2026-01-10"],
        "services_and_errors_of_a_day: is about one day, which --from and --to do not say",
    ),
    "days the other way": (
        ["DATASET", "root_use", "--from", "2026-01-11", "--to", "2026-01-10"],
        "is before the first",
    ),
    "no such account": (
        ["DATASET", "root_use", "--account", "999999999999"],
        "no logs for account 999999999999. There are: ",
    ),
    "no such day": (["DATASET", "root_use", "--day", "2031-01-01"], "There are: accounts "),
    "wrong SQL": (["DATASET", "SELECT eventNam FROM cloudtrail"], "SQL, line 1, column 8: "),
    "writing": (["DATASET", "COPY (SELECT 1) TO 'x.csv'"], "SQL: COPY is refused"),
    "parquet to stdout": (["DATASET", "SELECT 1", "--format", "parquet"], "parquet needs a file"),
    "results in the dataset": (
        ["DATASET", "SELECT 1", "-o", "DATASET/a.csv"],
        "lies in the dataset",
    ),
    "results in the state": (
        ["DATASET", "SELECT 1", "-o", "DATASET.state/dataset.json", "--force"],
        "lies in the state of the dataset",
    ),
    "results in no place": (["DATASET", "SELECT 1", "-o", ""], "the location is empty"),
    "a variable of ours": (
        ["DATASET", "SELECT 1", "--param", "dataset=x"],
        "--param: dataset is the location of the dataset, which is given",
    ),
    "a word beside a file": (
        ["DATASET", "root_use", "--file", "a.sql"],
        "--file: a question is asked already: 'root_use'",
    ),
    "no size": (
        ["DATASET", "SELECT 1", "--max-bytes", "many"],
        "'many' is not a size. Write 500MB",
    ),
    "too much": (
        ["DATASET", "FROM cloudtrail", "--max-bytes", "10kB"],
        "query: it would read about 1.* kB, more than 10 kB. Ask about fewer days",
    ),
    "no such file": (
        ["DATASET", "--file", "nowhere.sql"],
        r"nowhere.sql: cannot be read \(No such",
    ),
    "nothing to print": (["--print"], "--print: no query is named"),
    "SQL to print": (["--print", "SELECT 1"], "--print: no query is named"),
    "no version for an engine": (
        ["--print", "root_use", "--dialect", "polars"],
        "root_use: there is no version for polars",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_a_line(dataset: Path, mistake: str) -> None:
    words, problem = MISTAKES[mistake]

    done = run(
        "query",
        *(word.replace("DATASET", str(dataset)).replace("FILE", __file__) for word in words),
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(problem, done.stderr)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")


def test_a_limit_that_suffices_changes_nothing(dataset: Path) -> None:
    assert succeed("query", dataset, BY_NAME, "--max-bytes", "10MB") == succeed(
        "query", dataset, BY_NAME
    )


def test_results_that_cannot_be_written_are_an_error_and_leave_nothing(
    dataset: Path, tmp_path: Path
) -> None:
    done = run("query", dataset, "SELECT 1", "-o", tmp_path / "none/x.csv")

    assert done.returncode == 2
    assert f"x.csv: there is no folder {tmp_path / 'none'}. Make it, or name" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_results_go_through_a_pipe_and_a_link_which_stay(dataset: Path, tmp_path: Path) -> None:
    pipe, link, target = (tmp_path / name for name in ("pipe", "link", "target"))
    os.mkfifo(pipe)
    link.symlink_to(target)
    target.write_text("before")
    words = ["query", dataset, "SELECT 1 AS a", "--format", "csv", "-o"]

    with ThreadPoolExecutor(1) as threads:
        piped = threads.submit(pipe.read_text)
        assert succeed(*words, pipe) == ""
    assert succeed(*words, link, "--force") == ""
    assert succeed(*words, "-") == "a\n1\n"

    assert piped.result(60) == target.read_text() == "a\n1\n"
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


def test_a_file_keeps_what_it_had_if_a_question_fails_half_way(
    dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("before")

    done = run(
        "query",
        dataset,
        "SELECT eventName::DATE FROM cloudtrail",
        "-o",
        tmp_path / "x.csv",
        "--force",
    )

    assert done.returncode == 2
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.csv": "before"}


@pytest.mark.parametrize(
    "name", ["copy of part.parquet", ".part-00000.parquet", "_t.parquet", "sub/part-00000.parquet"]
)
def test_files_that_no_conversion_wrote_are_counted_and_not_read(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(dataset, tmp_path / "copy")
    part = next((tmp_path / "copy").rglob("part-00000.parquet"))
    (part.parent / name).parent.mkdir(exist_ok=True)
    shutil.copy(part, part.parent / name)
    told = "not read: 1 Parquet file in partitions, named as no part that convert writes\n"

    asked = run("query", tmp_path / "copy", "SELECT count(*) FROM cloudtrail", "--format", "csv")
    exported = run("export", tmp_path / "copy")

    assert asked.stdout.splitlines()[1] == str(exported.stdout.count("\n")) == "400"
    assert (asked.stderr, exported.stderr) == (told, told)


def test_other_commands_do_not_load_duckdb() -> None:
    code = (
        "import sys; import cloudtrail_parquet.cli.commands; "
        "print([m for m in ('duckdb', '_duckdb', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_without_duckdb_an_error_says_how_to_get_it(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "duckdb.py").write_text("raise ModuleNotFoundError('no', name='duckdb')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])

    done = run_apart("query", dataset, "root_use", env={"PYTHONPATH": path})

    assert done.returncode == 2
    assert done.stderr == (
        "error: query: duckdb is not installed. Install the package with what it requires: "
        "pip install cloudtrail-parquet\n"
    )


class Terminal:
    """The command in a terminal of 100 columns."""

    def __init__(self, *arguments: object) -> None:
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", COLUMNS="100")
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
            os.execv(sys.executable, command(*arguments))  # noqa: S606
        self._pid = pid

    def until(self, text: str) -> str:
        """What is shown until a text is."""
        shown, ends = b"", time.monotonic() + 60
        while text.encode() not in shown:
            ready, _, _ = select.select([self._terminal], [], [], max(0, ends - time.monotonic()))
            assert ready, shown
            try:
                shown += os.read(self._terminal, 4096)
            except OSError:
                break
        assert text.encode() in shown, shown
        return shown.decode().replace("\r", "")

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self.end()
        os.close(self._terminal)


@pytest.fixture
def terminal(dataset: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*more: object) -> Terminal:
        opened.append(Terminal("query", dataset, *more))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.kill()


def test_without_a_question_there_is_a_prompt(terminal: Callable[..., Terminal]) -> None:
    prompt = terminal()
    prompt.until("query> ")
    prompt.type(".help\n")
    assert "Ctrl-C ends a query" in prompt.until("query> ")
    prompt.type("SELECT count(*) AS n\n")
    prompt.until("...> ")
    prompt.type("FROM cloudtrail;\n")
    assert "400" in prompt.until("query> ")
    prompt.type("one_event --event-id x\n")
    assert "0 rows" in prompt.until("query> ")
    prompt.type("one_event\n")
    assert "needs a parameter" in prompt.until("query> ")
    prompt.type("SELECT nothing;\n")
    assert "error: SQL, line 1, column 8" in prompt.until("query> ")
    prompt.type(".schema\n")
    assert "eventVersion" in prompt.until("query> ")
    prompt.type("SELECT dropped")
    prompt.until("dropped")
    prompt.type("\x03")
    prompt.until("query> ")
    prompt.type("\x04")
    assert prompt.end() == 0


def test_ctrl_c_ends_a_question_in_a_line_and_leaves_no_file(dataset: Path, tmp_path: Path) -> None:
    sql = "SELECT a.range FROM range(1000000000) a, range(1000000000) b"
    words = ["query", dataset, sql, "--format", "csv", "-o", tmp_path / "x.csv"]
    process = subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True)
    ends = time.monotonic() + 60
    while not list(tmp_path.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)

    _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--max-bytes", "1kB"], ["--explain"], ["-o", "x.csv"]])
def test_the_prompt_refuses_what_it_has_no_use_for(
    terminal: Callable[..., Terminal], options: list[str]
) -> None:
    refused = terminal(*options)

    assert "is for a question, and none is asked" in refused.until("leave it out")
    assert refused.end() == 2


def test_a_day_is_filled_in() -> None:
    text = succeed("query", "--print", "services_and_errors_of_a_day", "--day", "2026-01-10")

    assert "DATE '2026-01-10'" in re.sub(r"--.*", "", text)


def wait_for_a_file_in(folder: Path) -> None:
    """Wait until a question has its temporary folder, and half a second more."""
    ends = time.monotonic() + 60
    while not list(folder.iterdir()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    time.sleep(0.5)


def test_ctrl_c_ends_a_question_at_a_terminal(
    terminal: Callable[..., Terminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    asked = terminal("SELECT count(*) FROM range(1000000000000)")
    wait_for_a_file_in(tmp_path)
    asked.type("\x03")

    assert "interrupted" in asked.until("interrupted")
    assert asked.end() == 130


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_question_that_is_ended_leaves_no_temporary_folder(
    dataset: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    there = {**os.environ, "TMPDIR": str(tmp_path)}
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
    process = subprocess.Popen(command("query", dataset, ENDLESS), env=there)
    signal.signal(signal.SIGHUP, inherited)
    wait_for_a_file_in(tmp_path)
    process.send_signal(ending)

    status = process.wait(60)

    if ending == signal.SIGKILL:  # then the next question tidies up
        assert list(tmp_path.iterdir())
        assert run_apart("query", dataset, "SELECT 1", env=there).returncode == 0
    else:
        assert status == 128 + ending
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_speaks_of_an_interruption_is_none(dataset: Path) -> None:
    done = run("query", dataset, "SELECT 'interrupted'::INT")

    assert done.returncode == 2
    assert "SQL, line 1, column 21: Could not convert" in done.stderr


def test_ctrl_c_ends_the_query_that_runs_and_not_the_prompt(
    terminal: Callable[..., Terminal],
) -> None:
    prompt = terminal()
    prompt.until("query> ")
    prompt.type(f"{ENDLESS};\n")
    prompt.until("00);")
    time.sleep(1)
    prompt.type("\x03")
    assert "interrupted" in prompt.until("query> ")
    prompt.type("SELECT 41 + 1 AS answer;\n")
    assert "42" in prompt.until("query> ")
    prompt.type(".quit\n")
    assert prompt.end() == 0


def test_a_terminal_shows_what_fits_and_says_of_how_much(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("SELECT eventName, sourceIPAddress, userAgent FROM cloudtrail").until(
        "prints all"
    )
    lines = [line for line in shown.splitlines() if line]

    assert lines[-1] == "40 of 400 rows; --format csv or json prints all"
    assert len(lines) == 1 + 2 + 40
    assert all(len(line) <= 100 for line in lines)


def test_rows_too_wide_for_a_terminal_are_shown_as_lines(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("FROM cloudtrail ORDER BY eventTime LIMIT 2").until("2 rows")

    assert "-- row 1" in shown
    assert re.search(r"^eventSource +\w+\.amazonaws\.com$", shown, re.MULTILINE)
    assert "NULL" not in shown


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
@pytest.mark.parametrize("output", [(), ("-o", "-")])
def test_a_terminal_is_given_no_character_that_it_may_obey(
    dataset: Path, terminal: Callable[..., Terminal], format_: str, output: tuple[str, ...]
) -> None:
    unseen = "\x1b]0;title\x07 \x9b31m \u202e \u2066"
    codes = " || ".join(
        f"chr({ord(each)})" if not each.isprintable() else f"'{each}'" for each in unseen
    )
    sql = f"SELECT {codes} AS t, [{codes}] AS l, MAP {{{codes}: 1}} AS m, 1 AS e"
    last = {"table": "1 row", "csv": ",1\r\n", "json": '"e":1}'}[format_]

    shown = terminal(sql, "--format", format_, *output).until(last)

    assert shown.replace("\n", "").isprintable()
    assert "1b]0;title" in shown
    if format_ == "json":
        assert json.loads(shown)["t"] == unseen
    if format_ != "table":
        piped_ = succeed("query", dataset, sql, "--format", format_, *output)
        assert "\x9b31m \u202e \u2066" in piped_


PAGE = Path(__file__).parents[2] / "docs/query.md"
COMMANDS = re.findall(r"^cloudtrail-parquet (query .*)$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_page_run_as_they_stand_there(
    dataset: Path, tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cloudtrail").symlink_to(dataset)
    monkeypatch.chdir(tmp_path)

    out = succeed(*shlex.split(line))

    assert out or (tmp_path / "errors.csv").read_text().startswith("eventVersion,")


def test_the_page_tells_of_each_query_what_it_reads() -> None:
    assert re.findall(r"^\| (\w+) \| [\d,]+ \|", PAGE.read_text(), re.MULTILINE) == names()
