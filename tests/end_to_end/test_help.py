"""What ``--help`` says is so: its examples work, and it is short."""

import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.cli.help_pages import EXAMPLES, WORDS
from cloudtrail_parquet.settings.settings import Settings
from tests.end_to_end.program import run

PROGRAM = "cloudtrail-parquet"
GROUP: Any = typer.main.get_command(cli.app)
COMMANDS: dict[str, Any] = {
    "": GROUP,
    **GROUP.commands,
    **{f"backfill {name}": one for name, one in GROUP.commands["backfill"].commands.items()},
}
README = Path(__file__).parents[2] / "README.md"


def needs_aws(example: str) -> bool:
    return "s3://" in example or "https://" in example


LOCAL = {
    name: [example for example in examples if not needs_aws(example)]
    for name, examples in EXAMPLES.items()
}
IN_AWS = sorted({text for examples in EXAMPLES.values() for text in examples if needs_aws(text)})


def help_of(name: str) -> str:
    done = run(*name.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_begins_with_examples_and_is_short(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    first, *lines = help_of(name).splitlines()

    assert first in {" Example:", " Examples:"}
    assert EXAMPLES[name]
    printed = "\n".join(lines)
    assert printed.startswith("".join(f"   {PROGRAM} {text}\n" for text in EXAMPLES[name]))
    assert max(map(len, lines)) <= 90
    assert len(lines) < 60


def test_there_is_no_example_of_a_command_that_is_none() -> None:
    assert set(EXAMPLES) - set(COMMANDS) <= {"query"}


def test_the_examples_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the table, in which logs come first, and a dataset before its readers."""
    monkeypatch.chdir(tmp_path)
    done = set()
    for name, examples in LOCAL.items():
        for example in examples:
            if example.split()[0] in COMMANDS and example not in done and name:
                result = run(*shlex.split(example))

                assert result.returncode == 0, result.stderr
                assert result.stdout + result.stderr
                done.add(example)

    assert len(done) >= 8
    assert {text for text in LOCAL[""] if text.split()[0] in COMMANDS} <= done


@pytest.mark.parametrize("example", IN_AWS)
def test_examples_in_aws_are_legal(example: str) -> None:
    name, *arguments = shlex.split(example.replace("\\\n", " "))
    command = GROUP.commands[name]
    if name == "backfill":
        known = command.commands
        subcommand = arguments.pop(0) if arguments[0] in known else "start"
        command = known[subcommand]

    with command.make_context(name, arguments) as context:
        assert "--help" not in arguments
        assert context.params


@pytest.mark.parametrize("name", ["convert", "plan", "schema", "inspect", "backfill start"])
def test_settings_are_options_on_a_page_of_their_own(name: str) -> None:
    settings = {f"--{field.name.replace('_', '-')}" for field in fields(Settings)}

    ordinary, theirs = help_of(name), run(*name.split(), "--help-settings")

    assert theirs.returncode == 0
    assert "--help-settings" in ordinary
    for option in settings:
        assert f"{option} " in theirs.stdout or f"{option}/" in theirs.stdout, option
        assert f"{option} " not in ordinary
    assert "--json " not in theirs.stdout
    assert help_of(name) == ordinary


def test_the_words_are_explained_in_a_line_each() -> None:
    page = " ".join(help_of("").split())
    readme = README.read_text()
    for word, about in WORDS.items():
        assert f"{word}: {about}." in page
        assert f"| **{word}** | {about} |" in readme
        assert len(about) < 80
