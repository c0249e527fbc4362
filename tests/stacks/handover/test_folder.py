"""What another team gets: complete, the same wherever it is made, enough with Terraform alone."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from cloudtrail_parquet.errors import UsageError
from stacks.environment.fields import Environment
from stacks.handover import folder
from stacks.handover.folder import hand_over
from stacks.iam.statements import Statement
from stacks.versions import PROVIDER_VERSIONS
from tests.stacks.account import CREDENTIALS, Account
from tests.stacks.conftest import ENVIRONMENTS
from tests.stacks.handover.checkouts import (
    PACKAGE,
    ROLES,
    checkout,
    environment_of,
    package,
    terraform_of,
)
from tests.stacks.terraform import plugins, region_of


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
    made = synthesised / case
    words = words_of(terraform_of(made))
    return hand_over(made, environment_of(case), zipped, words, out)


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
        *("README.md", "SHA256SUMS", "cdk.tf.json", PACKAGE, f"{PACKAGE}.sha256", bill)
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

    source = {"source": "hashicorp/aws", "version": PROVIDER_VERSIONS}
    assert terraform["required_providers"] == {"aws": source}
    wanted = {"s3"} if environment.backend else set()
    assert terraform.get("backend", {}).keys() == wanted


def test_what_is_listed_is_what_was_written(given: Path) -> None:
    sums = (given / "SHA256SUMS").read_text()

    assert sums == "".join(
        f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(given.iterdir())
        if path.name != "SHA256SUMS"
    )


OTHERS = {
    ".terraform.lock.hcl": "theirs",
    "backend.tf": "theirs",
    "notes.zip": "theirs",
    "terraform.tfstate": "applied here",
}


@pytest.mark.parametrize("name", ["prod", "before", "SHA256SUMS"])
def test_a_hand_over_replaces_what_one_wrote_and_keeps_all_else(
    synthesised: Path, tmp_path: Path, name: str
) -> None:
    out, old = tmp_path / "dist" / name, tmp_path / "old.zip"
    package(tmp_path).rename(old)
    hand_over_again(synthesised, out, old)
    (out / ".terraform").mkdir()
    (out / ".terraform/provider").write_text("theirs")
    for file, text in OTHERS.items():
        (out / file).write_text(text)
    (out / "README.md").write_text("changed")

    hand_over_again(synthesised, out, package(tmp_path))

    fresh = hand_over_again(synthesised, tmp_path / "fresh" / name, package(tmp_path))
    written = {path.name: path.read_bytes() for path in fresh.iterdir()}
    found = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert found == written | {file: text.encode() for file, text in OTHERS.items()}
    assert (out / ".terraform/provider").read_text() == "theirs"
    assert [path.name for path in out.parent.iterdir()] == [name]


def test_what_somebody_has_changed_is_no_longer_removed(synthesised: Path, tmp_path: Path) -> None:
    out, old = tmp_path / "prod", tmp_path / "old.zip"
    package(tmp_path).rename(old)
    hand_over_again(synthesised, out, old)
    (out / old.name).write_bytes(b"built by them")

    hand_over_again(synthesised, out, package(tmp_path))

    assert (out / old.name).read_bytes() == b"built by them"
    assert not (out / f"{old.name}.sha256").exists()


def test_a_list_that_names_other_folders_removes_nothing_there(
    synthesised: Path, tmp_path: Path
) -> None:
    out, beside = tmp_path / "dist/prod", tmp_path / "dist/beside"
    hand_over_again(synthesised, out, package(tmp_path))
    beside.write_bytes(b"theirs")
    digest = sha256(b"theirs").hexdigest()
    names = ("../beside", "..", ".", "", str(beside), ".terraform")
    (out / ".terraform").mkdir()
    with (out / "SHA256SUMS").open("a") as listed:
        listed.write("".join(f"{digest}  {name}\n" for name in names) + "x\n\xff")

    hand_over_again(synthesised, out, package(tmp_path))

    assert beside.read_bytes() == b"theirs"
    assert (out / ".terraform").is_dir()


@pytest.mark.parametrize(
    "names", [("README.md",), ("README.md", "cdk.tf.json"), ("SHA256SUMS",), (f"{PACKAGE}.sha256",)]
)
def test_files_that_no_hand_over_wrote_are_not_replaced(
    synthesised: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    out = tmp_path / "prod"
    out.mkdir()
    (out / "notes").write_text("theirs")
    listed = f"{sha256(b'theirs').hexdigest()}  notes\n"
    for name in names:
        (out / name).write_text(listed)

    with pytest.raises(UsageError) as caught:
        hand_over_again(synthesised, out, package(tmp_path))

    assert str(caught.value) == (
        f"{out}: has files that no hand-over has listed, and this one would replace:"
        f" {', '.join(names)}. Move or rename them"
    )
    assert {path.name for path in out.iterdir()} == {"notes", *names}
    assert {(out / name).read_text() for name in names} == {listed}


def test_what_a_hand_over_would_write_anyway_may_be_there_without_its_list(
    synthesised: Path, tmp_path: Path
) -> None:
    out = tmp_path / "prod"
    hand_over_again(synthesised, out, package(tmp_path))
    (out / "SHA256SUMS").unlink()

    hand_over_again(synthesised, out, package(tmp_path))

    assert (out / "SHA256SUMS").is_file()


def test_a_file_in_place_of_the_folder_is_kept(synthesised: Path, tmp_path: Path) -> None:
    out = tmp_path / "prod"
    out.write_text("theirs")

    with pytest.raises(UsageError, match=r"prod: is a file, and a hand-over is a folder\. Move"):
        hand_over_again(synthesised, out, package(tmp_path))

    assert out.read_text() == "theirs"


def test_an_interrupted_hand_over_leaves_nothing_that_the_next_one_does_not_know(
    synthesised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file that it writes: what was written before and since is removed by the next."""
    old, new = tmp_path / "old.zip", package(tmp_path)
    old.write_bytes(new.read_bytes())
    write = folder._write  # noqa: SLF001
    fresh = hand_over_again(synthesised, tmp_path / "fresh/prod", old)
    written = {path.name: path.read_bytes() for path in fresh.iterdir()}
    for stop in range(1, 7):
        out, count = tmp_path / str(stop) / "prod", itertools.count()
        hand_over_again(synthesised, out, old)

        def stops(path: Path, content: bytes, counted: Any = count, at: int = stop) -> None:  # noqa: ANN401
            if next(counted) == at:
                raise KeyboardInterrupt
            write(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(folder, "_write", stops)
            with pytest.raises(KeyboardInterrupt):
                hand_over_again(synthesised, out, new)

        hand_over_again(synthesised, out, old)

        assert {path.name: path.read_bytes() for path in out.iterdir()} == written


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    copy = checkout(tmp_path / "copy")
    (copy / "dist").write_text("a file")

    done = subprocess.run(
        [
            *(sys.executable, "app.py", "--handover", "--package", PACKAGE),
            *("--environments", str(ENVIRONMENTS), "--environment", "minimal"),
        ],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "lambda_src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_bill_of_materials_of_another_package_is_left_out(
    synthesised: Path, tmp_path: Path
) -> None:
    zipped = package(tmp_path)
    zipped.write_bytes(b"another build")

    out = hand_over_again(synthesised, tmp_path / "dist/prod", zipped)

    assert not list(out.glob("*.bom.json"))
    assert ".bom.json" not in (out / "README.md").read_text()


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
