"""What another team gets: complete, the same wherever it is made, enough with Terraform alone."""

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from cloudtrail_parquet.function.events import Convert, Daily, Plan, parse, parse_text
from stacks.environment.fields import Environment
from stacks.environment.load import load
from stacks.handover.folder import hand_over
from stacks.iam.cross_account import fill_in, grants, key_grants, known_aws
from stacks.iam.statements import Statement
from tests.stacks.account import CREDENTIALS, Account
from tests.stacks.conftest import ENVIRONMENTS, ROOT
from tests.stacks.terraform import plugins, region_of

PACKAGE = "trails-1.0-arm64.zip"
SOURCES = ("bundle", "lambda_src", "stacks")
ROLES = ("converter_role", "schedule_role")


def checkout(folder: Path) -> Path:
    """A copy of what makes hand-overs, with a package."""
    folder.mkdir(parents=True)
    shutil.copy2(ROOT / "app.py", folder)
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    package(folder)
    return folder


def package(folder: Path) -> Path:
    """A zip without anything in it, and its bill of materials."""
    zipped = folder / PACKAGE
    with ZipFile(zipped, "w"):
        pass
    digest = sha256(zipped.read_bytes()).hexdigest()
    zipped.with_suffix(".bom.json").write_text(json.dumps({"digest": digest}))
    return zipped


@pytest.fixture(scope="session")
def made_twice(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, Path]:
    """The folders ``dist`` of two checkouts, whose users have other masks."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "handed over"
    folder.mkdir(exist_ok=True)
    places = folder / "one", folder / "deeper/another place"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not places[1].exists():
            running = [
                subprocess.Popen(
                    [
                        *(sys.executable, "app.py", "--handover", "--package", PACKAGE),
                        *("--environments", str(ENVIRONMENTS)),
                    ],
                    cwd=checkout(place),
                    env={**os.environ, "PYTHONPATH": str(place / "lambda_src")},
                    stderr=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    umask=umask,
                )
                for place, umask in zip(places, (0o022, 0o077), strict=True)
            ]
            for one in running:
                _, problems = one.communicate()
                assert not one.returncode, problems
    return places[0] / "dist", places[1] / "dist"


@pytest.fixture
def given(made_twice: tuple[Path, Path], case: str) -> Path:
    """The hand-over of a case."""
    return made_twice[0] / case


@pytest.fixture
def environment(case: str) -> Environment:
    return environment_of(case)


def environment_of(case: str, **other: object) -> Environment:
    (one,) = load(ENVIRONMENTS / f"{case}.toml").values()
    return one.model_copy(update=other)


def terraform_of(folder: Path) -> Any:  # noqa: ANN401 - JSON
    return json.loads((folder / "cdk.tf.json").read_bytes())


def words_of(stack: dict[str, Any]) -> dict[str, list[Statement]]:
    """Statements of the roles with some reason."""
    documents = stack["data"]["aws_iam_policy_document"]
    return {
        role: [
            Statement(sid=one["sid"], why=f"the reason of {one['sid']}", actions=())
            for one in documents[f"{role}_access"]["statement"]
        ]
        for role in ROLES
    }


def hand_over_again(synthesised: Path, out: Path, zipped: Path, case: str = "minimal") -> Path:
    folder = synthesised / case
    words = words_of(terraform_of(folder))
    return hand_over(folder, environment_of(case), zipped, words, out)


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)


# --- files ---------------------------------------------------------------------------------------


def test_two_checkouts_make_the_same_bytes_and_permissions(
    made_twice: tuple[Path, Path], case: str
) -> None:
    def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
        return {one.name: (one.stat().st_mode, one.read_bytes()) for one in folder.iterdir()}

    one, other = (dist / case for dist in made_twice)

    assert contents(one) == contents(other)
    assert one.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in one.iterdir()} == {0o644}


def test_a_hand_over_is_terraform_package_digest_bill_and_readme(given: Path) -> None:
    bill = PACKAGE.replace(".zip", ".bom.json")

    assert {path.name for path in given.iterdir()} == {
        *("README.md", "cdk.tf.json", PACKAGE, f"{PACKAGE}.sha256", bill)
    }
    digest = sha256((given / PACKAGE).read_bytes()).hexdigest()
    assert (given / f"{PACKAGE}.sha256").read_text() == f"{digest}  {PACKAGE}\n"
    assert all(f"`{path.name}`" in (given / "README.md").read_text() for path in given.iterdir()
               if path.name != "README.md")  # fmt: skip


def test_no_file_knows_where_it_was_made(made_twice: tuple[Path, Path], case: str) -> None:
    for dist in made_twice:
        for path in (dist / case).iterdir():
            content = path.read_bytes()
            assert str(dist.parent.parent).encode() not in content
            assert b"../" not in content
            assert str(Path.home()).encode() + b"/" not in content


def test_it_is_what_was_synthesised_without_notes_and_local_state(
    synthesised: Path, given: Path, case: str
) -> None:
    stack = terraform_of(synthesised / case)
    del stack["//"]
    for kind in ("data", "resource"):
        for ones in stack[kind].values():
            for block in ones.values():
                del block["//"]
    if "local" in stack["terraform"]["backend"]:
        del stack["terraform"]["backend"]
    text = json.dumps(stack).replace("package.zip", PACKAGE)

    assert terraform_of(given) == json.loads(text)


def test_provider_and_backend_are_what_the_environment_says(
    given: Path, environment: Environment
) -> None:
    terraform = terraform_of(given)["terraform"]

    source = {"source": "hashicorp/aws", "version": ">= 5.100.0, < 7.0.0"}
    assert terraform["required_providers"] == {"aws": source}
    wanted = {"s3"} if environment.backend else set()
    assert terraform.get("backend", {}).keys() == wanted


def test_what_an_earlier_hand_over_left_goes_and_a_state_stays(
    synthesised: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dist/prod"
    hand_over_again(synthesised, out, package(tmp_path))
    fresh = {path.name for path in out.iterdir()}
    (out / "cloudtrail-parquet-0.0.1.zip").write_bytes(b"old")
    (out / ".terraform").mkdir()
    (out / "terraform.tfstate").write_text("applied here")
    (out / "README.md").write_text("old")

    hand_over_again(synthesised, out, package(tmp_path))

    assert {path.name for path in out.iterdir()} == {*fresh, "terraform.tfstate"}
    assert (out / "terraform.tfstate").read_text() == "applied here"
    assert (out / "README.md").read_text() != "old"
    assert [path.name for path in out.parent.iterdir()] == ["prod"]


def test_a_bill_of_materials_of_another_package_is_left_out(
    synthesised: Path, tmp_path: Path
) -> None:
    zipped = package(tmp_path)
    zipped.write_bytes(b"another build")

    out = hand_over_again(synthesised, tmp_path / "dist/prod", zipped)

    assert not list(out.glob("*.bom.json"))
    assert ".bom.json" not in (out / "README.md").read_text()


# --- README --------------------------------------------------------------------------------------


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
    dumped = environment.model_dump(exclude={"converter", "tags", "catalogue", "schedule"})
    wanted = set(re.findall(r"arn:[\w:/-]+|subnet-\w+|sg-\w+", json.dumps(dumped)))
    wanted |= {one.bucket for one in environment.sources}
    wanted |= {environment.dataset.bucket, environment.state_location.bucket, environment.region}
    wanted |= {environment.account or "any account", ">= 5.100.0, < 7.0.0"}
    wanted |= {environment.backend.bucket if environment.backend else "`backend.tf`"}
    if environment.catalogue.enabled and not environment.catalogue.create_database:
        wanted.add(environment.catalogue.database)

    assert {one for one in wanted if one not in inputs} == set()


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


# --- its commands --------------------------------------------------------------------------------

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
    assert kinds.count(Daily) == 1
    assert kinds.count(Plan) == 2 + environment.backfill_queue.enabled


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

        assert parse(json.loads((tmp_path / "event.json").read_text())) == Daily()


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


# --- pages ---------------------------------------------------------------------------------------

DOCS = ROOT / "docs"


def test_the_pages_of_operations_and_deployment_name_events_and_outputs_that_there_are(
    made_twice: tuple[Path, Path],
) -> None:
    pages = [(DOCS / name).read_text() for name in ("deploy.md", "operations.md")]
    outputs = terraform_of(made_twice[0] / "everything")["output"].keys()

    events = [
        text for page in pages for text in re.findall(r"'(\{\"kind\".*?\})'", page, re.DOTALL)
    ]
    named = {name for page in pages for name in re.findall(r"output -raw (\w+)|out (\w+)\)", page)}

    assert [type(parse_text(event)) for event in events] == [Plan, Convert]
    assert {one or other for one, other in named} <= outputs
    assert all(f"`{name}`" in pages[1] for name in outputs)


def test_the_page_of_operations_explains_each_alarm(made_twice: tuple[Path, Path]) -> None:
    stack = terraform_of(made_twice[0] / "everything")
    name = environment_of("everything").name
    alarms = stack["resource"]["aws_cloudwatch_metric_alarm"].values()
    page = (DOCS / "operations.md").read_text().partition("## Alarms")[2].partition("\n## ")[0]

    rows = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)

    assert sorted(rows) == sorted(one["alarm_name"].removeprefix(f"{name}-") for one in alarms)


def test_the_page_of_operations_names_each_graph(made_twice: tuple[Path, Path]) -> None:
    stack = terraform_of(made_twice[0] / "everything")
    (dashboard,) = stack["resource"]["aws_cloudwatch_dashboard"].values()
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]
    page = (DOCS / "operations.md").read_text().replace("\n", " ").lower()

    titles = [one["properties"]["title"].lower() for one in widgets]

    assert [title for title in titles if title not in page] == []


# --- grants --------------------------------------------------------------------------------------

ROLE = "arn:aws:iam::123456789012:role/trails"
"""Of the environment ``other-account``."""


def test_owners_elsewhere_get_the_statements_to_add(
    synthesised: Path, made_twice: tuple[Path, Path]
) -> None:
    environment = environment_of("other-account", name="trails")
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    role = {"aws:PrincipalArn": ROLE}

    bucket, key = grants(terraform_of(synthesised / "other-account"), environment)

    assert (bucket.to, bucket.owner) == ("archive-logs", "210987654321")
    assert bucket.statements == [
        {
            "Sid": "CloudtrailParquetListSource1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::archive-logs",
            "Condition": {"StringLike": {"s3:prefix": "org/*"}, "ArnEquals": role},
        },
        {
            "Sid": "CloudtrailParquetReadSource1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::archive-logs/org/*AWSLogs/*/CloudTrail/*",
            "Condition": {"ArnEquals": role},
        },
    ]
    assert key.to == environment.sources[0].kms_keys[0]
    assert key.owner == "210987654321"
    assert key.statements == [
        {
            "Sid": "CloudtrailParquetDecryptSource1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
                "ArnEquals": role,
            },
        }
    ]
    readme = (made_twice[0] / "other-account/README.md").read_text()
    name = environment_of("other-account").name
    of_readme = [json.loads(block) for block in blocks(readme, "json")]
    ours = [json.dumps(one.statements).replace(ROLE, f"{ROLE[:-6]}{name}") for one in (bucket, key)]
    assert [json.dumps(one) for one in of_readme] == ours


def test_the_function_s_own_account_has_nothing_to_grant(synthesised: Path) -> None:
    there = environment_of("other-account")
    own = there.sources[0].model_copy(update={"account": there.account, "kms_keys": ()})
    stack = terraform_of(synthesised / "other-account")
    policy = stack["data"]["aws_iam_policy_document"]["converter_role_access"]
    policy["statement"] = [one for one in policy["statement"] if one["sid"] != "DecryptSource1"]

    assert grants(stack, there.model_copy(update={"sources": (own,)})) == []


def test_a_dataset_elsewhere_needs_grants_for_writing(synthesised: Path) -> None:
    there = environment_of("other-account")
    place = there.dataset.model_copy(update={"account": "333333333333"})
    stack = terraform_of(synthesised / "other-account")

    wanted = grants(stack, there.model_copy(update={"dataset": place, "state": None}))

    (lake,) = [one for one in wanted if one.to == "lake"]
    assert lake.owner == "333333333333"
    actions = {action for one in lake.statements for action in one["Action"]}
    assert {"s3:PutObject", "s3:DeleteObject"} <= actions


def test_a_bucket_whose_owner_is_not_said_may_be_anybody_s(synthesised: Path) -> None:
    wanted = grants(terraform_of(synthesised / "minimal"), environment_of("minimal"))

    assert [(one.to, one.owner) for one in wanted] == [("org-logs", None)]
    (principal,) = {one["Principal"]["AWS"] for one in wanted[0].statements}
    assert principal == "arn:aws:iam::ACCOUNT_ID:root"


def test_grants_are_of_the_partition(synthesised: Path) -> None:
    environment = environment_of("china")
    bucket, key = grants(terraform_of(synthesised / "china"), environment)
    log, _ = key_grants(environment)

    assert "arn:aws:" not in json.dumps([bucket, key, log])
    (decrypt,) = key.statements
    via = decrypt["Condition"]["StringEquals"]["kms:ViaService"]
    assert via == "s3.cn-northwest-1.amazonaws.com.cn"
    assert log["Principal"] == {"Service": "logs.cn-north-1.amazonaws.com.cn"}


# --- Terraform alone -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_machine_with_nothing_but_terraform_plans_it(
    made_twice: tuple[Path, Path], tmp_path: Path
) -> None:
    """No Python, no Node, no shell: PATH has one program."""
    provider = plugins()
    folder = tmp_path / "theirs"
    shutil.copytree(made_twice[0] / "minimal", folder)
    with Account(region_of(folder)) as account:
        alone = Alone(folder, tmp_path, AWS_ENDPOINT_URL=account.url, **CREDENTIALS)
        alone.run("init", f"-plugin-dir={provider}", "-input=false")

        planned = alone.run("plan", "-input=false", "-out=planned")

        shown = json.loads(alone.run("show", "-json", "planned"))
    resources = terraform_of(folder)["resource"]
    creates = [one for one in shown["resource_changes"] if one["change"]["actions"] == ["create"]]
    assert {one["address"] for one in creates if one["mode"] == "managed"} == {
        f"{type_}.{id_}" for type_, ones in resources.items() for id_ in ones
    }
    assert " 0 to change, 0 to destroy." in planned


@pytest.mark.slow
@pytest.mark.parametrize("case", ["everything", "other-account"])
def test_a_machine_with_nothing_but_terraform_finds_it_valid(given: Path, tmp_path: Path) -> None:
    provider = plugins()
    folder = tmp_path / "theirs"
    shutil.copytree(given, folder)
    alone = Alone(folder, tmp_path)
    alone.run("init", "-backend=false", f"-plugin-dir={provider}", "-input=false")

    checked = json.loads(alone.run("validate", "-json"))

    assert checked["valid"]
    assert checked["diagnostics"] == []


class Alone:
    """Terraform where there is no other program."""

    def __init__(self, folder: Path, home: Path, **variables: str) -> None:
        self._folder, programs = folder, home / "programs"
        programs.mkdir()
        terraform = shutil.which("terraform")
        assert terraform
        (programs / "terraform").symlink_to(terraform)
        self._environment = {
            "PATH": str(programs),
            "HOME": str(home),
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
        }

    def run(self, *words: str) -> str:
        done = subprocess.run(
            ["terraform", *words, *([] if "-json" in words else ["-no-color"])],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, f"{done.stdout}{done.stderr}"
        return done.stdout
