"""The files for contributors: they parse, and name only what exists."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
FORMS = [path for path in (GITHUB / "ISSUE_TEMPLATE").iterdir() if path.name != "config.yml"]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "queries/README.md",
]
COMMUNITY = [
    *(path for path in GITHUB.rglob("*") if path.is_file()),
    *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", ".pre-commit-config.yaml")),
]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ELEMENTS = {"checkboxes", "dropdown", "input", "markdown", "textarea"}  # of GitHub's forms
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parsed(path: Path) -> Any:  # noqa: ANN401 - any YAML
    return yaml.safe_load(path.read_text())


def test_ci_prepares_a_machine_and_leaves_all_checks_to_one_script() -> None:
    workflow = parsed(GITHUB / "workflows/ci.yml")

    (job,) = workflow["jobs"].values()
    *uses, last = job["steps"]
    assert last == {"run": ".ci/run"}
    assert [step["uses"].partition("@")[0] for step in uses] == [
        "actions/checkout",
        "actions/setup-python",
        "hashicorp/setup-terraform",
    ]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    assert workflow[True].keys() == {"push", "pull_request"}  # in YAML 1.1 "on" is a boolean
    assert workflow["permissions"] == {"contents": "read"}


def test_ci_runs_on_each_python_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (job,) = parsed(GITHUB / "workflows/ci.yml")["jobs"].values()

    pythons = job["strategy"]["matrix"]["python"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert pythons == named
    assert project["requires-python"] == f">={pythons[0]}"
    assert job["env"] == {"PYTHON": "python${{ matrix.python }}"}  # Makefile takes it


def test_hooks_are_targets_of_the_makefile() -> None:
    (repository,) = parsed(ROOT / ".pre-commit-config.yaml")["repos"]

    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == ["make format", "make lint"]
    for hook in repository["hooks"]:
        assert hook.keys() >= {"id", "name", "entry", "language"}
        assert hook["entry"].removeprefix("make ") in TARGETS


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_has_what_github_asks_for(path: Path) -> None:
    form = parsed(path)

    assert form.keys() <= {"name", "description", "title", "labels", "assignees", "body"}
    assert all(form[name] for name in ("name", "description", "body"))
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for element in form["body"]:
        assert element.keys() <= {"type", "id", "attributes", "validations"}
        assert element["type"] in ELEMENTS
        assert element["attributes"]["value" if element["type"] == "markdown" else "label"]


def test_reports_of_bugs_ask_for_version_command_and_error_but_for_no_records() -> None:
    form = parsed(GITHUB / "ISSUE_TEMPLATE/bug.yml")

    required = {
        element["id"] for element in form["body"] if element.get("validations", {}).get("required")
    }
    assert required >= {"version", "command", "error"}
    assert "Never paste records" in form["body"][0]["attributes"]["value"]


@pytest.mark.parametrize("path", COMMUNITY, ids=lambda path: path.name)
def test_no_host_is_named(path: Path) -> None:
    assert "://" not in path.read_text()


def anchors(page: Path) -> set[str]:
    """The fragments that lead to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target, fragment in re.findall(r"\]\(([^()#:\s]*)(?:#([^()\s]*))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not fragment or fragment in anchors(path), f"{target}#{fragment}"


def test_files_tests_and_targets_that_contributors_are_told_of_exist() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    named = set(re.findall(r"`((?:\w[\w.-]*/)+[\w.-]*|\w+\.(?:md|py|toml))`", CONTRIBUTING))
    paths = {path for path in named if not path.startswith("build/")}  # which targets make
    converter = ROOT / "lambda_src/cloudtrail_parquet"
    folders = (ROOT, ROOT / "tests", converter)
    assert [path for path in paths if not any((one / path).exists() for one in folders)] == []
    assert [
        name for name in re.findall(r"`(test_\w+)`", CONTRIBUTING) if f"def {name}(" not in tests
    ] == []
    assert set(re.findall(r"`make ([\w-]+)", CONTRIBUTING)) <= TARGETS
