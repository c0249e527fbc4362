"""Terraform with the real provider, in a copy of a synthesised folder, against a moto account."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from stacks.versions import PROVIDER
from tests.stacks.account import CREDENTIALS, Account

PLUGINS = "TF_PLUGIN_DIR"
"""The variable that names a folder with the provider, as ``terraform init -plugin-dir`` has it."""

State = dict[str, dict[str, Any]]
"""The attributes of resources by their addresses."""

_TIMEOUT_S = 240
"""The provider waits much longer for what moto never answers as AWS does."""

_HERE = {"s3_use_path_style": True}  # no name server knows bucket.127.0.0.1
_OVERRIDE = {
    "terraform": {"backend": {"local": {"path": "terraform.tfstate"}}},
    "provider": {"aws": _HERE},
}
"""What a stack has otherwise here; Terraform merges it into the blocks of the stack."""


def plugins() -> Path:
    """The folder of the provider; skips the test if Terraform cannot run."""
    if not shutil.which("terraform"):
        pytest.skip("STACKS NOT APPLIED: no terraform on PATH")
    folder = os.environ.get(PLUGINS)
    if not folder:
        pytest.skip(f"STACKS NOT APPLIED: {PLUGINS} names no folder with the provider")
    return Path(folder).resolve()


def only_major(folder: Path, major: int) -> str:
    """Versions of the provider for `together`; skips the test if the folder has none of them."""
    names = (path.name for path in folder.glob("*/hashicorp/aws/*"))  # unpacked, or zipped
    if not any(re.match(rf"(terraform-provider-aws_)?{major}\.", name) for name in names):
        pytest.skip(f"STACKS NOT APPLIED WITH VERSION {major}: {folder} has none of the provider")
    return f"~> {major}.0"


def region_of(synthesised: Path) -> str:
    """Where a synthesised stack goes."""
    stack = json.loads((synthesised / "cdk.tf.json").read_bytes())
    region: str = stack["provider"]["aws"][0]["region"]
    return region


def together(synthesised: Iterable[Path], folder: Path, versions: str) -> Path:
    """Make a folder with synthesised stacks as modules, each with its name and its provider.

    ``versions`` are those of the provider of which the newest that the stacks take is used.

    A command for all costs little more than one for each: most of it goes into reading what the
    provider knows, whatever there is to do.
    """
    modules = {}
    for one in synthesised:
        shutil.copytree(one, folder / one.name)
        stack = json.loads((one / "cdk.tf.json").read_bytes())
        del stack["terraform"]["backend"]  # only the folder above has one
        stack["provider"]["aws"][0] |= _HERE
        _write(folder / one.name / "cdk.tf.json", stack)
        modules[one.name] = {"source": f"./{one.name}"}
    providers = {"aws": {"source": PROVIDER, "version": versions}}
    terraform = {"required_providers": providers}
    _write(folder / "main.tf.json", {"module": modules, "terraform": terraform})
    return folder


def _write(path: Path, what: object) -> None:
    path.write_text(json.dumps(what))


class Terraform:
    """Terraform in one folder.

    Attributes:
        folder: With a copy of what was synthesised.
        seconds: How long each command took, by its name.
    """

    def __init__(self, synthesised: Path, folder: Path, account: Account, plugins: Path) -> None:
        """Copy the synthesised folder and get ready; the provider is linked, not copied."""
        self.folder = folder
        self.seconds: dict[str, float] = {}
        # Nothing of this machine's: no credentials, no certificates, no settings of Terraform's.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "TF_"))
        }
        self._environment = {
            **kept,
            **CREDENTIALS,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": account.url,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
        }
        shutil.copytree(synthesised, folder)
        self.write("override.tf.json", _OVERRIDE)
        self("init", f"-plugin-dir={plugins}", "-input=false")

    def write(self, name: str, what: object) -> None:
        """Put a JSON file into the folder."""
        _write(self.folder / name, what)

    def __call__(self, command: str, *options: str, name: str = "") -> str:
        """Run a command that has to succeed; what it wrote to standard output."""
        done = self.run(command, *options, name=name)
        assert not done.returncode, f"terraform {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(
        self, command: str, *options: str, name: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command; ``name`` is that of its time."""
        words = ["terraform", command, *options]
        if command != "state":
            words.append("-no-color")
        begun = time.monotonic()
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words,
            cwd=self.folder,
            env=self._environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            process_group=0,
        ) as process:
            try:
                out, errors = process.communicate(timeout=_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGTERM)  # the provider, too
                out, errors = process.communicate()
        self.seconds[name or command] = round(time.monotonic() - begun, 1)
        return subprocess.CompletedProcess(words, process.returncode, out, errors)

    @property
    def provider(self) -> str:
        """The version of the provider."""
        lock = (self.folder / ".terraform.lock.hcl").read_text()
        (version,) = re.findall(r'^ +version += "(.+)"$', lock, re.MULTILINE)
        return str(version)

    def apply(self) -> str:
        """Plan, and apply that plan; what it says."""
        return self("apply", "-input=false", "-auto-approve")

    def changes(self) -> str:
        """What another plan would change; empty if nothing."""
        again = self.run("plan", "-input=false", "-detailed-exitcode", name="second plan")
        assert again.returncode in {0, 2}, again.stderr
        return again.stdout[again.stdout.find("Terraform will") :] if again.returncode else ""

    def destroy(self) -> None:
        """Take all of it away again, of which `changes` has found that it is as the state says."""
        self("destroy", "-input=false", "-auto-approve", "-refresh=false")

    def state(self) -> State:
        """What was applied, without what was only looked up.

        From the state itself: ``terraform show`` would start the provider to say the same.
        """
        read = json.loads(self("state", "pull"))
        found: State = {}
        for one in read["resources"]:
            if one["mode"] == "managed":
                (instance,) = one["instances"]
                module = f"{one['module']}." if "module" in one else ""
                found[f"{module}{one['type']}.{one['name']}"] = instance["attributes"]
        return found
