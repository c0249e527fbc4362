"""A folder that another team can plan and apply, with nothing but Terraform.

The same environment and package give the same bytes on every machine.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from cloudtrail_parquet.errors import UsageError
from stacks.environment.fields import Environment
from stacks.handover.readme import readme
from stacks.iam.statements import Statement

TERRAFORM = "cdk.tf.json"
MANIFEST = "SHA256SUMS"
_NOTES = "//"
"""The key of the toolkit's notes: its version, and names that the addresses repeat."""


def hand_over(
    folder: Path,
    environment: Environment,
    package: Path,
    statements: Mapping[str, Iterable[Statement]],
    out: Path,
) -> Path:
    """Write the Terraform, the package and a README, with a list of what was written.

    What an earlier hand-over wrote by other names, and nobody has changed since, is removed; all
    else in the folder is kept, such as a backend, a lock file, a state or ``.terraform``.

    Args:
        folder: The synthesised folder, with ``cdk.tf.json``.
        environment: The environment that it was synthesised from.
        package: The zip; a bill of materials beside it is included.
        statements: Permissions of the roles, by the names in `cross_account.ROLES`.
        out: The folder to write.

    Returns:
        The folder ``out``.

    Raises:
        UsageError: It is no folder, or has files of these names that no hand-over wrote.
        OSError: The folder cannot be written.
    """
    files = _files(folder, environment, package, statements, out.name)
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    if not out.exists():
        out.mkdir(parents=True)
        out.chmod(0o755)  # whatever this user's mask
    if not out.is_dir():
        what = "is a file, and a hand-over is a folder"
        raise UsageError(what, str(out), "Move it away, or give the environment another name")
    earlier = _listed(out / MANIFEST)
    if theirs := sorted(_not_ours(out, files, earlier)):
        what = "has files that no hand-over has listed, and this one would replace"
        raise UsageError(f"{what}: {', '.join(theirs)}", str(out), "Move or rename them")
    # Of both, until it is done: what is interrupted does not leave files that nobody removes.
    _write(out / MANIFEST, _sums(earlier | digests))
    for name, content in files.items():
        _write(out / name, content)
    for name in earlier.keys() - digests.keys():
        path = out / name
        if path.is_file() and sha256(path.read_bytes()).hexdigest() == earlier[name]:
            path.unlink()
    _write(out / MANIFEST, _sums(digests))
    return out


def _files(
    folder: Path,
    environment: Environment,
    package: Path,
    statements: Mapping[str, Iterable[Statement]],
    name: str,
) -> dict[str, bytes]:
    """The contents of a hand-over, by the names of files, but for the list of them."""
    stack = _to_give_away(json.loads((folder / TERRAFORM).read_bytes()), environment)
    zipped = package.read_bytes()
    digest = sha256(zipped).hexdigest()
    files = {
        TERRAFORM: (json.dumps(stack, indent=2, sort_keys=True) + "\n").encode(),
        package.name: zipped,
        f"{package.name}.sha256": f"{digest}  {package.name}\n".encode(),
        **_bill_of_materials(package, digest),
    }
    reasons = {
        role: {statement.sid: statement.why for statement in of_role}
        for role, of_role in statements.items()
    }
    sizes = {file: len(content) for file, content in files.items()}
    files["README.md"] = readme(stack, environment, reasons, name, sizes).encode()
    return files


def _not_ours(out: Path, files: Mapping[str, bytes], earlier: Mapping[str, str]) -> Iterator[str]:
    """The names of a hand-over that something else in the folder has."""
    if (out / MANIFEST).exists() and TERRAFORM not in earlier:
        yield MANIFEST  # a list of other files
    for name in files.keys() - earlier.keys():
        path = out / name
        same = path.is_file() and path.read_bytes() == files[name]
        if path.exists() and not same:
            yield name


def _listed(manifest: Path) -> dict[str, str]:
    """The digests of what an earlier hand-over wrote, by the names of files in its folder."""
    if not manifest.is_file():
        return {}
    lines = (line.partition("  ") for line in manifest.read_text(errors="replace").splitlines())
    return {name: digest for digest, _, name in lines if name and name == Path(name).name}


def _sums(digests: Mapping[str, str]) -> bytes:
    """Digests in the form that ``sha256sum`` checks."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()


def _write(path: Path, content: bytes) -> None:
    """Replace a file by another one at once, with permissions that do not depend on the user."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(0o644)
    fresh.replace(path)


def _to_give_away(stack: dict[str, Any], environment: Environment) -> dict[str, Any]:
    """The Terraform without what concerns only this checkout or the toolkit."""
    if environment.backend is None:
        del stack["terraform"]["backend"]  # a path from the folder of this checkout
    del stack[_NOTES]
    for kind in ("data", "resource"):
        for blocks in stack[kind].values():
            for block in blocks.values():
                block.pop(_NOTES, None)
    return stack


def _bill_of_materials(package: Path, digest: str) -> dict[str, bytes]:
    """The bill of materials of a package, unless it describes another one of the same name."""
    path = package.with_suffix(".bom.json")
    if not path.exists() or digest not in path.read_text():
        return {}
    return {path.name: path.read_bytes()}
