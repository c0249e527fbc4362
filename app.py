"""The Terraform of every environment: ``python app.py`` writes a stack for each file.

It takes about half a minute, most of it for loading the AWS bindings.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from bundle.errors import BuildError
from bundle.package import build
from bundle.wheels import Target
from cloudtrail_parquet.errors import UsageError, of_system
from stacks.environment.fields import Environment
from stacks.environment.load import load_all

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"


def main() -> int:
    """Write what the command line asks for."""
    arguments = _arguments()
    try:
        environments = load_all(arguments.environments, arguments.environment)
        packages = _packages(environments, arguments.package)
    except (UsageError, BuildError, OSError) as error:
        return _refused(error)
    # Imported only when everything else is known to be right, since it takes most of the time.
    from stacks.handover.folder import hand_over  # noqa: PLC0415
    from stacks.synth import synthesise  # noqa: PLC0415

    try:
        for name, made in synthesise(environments, packages, arguments.out).items():
            folder = made.folder
            if arguments.handover:
                words, out = made.stack.statements, DIST / name
                folder = hand_over(folder, environments[name], packages[name], words, out)
            sys.stdout.write(f"{os.path.relpath(folder)}\n")
    except (UsageError, OSError) as error:
        return _refused(error)
    return 0


def _refused(error: Exception) -> int:
    if isinstance(error, OSError):
        error = of_system("used", error.filename or "the system", error)
    sys.stderr.write(f"error: {error}\n")
    return 2


def _packages(environments: Mapping[str, Environment], package: Path | None) -> dict[str, Path]:
    """The zip of each environment: the given one, or one built for each kind of function."""
    functions = {name: environment.function for name, environment in environments.items()}
    targets = {
        name: Target(function.architecture, function.runtime)
        for name, function in functions.items()
    }
    built = {
        target: package or build(target, DIST / target.runtime) for target in set(targets.values())
    }
    return {name: built[target] for name, target in targets.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python app.py", description=__doc__)
    parser.add_argument("--environment", metavar="NAME", help="only this environment")
    parser.add_argument("--handover", action="store_true", help="write dist/NAME, to give away")
    parser.add_argument("--package", type=Path, metavar="ZIP", help="use this; by default built")
    folder = ROOT / "environments"
    parser.add_argument("--environments", type=Path, default=folder, metavar="FOLDER")
    out = os.environ.get("CDKTF_OUTDIR", "cdktf.out")  # the toolkit's command line sets it
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
