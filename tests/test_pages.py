"""What the pages say can be run: each block by a test or with a reason, each name exists."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cloudtrail_parquet.cli import commands as cli
from cloudtrail_parquet.settings.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "queries/README.md",
    )
}
PRINTED = {name: text for name, text in PAGES.items() if name != "CHANGELOG.md"}
CORRECT = [name for name in PAGES if name != "docs/troubleshooting.md"]  # that shows mistakes
MAKEFILE = (ROOT / "Makefile").read_text()
SETTINGS = {f"--{one.name.replace('_', '-')}" for one in fields(Settings)}
A_BUCKET = "an AWS account with the stack in it; commands and outputs are checked by their names"
A_FIGURE = "a session of its day, whose numbers no other day has"

# By page, and by how a block begins: the test that runs or checks it, or why none does.
BLOCKS = {
    "README.md": {
        "AWSLogs/": "a file's name and its content, cut short",
        "account=": "a part's name",
        "SELECT eventTime": "tests/end_to_end/test_printed_commands.py",
        "make demo": "tests/distribution/test_demo.py",
        "pip install .": "needs an index; tests/distribution installs the wheel, and completes",
        "cloudtrail-parquet plan": "tests/end_to_end/test_printed_commands.py",
        "cloudtrail-parquet query": "tests/end_to_end/test_printed_commands.py",
        "CREATE VIEW": "tests/end_to_end/test_readme.py",
        "pl.scan_parquet": "tests/end_to_end/test_readme.py",
        "make plan": A_BUCKET,
        "flowchart": "a picture",
    },
    "docs/architecture.md": {"flowchart": "a picture"},
    "docs/coming-from.md": {"SELECT": "tests/end_to_end/test_coming_from.py"},
    "docs/deploy.md": {
        "aws lambda get-account-settings": A_BUCKET,
        "terraform import": A_BUCKET,
        "[dataset]\nreaders": "tests/stacks/environment/test_deploy_page.py",
        "[dataset]\ntiers": "tests/stacks/environment/test_deploy_page.py",
        "[schedule]\nexpire_after": "tests/stacks/environment/test_deploy_page.py",
        "export TF_CLI_ARGS": "tests/stacks/test_toolkit.py",
        '{\n  "Sid"': "a statement of a hand-over's README, which tests/stacks/handover checks",
        "make backfill": A_BUCKET,
        "aws sqs send-message": "tests/stacks/test_stack.py",
    },
    "docs/digests.md": {
        "aws cloudtrail list-public-keys": "needs an AWS account; its answer is a test's",
        "cloudtrail-parquet evidence": "tests/end_to_end/test_evidence_command.py",
        "cloudtrail-parquet verify": "tests/end_to_end/test_verify_digests.py",
    },
    "docs/engines.md": {"": "tests/end_to_end/test_engines.py"},
    "docs/events.md": {"": "tests/unit/function/test_events.py"},
    "docs/verifying.md": {"quarantined": A_FIGURE},
    "docs/operations.md": {
        "fields @timestamp": A_BUCKET,
        "out() {": "tests/stacks/test_stack.py",
        "$ ": A_FIGURE,
        "aws lambda invoke": "tests/stacks/test_stack.py",
    },
    "docs/package.md": {"dist/": "tests/bundle/test_package.py"},
    "docs/python.md": {"": "tests/end_to_end/test_python.py"},
    "docs/query.md": {"cloudtrail-parquet query": "tests/end_to_end/test_printed_commands.py"},
    "docs/quickstart.md": {
        "python3 -m venv": "needs an index; the environment of tests/distribution is its like",
        "$ ": "tests/distribution/test_quickstart.py",
    },
    "docs/reading.md": {"": "tests/end_to_end/test_reading.py"},
    "docs/report.md": {"cloudtrail-parquet report": "tests/end_to_end/test_report_command.py"},
    "docs/rules.md": {
        "[[discard]]": "tests/end_to_end/test_rules.py",
        "export CLOUDTRAIL": "tests/end_to_end/test_rules.py",
        '{"records"': "tests/end_to_end/test_rules.py",
        "dry run": "tests/end_to_end/test_rules.py",
    },
    "docs/settings.md": {"sort_by": "tests/end_to_end/test_printed_commands.py"},
    "docs/status.md": {"$ ": "tests/end_to_end/test_status_command.py"},
    "queries/README.md": {
        "SET TimeZone": "tests/end_to_end/test_queries.py",
        "CREATE OR REPLACE": "tests/end_to_end/test_queries.py",
        "QUALIFY": "tests/end_to_end/test_queries.py",
    },
}

# Words of others that stand in code spans and nowhere in this repository's code.
FOREIGN = {
    *("AbortIncompleteMultipartUpload", "AbortMultipartUpload", "GetQueueUrl"),
    *("ResourceAlreadyExistsException", "UnreservedConcurrentExecutions", "executions", "s3api"),
    *("MSCK", "REPAIR", "REFRESH", "Tuple", "Utf8", "metastore", "malloc_trim", "exited"),
    *("schema_inference_mode", "sync_partition_metadata", "gcloud", "rsync", "pipx"),
    *("SSL_CERT_FILE", "_FULL_URI", "T1200Z_ABC_copy"),
    *(
        "any_match",
        "aws_cloudtrail_log",
        "cloudtrail_logs",
        "from_iso8601_timestamp",
        "partition_0",
    ),
    *("recipient_account_id", "request_parameters", "session_context", "session_issuer", "tp_date"),
    *("source_ip_address", "tp_index", "tp_timestamp", "user_identity", "user_name"),
    *("HTTPS_PROXY", "PIP_INDEX_URL", "PIP_CERT"),
    "CLOUDTRAIL_PARQUET_ROW_GROUP_ROWS",  # made of a setting's name
}
FOREIGN_OPTIONS = {
    *("--attribute-names", "--cli-binary-format", "--cli-read-timeout", "--filter-pattern"),
    *("--format", "--function-name", "--log-group-name", "--message-body", "--output", "--payload"),
    *("--profile", "--query", "--queue-url", "--reserved-concurrent-executions", "--start-time"),
    *("--visibility-timeout", "--recursive", "--arg", "--max-number-of-messages"),
    "--upgrade-package",  # uv's, by LOCK_ARGS
}


def blocks(text: str) -> list[str]:
    """The content of all fenced blocks."""
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """What stands between backticks in running text."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", prose)


def script(text: str) -> Iterator[str]:
    """The lines of blocks and those that are indented, each command one; without comments."""
    inside = "\n".join(blocks(text)).replace("\n> ", " ")
    indented = re.findall(r"^ {4}(\S.*)$", text.replace("\\\n", " "), re.MULTILINE)
    for line in [*inside.replace("\\\n", " ").splitlines(), *indented]:
        yield re.sub(r"^\$ |\s+# .*$", "", line).strip()


def lines(text: str) -> list[str]:
    """All that can be a command, or a part of one."""
    return [*script(text), *spans(text)]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words after the program's name start, and its arguments."""
    found: Any = typer.main.get_command(cli.app)
    while words and words[0] in getattr(found, "commands", {}):
        found, words = found.commands[words[0]], words[1:]
    if default := getattr(found, "commands", {}).get("start"):
        found = default
    return found, words


def options_of(command: Any) -> set[str]:  # noqa: ANN401 - click's
    inner = getattr(command, "commands", {}).values()
    ours = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return {"--help"}.union(ours, *map(options_of, inner))


PARAMETERS = {
    f"--{name.replace('_', '-')}"
    for path in (ROOT / "queries").glob("*.sql")
    for name in re.findall(r"getvariable\('(\w+)'\)", path.read_text())
}
OURS = options_of(typer.main.get_command(cli.app)) | PARAMETERS
SOURCES = {
    path: path.read_text()
    for pattern in ("*.py", "*.toml", "*.sql", "*.json", "*.yml")
    for folder in ("lambda_src", "stacks", "bench", "bundle", "examples", "tests", "queries")
    for path in (ROOT / folder).rglob(pattern)
    if path != Path(__file__) and "snapshots" not in path.parts
} | {
    path: path.read_text() for path in (*ROOT.glob("*.toml"), *ROOT.glob("*.py"), ROOT / "Makefile")
}
SOURCES |= {path: path.read_text() for path in (ROOT / "environments").glob("*.toml")}
WORDS = {word for text in SOURCES.values() for word in re.findall(r"\w+", text)} | {
    path.stem for path in (*SOURCES, Path(__file__))
}


@pytest.mark.parametrize("page", PRINTED)
def test_each_block_is_run_by_a_test_or_listed_with_the_reason(page: str) -> None:
    wanted = BLOCKS.get(page, {})
    found = [[start for start in wanted if one.startswith(start)] for one in blocks(PAGES[page])]

    assert [one for one, starts in zip(blocks(PAGES[page]), found, strict=True) if not starts] == []
    assert {max(starts, key=len) for starts in found} == set(wanted)
    for test in wanted.values():
        if test.endswith(".py"):
            assert Path(page).name in (ROOT / test).read_text(), test


@pytest.mark.parametrize("page", CORRECT)
def test_each_word_between_backticks_is_one_of_the_code(page: str) -> None:
    words = {word for span in spans(PAGES[page]) for word in re.findall(r"\b[A-Za-z_]\w{2,}", span)}

    folded = {word.lower() for word in WORDS}  # as Athena has them

    assert sorted(one for one in words - WORDS - FOREIGN if one not in folded) == []


def test_no_foreign_word_is_listed_in_vain() -> None:
    named = {
        word for text in PAGES.values() for span in spans(text) for word in re.findall(r"\w+", span)
    }

    assert sorted(FOREIGN - named) == []


@pytest.mark.parametrize("page", PRINTED)
def test_commands_are_those_of_the_program_with_its_options(page: str) -> None:
    for line in lines(PAGES[page]):
        if match := re.match(r"cloudtrail-parquet (.*)", line):
            command, arguments = command_of(match[1].split())
            named = set(re.findall(r"--[a-z][a-z0-9-]*", " ".join(arguments)))
            known = PARAMETERS if command.name == "query" else set()
            assert named <= options_of(command) | SETTINGS | known, line
    for line in script(PAGES[page]):
        if match := re.match(r"cloudtrail-parquet ([^>;|]*)", line):
            command, arguments = command_of(shlex.split(match[1]))
            if not match[1].startswith("--install-completion"):
                command.make_context("cloudtrail-parquet", arguments)  # fails as the program does


@pytest.mark.parametrize("page", sorted(PRINTED.keys() & set(CORRECT)))
def test_options_are_those_of_a_program_that_there_is(page: str) -> None:
    texts = [text for path, text in SOURCES.items() if "lambda_src" not in path.parts]
    others = {name for text in texts for name in re.findall(r"\"(--[a-z][a-z0-9-]*)\"", text)}
    named = {
        name
        for line in lines(PAGES[page])
        for name in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line)
    }

    assert sorted(named - OURS - SETTINGS - others - FOREIGN_OPTIONS) == []


@pytest.mark.parametrize("page", PRINTED)
def test_modules_that_python_runs_exist_and_know_their_options(page: str) -> None:
    for line in lines(PAGES[page]):
        for module, rest in re.findall(r"python -m ([\w.]+)((?: [^;|&>]*)?)", line):
            if module in ("pytest", "pip", "venv"):
                continue
            file = ROOT / "lambda_src" if module.startswith("cloudtrail_parquet") else ROOT
            file = file.joinpath(*module.split("."))
            path = (
                file.with_suffix(".py")
                if file.with_suffix(".py").exists()
                else file / "__main__.py"
            )
            assert path.exists(), line
            near = "".join(one.read_text() for one in path.parent.glob("*.py"))
            for option in re.findall(r"--[a-z][a-z0-9-]*", rest):
                assert f'"{option}"' in near, line


@pytest.mark.parametrize("page", [*PRINTED, "Makefile"])
def test_targets_of_make_and_their_variables_exist(page: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    variables = {*re.findall(r"^(\w+) \??:?=", MAKEFILE, re.MULTILINE), "ENV"}
    named = lines(PRINTED[page]) if page in PRINTED else re.findall(r"## (.*)", MAKEFILE)
    for line in named:
        for call in (
            ()
            if page == "Makefile"
            else re.findall(r"(?:^|; )make((?: [-\w=./]+| \w+=\"[^\"]*\")+)", line)
        ):
            words = shlex.split(call)
            assert {one for one in words if re.fullmatch(r"[a-z][\w-]*", one)} <= targets, line
            assert {one.partition("=")[0] for one in words if "=" in one} <= variables, line
        for name in re.findall(r"^([A-Z_]+)=", line) if page == "Makefile" else ():
            assert name in variables, line


@pytest.mark.parametrize("page", PRINTED)
def test_files_that_are_named_exist(page: str) -> None:
    folders = (ROOT, (ROOT / page).parent, ROOT / "tests", ROOT / "lambda_src/cloudtrail_parquet")
    known = {path.name for path in SOURCES} | {path.name for path in ROOT.rglob("*.md")}
    for span in spans(PAGES[page]):
        if match := re.fullmatch(r"(?:[\w.-]+/)+[\w-]+\.(?:py|md|sql|txt|toml)", span):
            if match[0].split("/")[0] not in ("dist", "build", "cdktf.out"):  # are made
                assert any((folder / span).exists() for folder in folders), span
        elif match := re.fullmatch(r"(test_\w+|\w+_page)\.py|[\w-]+\.md", span):
            assert match[0] in known, span


def helps(command: Any, name: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - click's
    """What each command says of itself and of its options."""
    texts = [command.help, *(getattr(one, "help", None) for one in command.params)]
    yield name, "\n".join(filter(None, texts))
    for inner, one in getattr(command, "commands", {}).items():
        yield from helps(one, f"{name} {inner}".strip())


def test_help_names_options_and_pages_that_there_are() -> None:
    told = dict(helps(typer.main.get_command(cli.app)))

    assert {"convert", "export", "backfill redrive"} <= told.keys()
    for name, text in told.items():
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)) <= OURS | SETTINGS, name
        for path in re.findall(r"\b(?:docs|queries|environments)/[\w.-]+\.\w+", text):
            assert (ROOT / path).exists(), name
