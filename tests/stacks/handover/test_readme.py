"""The README of a hand-over: complete, and its commands do what it says."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtrail_parquet.function.events import DailyEvent, PlanEvent, parse, parse_text
from stacks.environment.fields import Environment
from stacks.iam.cross_account import fill_in, grants, known_aws
from tests.stacks.handover.checkouts import ROLES, blocks, environment_of, terraform_of


def test_the_readme_names_each_resource_and_output(given: Path) -> None:
    readme, stack = (given / "README.md").read_text(), terraform_of(given)

    rows = dict(re.findall(r"^\| `([\w.]+\.[\w.]+)` \| (.+) \|$", readme, re.MULTILINE))

    addresses = {f"{type_}.{id_}" for type_, ones in stack["resource"].items() for id_ in ones}
    assert rows.keys() - {path.name for path in given.iterdir()} == addresses
    assert all(f"`{name}`" in readme for name in stack["output"])


def test_the_readme_has_each_statement_with_actions_resources_and_conditions(
    given: Path, environment: Environment
) -> None:
    readme = (given / "README.md").read_text().partition("## Who may do what")[2]
    here = known_aws(environment)
    documents = terraform_of(given)["data"]["aws_iam_policy_document"]

    assert len(re.findall(r"^- ", readme, re.MULTILINE)) == sum(
        len(document["statement"]) for document in documents.values()
    )
    for name, document in documents.items():
        for statement in document["statement"]:
            reason = r": \S.+" if name in {f"{role}_access" for role in ROLES} else ""
            assert any(
                re.match(rf"- {statement['sid']}{reason}\n", text)
                and all(f"`{fill_in(one, here)}`" in text for one in everything(statement))
                for text in re.split(r"\n(?=- |\n)", readme)
            ), (name, statement)


def everything(statement: dict[str, Any]) -> Iterator[str]:
    """All actions, resources, principals and conditions of a statement."""
    yield from statement["actions"]
    yield from statement.get("resources", ())
    for condition in statement.get("condition", ()):
        yield from (condition["test"], condition["variable"], *condition["values"])
    for principal in statement.get("principals", ()):
        yield from (one for one in principal["identifiers"] if one != "*")


def test_the_readme_says_what_has_to_be_there(given: Path, environment: Environment) -> None:
    readme = (given / "README.md").read_text()
    inputs = readme.partition("## What has to be there")[2].partition("##")[0]
    others = dict.fromkeys(("converter", "tags", "catalogue", "schedule"), True)
    # Readers may be made later.
    dumped = environment.model_dump(exclude={**others, "dataset": {"readers"}})
    wanted = set(re.findall(r"arn:[\w:/-]+|subnet-\w+|sg-\w+", json.dumps(dumped)))
    wanted |= {one.bucket for one in environment.sources}
    wanted |= {environment.dataset.bucket, environment.state_location.bucket, environment.region}
    wanted |= {environment.account or "any account", "5.100 or newer, or 6, but"}
    wanted |= {environment.backend.bucket if environment.backend else "`backend.tf`"}
    if environment.catalogue.enabled and not environment.catalogue.create_database:
        wanted.add(environment.database)

    assert {one for one in wanted if one not in inputs} == set()
    assert [one for one in environment.dataset.readers if f"`{one}`" not in readme] == []


def test_the_readme_says_what_may_be_done_with_keys(made_twice: tuple[Path, Path]) -> None:
    def credentials(case: str) -> str:
        readme = (made_twice[0] / case / "README.md").read_text()
        return next(line for line in readme.splitlines() if line.startswith("- Credentials"))

    of_function = "(`kms:CreateGrant`, `kms:Decrypt`, `kms:Encrypt`)"
    of_state = "key/77777777-0000-4000-8000-000000000000` (`kms:Decrypt`, `kms:Encrypt`, `kms:Gen"
    assert "kms:" not in credentials("minimal")
    assert credentials("everything").endswith(f"the key of the function {of_function}")
    assert of_function in credentials("china")
    assert of_state in credentials("china")


@pytest.mark.parametrize(
    ("name", "unit", "columns"),
    [
        ("minimal", "account, region and day", ""),
        ("story-dt", "day", "; account and region in columns"),
    ],
)
def test_the_readme_says_what_a_unit_is(
    made_twice: tuple[Path, Path], name: str, unit: str, columns: str
) -> None:
    readme = (made_twice[0] / name / "README.md").read_text().replace("\n", " ")
    layout = environment_of(name).settings.partition_layout

    assert f"one folder for each {unit}, every record" in readme
    assert f"each unit (one {unit}) has a line" in readme
    assert f"| has the folders | `{layout}`{columns} |" in readme


def test_the_readme_holds_nothing_unfinished(given: Path, case: str) -> None:
    readme = (given / "README.md").read_text()

    assert not re.search(r"None|TOKEN|TfToken|\{\}|\n\n\n| \n|  +\|", readme)
    assert ("ACCOUNT_ID" in readme) == (case == "minimal")


def test_the_readme_has_a_line_for_what_is_switched_on_and_none_for_what_is_not(
    made_twice: tuple[Path, Path],
) -> None:
    full, least = (
        (made_twice[0] / case / "README.md").read_text() for case in ("everything", "minimal")
    )

    for text in ("send-message ", "start-message-move-task", "terraform state rm", "VPC: "):
        assert text in full
        assert text not in least
    assert "is set to" in full
    assert "is set to" not in least
    assert "nobody is told" in least
    assert "nobody is told" not in full


def test_the_readme_has_the_statements_that_owners_elsewhere_add(
    made_twice: tuple[Path, Path],
) -> None:
    folder, environment = made_twice[0] / "other-account", environment_of("other-account")

    statements = map(json.loads, blocks((folder / "README.md").read_text(), "json"))

    wanted = grants(terraform_of(folder), environment)
    assert list(statements) == [grant.statements for grant in wanted]


STUB = """\
#!{python}
import json, sys
with open({log!r}, "a") as log:
    print(json.dumps(sys.argv), file=log)
sys.stdin.read()  # or what is before it in a pipe may fail
print("OUTPUT-" + sys.argv[-1])
"""


def run(script: str, folder: Path) -> list[list[str]]:
    """Run shell commands where programs only note how they are called."""
    folder.mkdir()
    log = folder / "log"
    log.touch()
    for name in ("aws", "terraform", "jq", "cat"):
        stub = folder / name
        stub.write_text(STUB.format(python=sys.executable, log=str(log)))
        stub.chmod(0o755)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        check=True,
        capture_output=True,
    )
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return [[Path(name).name, *arguments] for name, *arguments in calls]


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def test_the_commands_of_the_readme_send_events_that_the_function_accepts(
    given: Path, environment: Environment, tmp_path: Path
) -> None:
    stack = terraform_of(given)
    scripts = blocks((given / "README.md").read_text(), "sh")
    calls = [
        call
        for number, script in enumerate(scripts)
        for call in run(script, tmp_path / str(number))
    ]
    outputs = {call[3] for call in calls if call[:3] == ["terraform", "output", "-raw"]}
    assert outputs <= stack["output"].keys()
    assert {"function_name", "event_bus", "failures_url"} <= outputs

    sent = []
    for call in calls:
        match call[:3]:
            case ["aws", "lambda", "invoke"]:
                assert option(call, "--function-name") == "OUTPUT-function_name"
                payload = option(call, "--payload")
                sent += [] if payload == "file://event.json" else [parse_text(payload)]
            case ["aws", "sqs", "send-message"]:
                assert option(call, "--queue-url") == "OUTPUT-backfill_url"
                sent.append(parse_text(option(call, "--message-body")))
            case ["aws", "events", "put-events"]:
                (entry,) = json.loads(option(call, "--entries"))
                assert entry["EventBusName"] == "OUTPUT-event_bus"
                sent.append(parse_text(entry["Detail"]))
                picked = stack["resource"]["aws_cloudwatch_event_rule"]["fan_out_rule"]
                pattern = json.loads(picked["event_pattern"])
                assert [entry["Source"]] == pattern["source"]
                assert [entry["DetailType"]] == pattern["detail-type"]
    kinds = [type(event) for event in sent]
    assert kinds.count(DailyEvent) == 1
    assert kinds.count(PlanEvent) == 2 + environment.backfill_queue.enabled


def test_what_waits_in_the_queue_for_failures_is_turned_into_its_event(
    given: Path, tmp_path: Path
) -> None:
    """As Lambda, EventBridge and Scheduler put it there."""
    program = shutil.which("jq")
    if not program:
        pytest.skip("README NOT RUN: no jq")
    (script,) = [one for one in blocks((given / "README.md").read_text(), "sh") if "jq" in one]
    line = next(line for line in script.splitlines() if line.startswith("jq"))
    event = {"kind": "daily", "days_back": 1}
    bodies = (
        {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event},
        {"detail-type": "cloudtrail-parquet convert", "detail": event},
        event,
    )
    for body in bodies:
        message = {"Messages": [{"Body": json.dumps(body), "ReceiptHandle": "x"}]}
        (tmp_path / "message.json").write_text(json.dumps(message))

        subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True)

        assert parse(json.loads((tmp_path / "event.json").read_text())) == DailyEvent()


def test_buckets_that_were_made_can_be_kept(made_twice: tuple[Path, Path]) -> None:
    folder = made_twice[0] / "everything"
    (script,) = [
        one for one in blocks((folder / "README.md").read_text(), "sh") if " state rm" in one
    ]
    resources = terraform_of(folder)["resource"]

    assert set(shlex.split(script.replace("\\\n", ""))[3:]) == {
        f"{type_}.{id_}"
        for type_, ones in resources.items()
        if type_.startswith("aws_s3")
        for id_ in ones
    }
