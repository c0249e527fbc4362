"""The arm64 package on an emulated processor, against the one for x86_64: ``make test-arm64``.

Both run as in Lambda, by their handlers, in CPython 3.13 of Debian with nothing else to import.
"""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cloudtrail_parquet.contract import Variable
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from tests.bundle.packages import Package, package, unpack
from tests.debian import native, program, unpacked

__all__ = ["package"]

pytestmark = [pytest.mark.slow, pytest.mark.arm64]

RELEASE = "trixie"  # the Debian with CPython 3.13
PYTHON = ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6")
SPEC = TreeSpec(accounts=2, regions=1, days=2, records=3000, late=0.02, duplicates=0.02)
EVENT = {"kind": "plan", "from": "2026-01-10", "to": "2026-01-12"}
INVOKE = """
import json, platform, sys

class Context:
    aws_request_id = "test"

    def get_remaining_time_in_millis(self):
        return 900_000

task, runtime, event = sys.argv[1:]
sys.path.insert(0, task)
sys.path.append(runtime)
from cloudtrail_parquet.handler import handler

print(platform.machine(), handler(json.loads(event), Context())["converted"])
"""

Interpreter = list[str]


@pytest.fixture(scope="module")
def interpreters() -> dict[str, Interpreter]:
    """The command of an interpreter by Lambda's word for its architecture."""
    if native() != "amd64":
        pytest.skip("ARM64 NOT EMULATED: this machine is another one; test_package.py runs its zip")
    emulator = unpacked(RELEASE, "amd64", "qemu-user") / "usr/bin/qemu-aarch64"
    arm64 = unpacked(RELEASE, "arm64", *PYTHON)
    return {
        "arm64": [str(emulator), "-L", str(arm64), str(arm64 / "usr/bin/python3.13")],
        "x86_64": program(unpacked(RELEASE, "amd64", *PYTHON), "python3.13"),
    }


def test_the_packages_for_both_architectures_write_the_same_bytes(
    package: Package,
    interpreters: dict[str, Interpreter],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    truth = generate_tree(tmp_path / "logs", SPEC)
    said, parts = {}, {}
    for architecture, interpreter in interpreters.items():
        task, runtime = unpack(package(architecture), tmp_path_factory)
        arguments = (str(task), str(runtime), json.dumps(EVENT))
        dataset = tmp_path / architecture / "dataset"
        environment: dict[str, str] = {
            Variable.SOURCE: str(tmp_path / "logs"),
            Variable.DATASET: str(dataset),
            Variable.STATE: str(dataset.with_name("state")),
            Variable.DISPATCH: "inline",
        }
        said[architecture] = invoke(interpreter, arguments, environment)
        parts[architecture] = {
            path.relative_to(dataset).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in dataset.rglob("*.parquet")
        }

    assert said == {"arm64": "aarch64 6", "x86_64": "x86_64 6"}, "machine and units"
    rows = sum(pq.read_metadata(path).num_rows for path in (tmp_path / "arm64").rglob("*.parquet"))
    assert rows == truth.records
    assert truth.late
    assert truth.duplicates
    assert parts["arm64"] == parts["x86_64"]


def invoke(
    interpreter: Interpreter, arguments: tuple[str, ...], environment: dict[str, str]
) -> str:
    """The last line of what is printed in an invocation, after the logs."""
    command = [*interpreter, "-I", "-S", "-B", "-c", INVOKE, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()[-1]
