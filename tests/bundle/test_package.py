"""The real packages: built once for a test run, taken apart, and run as Lambda would."""

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import pyarrow.parquet as pq
import pytest

from bundle.wheels import read_lock
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.version import __version__
from tests.builders import ACCOUNT, REGION, log_file, log_key, record
from tests.bundle.packages import NATIVE, ROOT, Package, package, python_3_13, run_build, unpack

__all__ = ["package"]

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
MACHINE_CODES = {"arm64": 0xB7, "x86_64": 0x3E}
EVENTS = 300

Run = Callable[..., str]


def contents(zipped: Path) -> dict[str, bytes]:
    with ZipFile(zipped) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def beside(zipped: Path, ending: str) -> Path:
    return zipped.with_name(zipped.name.removesuffix(".zip") + ending)


@pytest.fixture(scope="session")
def run(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs code with the unpacked zip, and with what is in the Lambda runtime, and nothing else."""
    python = python_3_13()
    task, runtime = unpack(package(NATIVE), tmp_path_factory)

    def run(code: str, *arguments: object) -> str:
        head = f"import sys; sys.path[:0] = {[str(task)]!r}; sys.path.append({str(runtime)!r})\n"
        command = [python, "-I", "-S", "-B", "-c", head + code, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=task, env={}, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stderr
        return done.stdout

    return run


@BOTH
def test_it_is_within_the_limits_of_lambda(package: Package, architecture: str) -> None:
    files = contents(package(architecture))

    assert 20e6 < package(architecture).stat().st_size < 50e6
    assert 80e6 < sum(map(len, files.values())) < 200e6


@BOTH
def test_it_holds_what_the_function_needs_and_little_else(
    package: Package, architecture: str
) -> None:
    files = contents(package(architecture))

    top = {name.split("/")[0] for name in files}
    assert top == {
        *("aws_lambda_powertools", "cloudtrail_parquet", "isal", "jmespath", "licenses"),
        *("msgspec", "obstore", "pyarrow", "typing_extensions.py"),
    }
    unwanted = r"(^|/)(tests?|include|__pycache__|bin|typer|rich|boto3|botocore|numpy)(/|$)"
    rooms = "cli|digests|intake|reference|sample_logs|verification"
    unwanted += rf"|^cloudtrail_parquet/({rooms})/"
    unwanted += r"|^cloudtrail_parquet/rewriting/(composed|elsewhere|making|many)\.py"
    unwanted += r"|\.(h|hpp|pyi|pyc|pxd|pyx|pxi|cc|so\.\d+\.\d+\.\d+)$|dist-info|\.data/|flight"
    assert [name for name in files if re.search(unwanted, name)] == []
    assert not any(str(ROOT).encode() in content for content in files.values())


@BOTH
def test_licenses_go_with_what_they_cover(package: Package, architecture: str) -> None:
    files = contents(package(architecture))

    covered = {name.split("/")[1] for name in files if name.startswith("licenses/")}
    assert covered == {
        *("aws_lambda_powertools", "cloudtrail-parquet", "isal", "jmespath", "msgspec"),
        *("pyarrow", "typing_extensions"),  # the wheel of obstore has none
    }
    assert files["licenses/cloudtrail-parquet/LICENSE"] == (ROOT / "LICENSE").read_bytes()


@BOTH
def test_all_machine_code_is_for_the_architecture(package: Package, architecture: str) -> None:
    files = contents(package(architecture))
    libraries = {name: body for name, body in files.items() if body.startswith(b"\x7fELF")}
    codes = {name: struct.unpack_from("<H", body, 18)[0] for name, body in libraries.items()}

    assert len(codes) > 20
    assert set(codes.values()) == {MACHINE_CODES[architecture]}
    assert {name for name in files if ".so" in name} == set(libraries)


def test_docs_package_md_names_each_file_of_a_build(package: Package) -> None:
    page = (ROOT / "docs/package.md").read_text()
    named = re.findall(r"^dist/(\S+)", page, re.MULTILINE)

    made = package("arm64").parent.glob("cloudtrail-parquet-*-arm64.*")
    assert {name.replace("VERSION", __version__) for name in named} == {one.name for one in made}


@BOTH
def test_the_digest_and_the_bill_beside_it_fit(package: Package, architecture: str) -> None:
    zipped = package(architecture)
    digest = sha256(zipped.read_bytes()).hexdigest()
    bill = json.loads(beside(zipped, ".bom.json").read_text())

    assert zipped.name == f"cloudtrail-parquet-{__version__}-{architecture}.zip"
    assert beside(zipped, ".zip.sha256").read_text() == f"{digest}  {zipped.name}\n"
    subject = bill["metadata"]["component"]
    assert subject["hashes"] == [{"alg": "SHA-256", "content": digest}]
    properties = {one["name"].split(":")[1]: one["value"] for one in subject["properties"]}
    assert (properties["architecture"], properties["runtime"]) == (architecture, "python3.13")
    pins = read_lock(ROOT / "requirements/runtime.txt")
    assert {one["name"]: one["version"] for one in bill["components"]} == {
        name: pin.version for name, pin in pins.items()
    }
    for one in bill["components"]:
        assert one["hashes"][0]["content"] in pins[one["name"]].digests
        assert one["licenses"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that a package is made of, elsewhere and newer; wheels are the same."""
    there = tmp_path / "other checkout"
    for name in ("bundle", "lambda_src"):
        litter = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, there / name, copy_function=shutil.copyfile, ignore=litter)
    for name in ("pyproject.toml", "LICENSE", "requirements/runtime.txt"):
        (there / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, there / name)
    (there / ".cache").symlink_to(ROOT / ".cache")
    return there


def test_another_checkout_makes_the_same_bytes(
    package: Package, checkout: Path, tmp_path: Path
) -> None:
    first, out = package(NATIVE), tmp_path / "out"
    (checkout / "lambda_src/cloudtrail_parquet/.DS_Store").write_text("litter")
    (checkout / "lambda_src/cloudtrail_parquet/schema/columns.py").chmod(0o755)

    done = run_build(checkout, "--architecture", NATIVE, "--out", out, umask=0o077)

    size = f"{first.stat().st_size / 1e6:.1f} MB zipped, "
    assert done.stdout.startswith(f"../out/{first.name}  {size}"), done.stderr
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in (first, beside(first, ".zip.sha256"), beside(first, ".bom.json"))
    )
    for path in out.iterdir():
        assert path.read_bytes() == (first.parent / path.name).read_bytes()


def test_a_build_that_fails_says_why_and_leaves_what_stood_there(
    package: Package, checkout: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / package(NATIVE).name).write_text("the one before")
    shutil.rmtree(checkout / "lambda_src/cloudtrail_parquet/cli")

    done = run_build(checkout, "--architecture", NATIVE, "--out", out)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: bundle/prune.py: the rule 'cloudtrail_parquet/cli/*'")
    assert [path.read_text() for path in out.iterdir()] == ["the one before"]


def test_every_module_of_ours_can_be_imported(run: Run, package: Package) -> None:
    names = [
        re.sub(r"(/__init__)?\.py$", "", name).replace("/", ".")
        for name in contents(package(NATIVE))
        if name.startswith("cloudtrail_parquet/")
    ]
    assert len(names) > 30

    said = run("import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)

    assert said == ""


def test_the_conversion_needs_no_numpy_and_no_aws_client(run: Run) -> None:
    said = run("import cloudtrail_parquet.conversion.convert; print(*sys.modules)")

    assert "cloudtrail_parquet.conversion.convert" in said.split()
    assert {"numpy", "pandas", "boto3", "botocore", "typer", "rich"} & set(said.split()) == set()


CONVERT = """
from datetime import date
from pathlib import Path
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Unit
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.storage import LocalStore, Stores

account, region, settings = *sys.argv[1:3], Settings()
stores = Stores(*(LocalStore(Path(place)) for place in sys.argv[3:]))
trails = discover(stores.source, settings.folders).trails[account, region]
receipt = convert_unit(Unit(account, region, date(2026, 1, 10)), trails, stores, settings)
print(sum(part.rows for part in receipt.parts))
"""


def test_it_converts_log_files(run: Run, tmp_path: Path) -> None:
    delivered = datetime(2026, 1, 10, 12, 40, tzinfo=UTC)
    ids = [f"7a1e2f6e-0000-4000-8000-{number:012}" for number in range(EVENTS)]
    path = tmp_path / "in" / log_key(ACCOUNT, REGION, delivered)
    path.parent.mkdir(parents=True)
    path.write_bytes(log_file(*(record(eventID=one) for one in ids)))

    said = run(CONVERT, ACCOUNT, REGION, *(tmp_path / name for name in ("in", "out", "state")))

    assert said == f"{EVENTS}\n"
    (part,) = (tmp_path / "out").rglob("*.parquet")
    assert sorted(pq.read_table(part, partitioning=None)["eventID"].to_pylist()) == ids
    columns = {one.path_in_schema: one for one in row_group_columns(part)}
    assert {one.compression for one in columns.values()} == {"ZSTD"}
    assert "RLE_DICTIONARY" in columns["eventName"].encodings
    assert columns["eventName"].statistics.max == "GetBucketAcl"
    assert {name for name, one in columns.items() if one.bloom_filter_length} == set(
        Settings().bloom_columns
    )
    assert row_groups_read(part, ids[:20]) == 20
    assert row_groups_read(part, [one.replace("4000", "4001") for one in ids[:100]]) < 10


def row_groups_read(path: Path, ids: list[str]) -> int:
    """How often the one row group is read, looking for one id after the other."""
    find = "EXPLAIN ANALYZE SELECT count(*) FROM read_parquet(?) WHERE eventID = ?"
    with duckdb.connect() as connection:
        plans = [connection.execute(find, [str(path), one]).fetchall()[0][1] for one in ids]
    return sum("Row Groups Scanned: 1 / 1" in plan for plan in plans)


def row_group_columns(path: Path) -> list[Any]:
    group = pq.read_metadata(path).row_group(0)
    return [group.column(number) for number in range(group.num_columns)]
