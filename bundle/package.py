"""Build the zip that runs as the Lambda function: ``make package``.

From the same checkout and lock, the same bytes: see docs/package.md.
"""

import argparse
import json
import os
import runpy
import sys
import tomllib
import zlib
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

from bundle.bom import bill_of_materials
from bundle.elf import check_libraries
from bundle.errors import BuildError
from bundle.prune import prune
from bundle.wheels import MACHINES, Target, Wheel, fetch
from bundle.zipped import contents_digest, write_zip

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "lambda_src"
RUNTIMES = ("python3.12", "python3.13", "python3.14")  # on Amazon Linux 2023
MB = 1_000_000
MAX_MB = 50  # Lambda's limit of a direct upload
MAX_UNPACKED_MB = 200  # Lambda's is 250 with all layers: room for a user's own


def build(target: Target, out: Path) -> Path:
    """Make the zip, its digest and its bill of materials.

    Returns:
        The path of the zip.

    Raises:
        BuildError: Nothing was made, and the files of an earlier build are untouched.
    """
    project = read_project(ROOT)
    wheels = fetch(ROOT / "requirements/runtime.txt", target, ROOT / ".cache/wheels")
    files = collect(wheels)
    check_libraries(files, target.architecture)
    name = f"{project['name']}-{project['version']}-{target.architecture}"
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out, prefix=".") as fresh:
        made = Path(fresh) / f"{name}.zip"
        write_zip(made, files)
        check_sizes(made)
        digest = sha256(made.read_bytes()).hexdigest()
        properties = {
            "architecture": target.architecture,
            "runtime": target.runtime,
            "contents-sha256": contents_digest(files),
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
        }
        bom = bill_of_materials(project, digest, properties, wheels)
        (Path(fresh) / f"{name}.bom.json").write_text(json.dumps(bom, indent=2) + "\n")
        (Path(fresh) / f"{name}.zip.sha256").write_text(f"{digest}  {name}.zip\n")
        for file in sorted(Path(fresh).iterdir()):
            file.replace(out / file.name)
    return out / made.name


def read_project(checkout: Path) -> dict[str, Any]:
    """What the checkout says about itself: name, license and so on, and its version."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    names = runpy.run_path(str(checkout / "lambda_src/cloudtrail_parquet/version.py"))
    return {**project, "version": names["__version__"]}


def collect(wheels: list[Wheel]) -> dict[str, bytes]:
    """The files of the package by their paths, without those it does not need."""
    members = {
        path.relative_to(SOURCE).as_posix(): path.read_bytes for path in SOURCE.rglob("*.py")
    }
    members["licenses/cloudtrail-parquet/LICENSE"] = (ROOT / "LICENSE").read_bytes
    for wheel in wheels:
        members.update(wheel.members())
    return {path: members[path]() for path in prune(members)}


def check_sizes(
    zipped: Path, max_mb: float = MAX_MB, max_unpacked_mb: float = MAX_UNPACKED_MB
) -> str:
    """Make sure that Lambda accepts the size of the package.

    Returns:
        Its sizes, in words.

    Raises:
        BuildError: It is too large; the largest files are named.
    """
    with ZipFile(zipped) as archive:
        members = sorted(archive.infolist(), key=lambda member: -member.file_size)
    mb, unpacked_mb = zipped.stat().st_size / MB, sum(file.file_size for file in members) / MB
    if mb > max_mb or unpacked_mb > max_unpacked_mb:
        largest = [f"{file.file_size / MB:8.1f} MB  {file.filename}" for file in members[:10]]
        limits = f"at most {max_mb} MB zipped and {max_unpacked_mb} MB unpacked are allowed"
        raise BuildError(
            "\n".join([f"{mb:.1f} and {unpacked_mb:.1f} MB, where {limits}. Largest:", *largest]),
            zipped.name,
            "\nLeave something out in bundle/prune.py",
        )
    return f"{mb:.1f} MB zipped, {unpacked_mb:.1f} MB unpacked, {len(members)} files"


def main() -> int:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bundle.package", description=__doc__)
    parser.add_argument("--architecture", choices=MACHINES, default="arm64")
    parser.add_argument("--runtime", choices=RUNTIMES, default="python3.13")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="a folder (%(default)s)")
    asked = parser.parse_args()
    try:
        made = build(Target(asked.architecture, asked.runtime), asked.out)
    except (BuildError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{os.path.relpath(made)}  {check_sizes(made)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
