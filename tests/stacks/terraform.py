"""Terraform with the real provider, in a copy of a synthesised folder, against a moto account."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.account import CREDENTIALS, Account

PLUGINS = "TF_PLUGIN_DIR"
"""The variable that names a folder with the provider, as ``terraform init -plugin-dir`` has it."""

State = dict[str, dict[str, Any]]
"""The attributes of resources by their addresses."""

_TIMEOUT_S = 240
"""The provider waits much longer for what moto never answers as AWS does."""

_OVERRIDE = {
    "terraform": {"backend": {"local": {"path": "terraform.tfstate"}}},
    "provider": {"aws": {"s3_use_path_style": True}},  # no name server knows bucket.127.0.0.1
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


def region_of(synthesised: Path) -> str:
    """Where a synthesised stack goes."""
    stack = json.loads((synthesised / "cdk.tf.json").read_bytes())
    region: str = stack["provider"]["aws"][0]["region"]
    return region


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
        (self.folder / name).write_text(json.dumps(what))

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
        if command != "show":
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

    def apply(self) -> None:
        """Plan, and apply that plan."""
        self("plan", "-input=false", "-out=planned")
        self("apply", "-input=false", "planned")

    def changes(self) -> str:
        """What another plan would change; empty if nothing."""
        again = self.run("plan", "-input=false", "-detailed-exitcode", name="second plan")
        assert again.returncode in {0, 2}, again.stderr
        return again.stdout[again.stdout.find("Terraform will") :] if again.returncode else ""

    def destroy(self) -> None:
        """Take all of it away again."""
        self("destroy", "-input=false", "-auto-approve")

    def state(self) -> State:
        """What was applied, without what was only looked up."""
        values = json.loads(self("show", "-json")).get("values", {})
        resources = values.get("root_module", {}).get("resources", [])
        return {one["address"]: one["values"] for one in resources if one["mode"] == "managed"}
