"""A folder that another team can plan and apply, with nothing but Terraform.

The same environment and package give the same bytes on every machine.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stacks.environment.fields import Environment
from stacks.handover.readme import readme
from stacks.iam.statements import Statement

TERRAFORM = "cdk.tf.json"
_STATE = "terraform.tfstate*"
_NOTES = "//"
"""The key of the toolkit's notes: its version, and names that the addresses repeat."""


def hand_over(
    folder: Path,
    environment: Environment,
    package: Path,
    statements: Mapping[str, Iterable[Statement]],
    out: Path,
) -> Path:
    """Write the Terraform, the package and a README.

    Files of an earlier hand-over are removed from the folder; a Terraform state, should somebody
    have applied it there, is kept.

    Args:
        folder: The synthesised folder, with ``cdk.tf.json``.
        environment: The environment that it was synthesised from.
        package: The zip; a bill of materials beside it is included.
        statements: Permissions of the roles, by the names in `cross_account.ROLES`.
        out: The folder to write.

    Returns:
        The folder ``out``.
    """
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
    text = readme(stack, environment, reasons, out.name, {name: len(files[name]) for name in files})
    files["README.md"] = text.encode()
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".") as temporary:
        fresh = Path(temporary, out.name)
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
            (fresh / name).chmod(0o644)  # whatever this user's mask
        fresh.chmod(0o755)
        for state in out.glob(_STATE):
            shutil.copy2(state, fresh / state.name)
        if out.exists():
            out.replace(Path(temporary, "before"))
        fresh.replace(out)
    return out


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
