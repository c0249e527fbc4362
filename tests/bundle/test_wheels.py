from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from bundle.bom import bill_of_materials
from bundle.errors import BuildError
from bundle.wheels import Target, canonical, fetch, read_lock

LOCK = Path(__file__).parents[2] / "requirements/runtime.txt"
ARM = Target("arm64", "python3.13")
FILES = {
    "a_b/__init__.py": "",
    "a_b-1.0.data/purelib/c.py": "",
    "a_b-1.0.dist-info/LICENSE": "terms",
    "a_b-1.0.dist-info/licenses/NOTICE.txt": "thanks",
    "a_b-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: a_b\nVersion: 1.0\n",
    "a_b-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "a_b-1.0.dist-info/RECORD": "",
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which pip looks for wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder: Path, tag: str = "py3-none-any", metadata: str = "") -> str:
    """Write a wheel; gives the line that locks it."""
    path = folder / f"a_b-1.0-{tag}.whl"
    with ZipFile(path, "w") as archive:
        for name, text in FILES.items():
            more = metadata if name.endswith("METADATA") else ""
            archive.writestr(name, text.replace("py3-none-any", tag) + more)
    return f"a-b==1.0 \\\n    --hash=sha256:{sha256(path.read_bytes()).hexdigest()}\n"


def write_lock(folder: Path, text: str) -> Path:
    (folder / "lock.txt").write_text("# made by hand\n" + text + "    # via nobody\n")
    return folder / "lock.txt"


def test_the_lock_has_digests_of_every_package_and_no_markers() -> None:
    pins = read_lock(LOCK)

    names = {"aws-lambda-powertools", "isal", "msgspec", "obstore", "pyarrow"}
    assert names <= set(pins)
    assert all(pin.version and len(pin.digests) > 1 for pin in pins.values())
    text = LOCK.read_text()
    assert sum(len(pin.digests) for pin in pins.values()) == text.count("--hash=") > 100


def test_a_package_locked_for_some_systems_only_is_refused(tmp_path: Path) -> None:
    lock = write_lock(tmp_path, 'a==1 ; sys_platform == "win32" \\\n    --hash=sha256:00\n')

    with pytest.raises(BuildError, match=r"lock\.txt: a is locked for some systems only\. Leave"):
        read_lock(lock)


@pytest.mark.parametrize(
    "tag",
    [
        "py3-none-any",
        "cp313-cp313-manylinux_2_28_aarch64",
        "cp311-abi3-manylinux_2_24_aarch64",
        "cp313-cp313-manylinux2014_aarch64",
        "cp313-cp313-manylinux_2_34_aarch64",
    ],
)
def test_wheels_that_run_on_the_target_are_fetched_once(
    tmp_path: Path, index: Path, tag: str
) -> None:
    lock = write_lock(tmp_path, make_wheel(index, tag))

    (wheel,) = fetch(lock, ARM, tmp_path / "cache")
    (index / wheel.path.name).unlink()
    (again,) = fetch(lock, ARM, tmp_path / "cache")

    assert wheel == again
    assert (wheel.pin.name, wheel.pin.version) == ("a-b", "1.0")
    assert dict(wheel.members()).keys() == {
        "a_b/__init__.py",
        "c.py",
        "licenses/a_b/LICENSE",
        "licenses/a_b/NOTICE.txt",
        "a_b-1.0.dist-info/METADATA",
        "a_b-1.0.dist-info/WHEEL",
        "a_b-1.0.dist-info/RECORD",
    }
    assert dict(wheel.members())["licenses/a_b/NOTICE.txt"]() == b"thanks"


@pytest.mark.parametrize(
    "tag",
    [
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp313-cp313-manylinux_2_28_x86_64",
        "cp313-cp313-manylinux_2_35_aarch64",
        "cp313-cp313-musllinux_1_2_aarch64",
        "cp313-cp313-macosx_11_0_arm64",
    ],
)
def test_a_wheel_that_would_not_run_on_the_target_is_none(
    tmp_path: Path, index: Path, tag: str
) -> None:
    lock = write_lock(tmp_path, make_wheel(index, tag))

    with pytest.raises(BuildError) as raised:
        fetch(lock, ARM, tmp_path / "cache")

    said = str(raised.value)
    assert said.startswith(f"{lock}: no wheels for python3.13 on arm64. pip says:\nERROR: ")
    assert "a-b==1.0" in said
    assert "make lock" in said
    assert not list((tmp_path / "cache").iterdir())


def test_a_wheel_with_another_digest_than_the_locked_one_is_not_taken(
    tmp_path: Path, index: Path
) -> None:
    lock = write_lock(tmp_path, make_wheel(index))
    make_wheel(index, metadata="License: none\n")

    with pytest.raises(BuildError, match="DO NOT MATCH THE HASHES"):
        fetch(lock, ARM, tmp_path / "cache")


def test_a_cached_wheel_that_changed_or_is_gone_is_noticed(tmp_path: Path, index: Path) -> None:
    lock = write_lock(tmp_path, make_wheel(index))
    (wheel,) = fetch(lock, ARM, tmp_path / "cache")

    wheel.path.write_bytes(wheel.path.read_bytes() + b"!")
    with pytest.raises(BuildError, match=r"any\.whl: is not in the lock\. Remove .* and build"):
        fetch(lock, ARM, tmp_path / "cache")
    wheel.path.unlink()
    with pytest.raises(BuildError, match=r"holds no wheel of a-b\. Remove .* and build again"):
        fetch(lock, ARM, tmp_path / "cache")


def test_another_lock_and_another_target_are_fetched_anew(tmp_path: Path, index: Path) -> None:
    lock = write_lock(tmp_path, make_wheel(index))
    targets = [ARM, Target("x86_64", "python3.13"), Target("arm64", "python3.12")]
    for target in targets:
        fetch(lock, target, tmp_path / "cache")
    lock.write_text(lock.read_text() + "# changed\n")
    fetch(lock, ARM, tmp_path / "cache")

    assert len(list((tmp_path / "cache").iterdir())) == len(targets) + 1


@pytest.mark.parametrize(
    ("metadata", "licenses"),
    [
        ("License-Expression: MIT OR Apache-2.0\n", [{"expression": "MIT OR Apache-2.0"}]),
        ("License: MIT\n", [{"license": {"name": "MIT"}}]),
        (
            "License: MIT\nClassifier: License :: OSI Approved :: MIT License\n",
            [{"license": {"name": "MIT License"}}],
        ),
        ("License: All of\n        a long text\n", []),
        ("Classifier: Topic :: Printing\n", []),
    ],
)
def test_the_bill_names_wheels_with_their_licenses(
    tmp_path: Path, index: Path, metadata: str, licenses: list[object]
) -> None:
    lock = write_lock(tmp_path, make_wheel(index, metadata=metadata))
    wheels = fetch(lock, ARM, tmp_path / "cache")

    bill = bill_of_materials({"name": "x", "version": "2", "license": "MIT"}, "f00", {}, wheels)

    assert bill["components"] == [
        {
            "type": "library",
            "name": "a-b",
            "version": "1.0",
            "purl": "pkg:pypi/a-b@1.0?file_name=a_b-1.0-py3-none-any.whl",
            "licenses": licenses,
            "hashes": [
                {"alg": "SHA-256", "content": sha256(wheels[0].path.read_bytes()).hexdigest()}
            ],
        }
    ]


@pytest.mark.parametrize("name", ["a_b", "A-B", "a.b", "a__b"])
def test_names_are_compared_as_indexes_spell_them(name: str) -> None:
    assert canonical(name) == "a-b"
