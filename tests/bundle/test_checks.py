"""What is looked at before a zip is handed out."""

import platform
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pytest

from bundle.elf import (
    SYSTEM,
    check_libraries,
    is_too_new,
    machine,
    needed,
    needed_versions,
)
from bundle.errors import BuildError
from bundle.package import check_sizes
from bundle.zipped import contents_digest, write_zip

NATIVE, FOREIGN = ("arm64", "x86_64") if platform.machine() == "aarch64" else ("x86_64", "arm64")


@pytest.fixture(scope="module")
def libraries() -> dict[str, bytes]:
    """Of the pyarrow that runs these tests, those which the others are linked against."""
    if sys.platform != "linux":
        pytest.skip("SKIPPED: only Linux has shared libraries like Lambda's")
    folder = Path(pa.__file__).parent
    return {f"pyarrow/{path.name}": path.read_bytes() for path in folder.glob("lib*.so.*")}


def test_libraries_that_find_each_other_pass(libraries: dict[str, bytes]) -> None:
    assert len(libraries) > 5

    check_libraries(libraries | {"readme": b"no library"}, NATIVE)


def test_a_library_whose_needs_were_left_out_is_named_with_them(
    libraries: dict[str, bytes],
) -> None:
    (gone,) = (path for path in libraries if path.startswith("pyarrow/libparquet.so"))
    left = {path: content for path, content in libraries.items() if path != gone}

    with pytest.raises(BuildError, match=rf"^pyarrow/lib\S+: needs {Path(gone).name}\. A rule in"):
        check_libraries(left, NATIVE)


def test_a_library_for_another_machine_is_named(libraries: dict[str, bytes]) -> None:
    with pytest.raises(BuildError, match=rf"^pyarrow/lib\S+: is not for {FOREIGN}"):
        check_libraries(libraries, FOREIGN)


def test_a_library_of_32_bits_or_of_the_other_byte_order_is_for_no_machine() -> None:
    header = struct.pack("<4s12xHH", b"\x7fELF\x01\x01", 3, 62)

    with pytest.raises(BuildError, match="is not for x86_64"):
        check_libraries({"a.so": header}, "x86_64")
    assert machine(header) == 0


@pytest.mark.parametrize("newest", ["GLIBC_2.35", "GLIBC_2.100"])
def test_a_library_that_needs_newer_symbols_than_amazon_linux_has_is_named_with_them(
    libraries: dict[str, bytes], newest: str
) -> None:
    path, content = next(iter(libraries.items()))
    old = next(one for one in needed_versions(content) if len(one) == len(newest))
    changed = libraries | {path: content.replace(f"{old}\0".encode(), f"{newest}\0".encode())}

    with pytest.raises(BuildError) as raised:
        check_libraries(changed, NATIVE)

    assert str(raised.value).startswith(
        f"{path}: needs {newest}, newer than Amazon Linux 2023. Lock a version of the package"
    )


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ("GLIBC_2.34", "GLIBC_2.35"),
        ("GLIBC_2.2.5", "GLIBC_3.0"),
        ("GLIBCXX_3.4.29", "GLIBCXX_3.4.30"),
        ("GLIBCXX_3.4.9", "GLIBCXX_3.5"),
        ("CXXABI_1.3.13", "CXXABI_1.3.14"),
        ("GCC_7.0.0", "GCC_12.0.0"),
        ("CXXABI_TM_1", "GLIBC_ABI_DT_RELR"),
        ("CXXABI_FLOAT128", "GLIBC_PRIVATE"),
    ],
)
def test_versions_of_symbols_are_compared_as_numbers(has: str, lacks: str) -> None:
    assert not is_too_new(has)
    assert is_too_new(lacks)


def by_readelf(libraries: Iterable[str], option: str) -> dict[str, str]:
    """What readelf says of libraries of pyarrow, in the form without line breaks."""
    folder = Path(pa.__file__).parent.parent
    command = ["readelf", "--wide", option]
    try:
        return {
            path: subprocess.run(
                [*command, folder / path],
                capture_output=True,
                text=True,
                check=True,
                env={"LC_ALL": "C"},
            ).stdout
            for path in libraries
        }
    except FileNotFoundError:
        pytest.skip("SKIPPED: no readelf to compare with (package binutils)")


def test_needed_libraries_are_those_that_readelf_names(libraries: dict[str, bytes]) -> None:
    found = {path: list(needed(content)) for path, content in libraries.items()}

    said = by_readelf(libraries, "--dynamic")
    assert found == {path: re.findall(r"\(NEEDED\).*\[(.*)\]", text) for path, text in said.items()}
    assert any("libparquet.so" in name for names in found.values() for name in names)


def test_needed_versions_are_those_that_readelf_names(libraries: dict[str, bytes]) -> None:
    found = {path: set(needed_versions(content)) for path, content in libraries.items()}

    for path, text in by_readelf(libraries, "--version-info").items():
        table = text.partition("Version needs section")[2]
        files = re.split(r"Version: 1 +File: (\S+) +Cnt: \d+", table)[1:]
        names = dict(zip(files[::2], files[1::2], strict=True))
        assert names.keys() - SYSTEM == set(), "else there are versions of others to leave out"
        assert found[path] == set(re.findall(r"Name: (\S+)", table))
    assert {"GLIBC", "GLIBCXX"} < {one.partition("_")[0] for one in set().union(*found.values())}


def test_a_zip_within_the_limits_tells_its_sizes(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"a": b"\0" * 2_000_000, "b": b""})

    assert check_sizes(tmp_path / "a.zip") == "0.0 MB zipped, 2.0 MB unpacked, 2 files"


@pytest.mark.parametrize("limits", [(1, 2.9), (0.001, 3)], ids=["unpacked", "zipped"])
def test_a_zip_over_a_limit_names_its_largest_files(
    tmp_path: Path, limits: tuple[float, float]
) -> None:
    files = {f"small-{i}": b"\0" * 100_000 for i in range(10)} | {"large": b"\0" * 2_000_000}
    write_zip(tmp_path / "a.zip", files)

    with pytest.raises(BuildError) as raised:
        check_sizes(tmp_path / "a.zip", *limits)

    first, *lines = str(raised.value).splitlines()
    assert first.startswith("a.zip: 0.0 and 3.0 MB, where at most ")
    assert lines[0].split() == ["2.0", "MB", "large"]
    assert len(lines) == 11


def test_a_zip_depends_on_its_files_alone(tmp_path: Path) -> None:
    write_zip(tmp_path / "1.zip", {"b/c.py": b"c", "a": b"a"})
    write_zip(tmp_path / "2.zip", {"a": b"a", "b/c.py": b"c"})

    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    with ZipFile(tmp_path / "1.zip") as archive:
        assert [
            (one.filename, one.date_time, one.external_attr >> 16, one.create_system)
            for one in archive.infolist()
        ] == [(name, (1980, 1, 1, 0, 0, 0), 0o100644, 3) for name in ("a", "b/c.py")]


def test_the_digest_of_the_contents_is_that_of_what_sha256sum_prints(tmp_path: Path) -> None:
    files = {"b": b"1", "a/c.py": b"2", "a-b": b"", "a/B": b"3"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"

    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout.split()[0] == contents_digest(files)
