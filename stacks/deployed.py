"""Commands about the backfills of an environment that is applied.

    python -m stacks.deployed prod start --from 2026-01-01 --to 2026-01-31

runs ``cloudtrail-parquet backfill`` with the queues, the locations and the settings that the
outputs of Terraform name; `make backfill`, `status`, `cancel` and `redrive` are these commands.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cloudtrail_parquet.contract import PREFIX, Variable
from cloudtrail_parquet.errors import UsageError

STACKS = Path("cdktf.out/stacks")
_PLACES = (Variable.SOURCE, Variable.DATASET, Variable.STATE)

Outputs = Mapping[str, Any]
"""The values of Terraform's outputs, by name."""


def main() -> NoReturn:
    """Become the command that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m stacks.deployed")
    parser.add_argument("environment", help="name of the environment")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the command")
    asked = parser.parse_args()
    try:
        outputs = read_outputs(asked.environment, os.environ.get("TERRAFORM") or "terraform")
        arguments, settings = command_of(outputs, asked.environment, asked.command, asked.options)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    others = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    python = [sys.executable, "-m", "cloudtrail_parquet.cli", *arguments]
    os.execve(sys.executable, python, {**others, **settings})  # noqa: S606 - our own command


def read_outputs(name: str, terraform: str) -> Outputs:
    """The outputs of an environment.

    Raises:
        UsageError: It is not synthesised here, not initialised or not applied.
    """
    folder = STACKS / name
    if not folder.is_dir():
        raise UsageError("is not synthesised here", str(folder), f"Run make plan ENV={name} first")
    try:
        done = subprocess.run(  # noqa: S603 - as the user names it
            [terraform, f"-chdir={folder}", "output", "-json"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        what, hint = f"cannot be run ({error.strerror})", "Install Terraform, or set TERRAFORM"
        raise UsageError(what, terraform, hint) from error
    if done.returncode:
        what = f"terraform output failed ({' '.join(done.stderr.split())})"
        raise UsageError(what, str(folder), f"Run make plan ENV={name} first")
    outputs = {output: found["value"] for output, found in json.loads(done.stdout).items()}
    if "variables" not in outputs:
        hint = "Apply it, with this version: terraform apply"
        raise UsageError("has no outputs, or those of an older version", str(folder), hint)
    return outputs


def command_of(
    outputs: Outputs, name: str, command: str, options: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The arguments of ``cloudtrail-parquet``, and its environment variables.

    Raises:
        UsageError: The environment has no queue for backfills.
    """
    if "backfill_url" not in outputs and command != "redrive":
        where, hint = f"environments/{name}.toml", "Set backfill_queue.enabled = true, and apply"
        raise UsageError("there is no queue for backfills", where, hint)
    variables = {key: str(value) for key, value in outputs["variables"].items()}
    settings = {key: value for key, value in variables.items() if key not in _PLACES}
    places = [variables[key] for key in _PLACES]
    return ["backfill", command, *_COMMANDS[command](places, outputs), *options], settings


def _start(places: list[str], outputs: Outputs) -> list[str]:
    source, dataset, state = places
    return [source, dataset, "--state", state, "--queue", outputs["backfill_url"]]


def _rewrite(places: list[str], outputs: Outputs) -> list[str]:
    return [*_of_record(places, outputs), "--queue", outputs["backfill_url"]]


def _of_record(places: list[str], _: Outputs) -> list[str]:
    dataset, state = places[1:]
    return [dataset, "--state", state]


def _redrive(_: list[str], outputs: Outputs) -> list[str]:
    found = ["--failures", outputs["failures_url"], "--bus", outputs["event_bus"]]
    found += ["--log", f"/aws/lambda/{outputs['function_name']}"]
    if "backfill_url" in outputs:
        found += ["--queue", outputs["backfill_url"]]
    return found


_COMMANDS: dict[str, Callable[[list[str], Outputs], list[str]]] = {
    "start": _start,
    "rewrite": _rewrite,
    "status": _of_record,
    "cancel": _of_record,
    "redrive": _redrive,
}

if __name__ == "__main__":
    main()
