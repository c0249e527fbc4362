"""The rooms of docs/architecture.md: a module imports only from rooms below its own."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "lambda_src"
PACKAGE = "cloudtrail_parquet"
CONVERTER = (
    {"contract", "printable", "wording", "process", "together", "clock", "version", "sample_logs"},
    {"errors", "schema"},
    {"formats", "storage"},
    {"layout"},
    {"deliveries", "envelopes"},
    {"settings"},
    {"records", "source"},
    {"state", "intake"},
    {"dataset"},
    {"conversion", "planning", "reference", "verification"},
    {"batch", "querying", "coverage"},
    {"rewriting"},
    {"function", "api", "digests", "reporting"},
    {"handler", "backfill"},
    {"cli"},
    {""},  # the package itself, which shows what others may use
)
STACKS = (
    {"environment", "cdk", "deployed", "versions", "investigations"},
    {"iam"},
    {"constructs", "handover"},
    {"stack"},
    {"synth"},
    {""},
)
ORDER = [
    *({(PACKAGE, room) for room in rooms} for rooms in CONVERTER),
    *({("stacks", room) for room in rooms} for rooms in STACKS),
]
HEIGHTS = {room: height for height, rooms in enumerate(ORDER) for room in rooms}
FOR_STACKS = {"contract", "errors", "reference", "settings", "wording"}

Imports = Mapping[str, Iterable[str]]


def named(path: Path, below: Path) -> str:
    return ".".join(path.relative_to(below).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    named(path, below): path
    for below, package in ((SOURCES, PACKAGE), (ROOT, "stacks"))
    for path in sorted((below / package).rglob("*.py"))
}


def imported(path: Path) -> Iterator[str]:
    """Our modules that a file imports: at its top, in functions, for type checkers, or by name."""
    inside = next((name for name, where in MODULES.items() if where == path), "")
    package = inside if path.stem == "__init__" else inside.rpartition(".")[0]
    yield from imported_by(path.read_text(), package)


def imported_by(text: str, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names if one.name in MODULES]
            yield from names
            # Without an alias it is the whole package that gets a name.
            yield from (
                one.name.split(".")[0] for one in node.names if ours(one) and not one.asname
            )
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, (above, node.module)))
            if module in MODULES:
                inner = [f"{module}.{one.name}" for one in node.names]
                yield from (name if name in MODULES else module for name in inner)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            texts = (one.value for one in node.args if isinstance(one, ast.Constant))
            yield from (str(text) for text in texts if text in MODULES)


def ours(alias: ast.alias) -> bool:
    return alias.name in MODULES


def room(module: str) -> tuple[str, str]:
    package, _, below = module.partition(".")
    return package, below.partition(".")[0]


def faults(imports: Imports) -> Iterator[str]:
    """What is wrong with modules that import others."""
    yield from (f"{module} is in no room" for module in imports if room(module) not in HEIGHTS)
    for module, others in imports.items():
        for other in others:
            heights = [HEIGHTS.get(room(one), -1) for one in (module, other)]
            if room(module) != room(other) and heights[0] <= heights[1]:
                yield f"{module} imports {other}, which is not below it"
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        yield f"a cycle: {' <- '.join(error.args[1])}"


def test_modules_import_only_from_rooms_below_their_own() -> None:
    assert list(faults({module: set(imported(path)) for module, path in MODULES.items()})) == []


@pytest.mark.parametrize(
    ("imports", "fault"),
    [
        ({"storage.disk": {"layout"}}, "storage.disk imports .*layout, which is not below it"),
        ({"formats.thrift": {"storage.s3"}}, "imports .*storage.s3, which is not below it"),
        ({"state.notes": {"state.receipt"}, "state.receipt": {"state.notes"}}, "a cycle"),
        ({"state.notes": {""}}, "state.notes imports cloudtrail_parquet, which is not below it"),
        ({"attic.trunk": set()}, "attic.trunk is in no room"),
    ],
)
def test_another_import_is_a_fault(imports: Imports, fault: str) -> None:
    full = {
        f"{PACKAGE}.{module}": {f"{PACKAGE}.{other}".rstrip(".") for other in others}
        for module, others in imports.items()
    }
    with pytest.raises(AssertionError, match=fault):
        assert not list(faults(full))


@pytest.mark.parametrize(
    "text",
    [
        "import cloudtrail_parquet.cli.commands as c",
        "from cloudtrail_parquet import errors, handler",
        "from cloudtrail_parquet import errors, convert",
        "from ..cli import commands",
        "from ..cli.commands import main",
        "import cloudtrail_parquet.errors",
        "from importlib import import_module\nimport_module('cloudtrail_parquet.cli.commands')",
        "__import__('cloudtrail_parquet.handler')",
        "def f():\n    from cloudtrail_parquet.cli import commands",
        "import stacks.synth as s",
    ],
)
def test_no_way_to_import_is_overlooked(text: str) -> None:
    found = {f"{PACKAGE}.state.keys": set(imported_by(text, f"{PACKAGE}.state"))}

    assert list(faults(found))


def test_the_infrastructure_reads_only_what_is_agreed_on() -> None:
    used = {one for path in (ROOT / "stacks").rglob("*.py") for one in imported(path)}

    assert {room(one)[1] for one in used if room(one)[0] == PACKAGE} <= FOR_STACKS


def test_unit_tests_mirror_the_rooms() -> None:
    """A file of tests is named after the module that it is about, or after the room."""
    modules = {path.relative_to(SOURCES / PACKAGE) for path in (SOURCES / PACKAGE).rglob("*.py")}
    rooms = {path.parent / path.parent.name for path in modules}
    unit = ROOT / "tests" / "unit"
    tested = [path.relative_to(unit) for path in unit.rglob("test_*.py")]
    about = {path.parent / path.stem.removeprefix("test_") for path in tested}

    assert about <= {path.with_suffix("") for path in modules} | rooms


@pytest.mark.parametrize("folder", ["lambda_src", "stacks"])
def test_rooms_modules_and_functions_stay_small(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    parents = [path.parent for path in files]
    crowded = {path for path in parents if parents.count(path) > 14}
    long = {path for path in files if len(path.read_text().splitlines()) > 350}
    functions = {
        (path.name, node.name)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    }

    assert (crowded, long, functions) == (set(), set(), set())


def test_no_class_has_the_name_of_another() -> None:
    names = [
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]

    assert sorted(name for name in set(names) if names.count(name) > 1) == []
