"""The app that turns environments into folders with Terraform."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloudtrail_parquet.errors import MistakesError
from stacks.cdk import App
from stacks.environment.fields import Environment
from stacks.iam.size import oversized_policies
from stacks.stack import ConverterStack


@dataclass(frozen=True)
class Synthesised:
    """The Terraform of one environment.

    Attributes:
        folder: Holds ``cdk.tf.json`` and the package.
        stack: The stack that it was synthesised from.
    """

    folder: Path
    stack: ConverterStack


def synthesise(
    environments: Mapping[str, Environment], packages: Mapping[str, Path], out: Path
) -> dict[str, Synthesised]:
    """Write the Terraform of environments, by their names.

    Args:
        environments: The environments by name.
        packages: The zip of each environment.
        out: Receives a folder for each of them.

    Raises:
        UsageError: AWS would refuse some of it; nothing is written.
    """
    out.mkdir(parents=True, exist_ok=True)
    app = App(outdir=str(out))
    stacks = {
        name: ConverterStack(app, name, environment, packages[name].name)
        for name, environment in environments.items()
    }
    problems = [
        f"{name}: {problem}"
        for name, stack in stacks.items()
        for problem in oversized_policies(stack.to_terraform(), environments[name])
    ]
    if problems:
        hint = 'docs/deploy.md, "Permissions", says what is merged'
        raise MistakesError.of(problems, "environments", hint)
    app.synth()
    folders = {name: out / "stacks" / name for name in stacks}
    for name, folder in folders.items():
        shutil.copyfile(packages[name], folder / packages[name].name)
    return {name: Synthesised(folders[name], stack) for name, stack in stacks.items()}
