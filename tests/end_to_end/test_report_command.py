"""The command report: a page about a dataset, compared with the one that it replaces."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import chdir
from datetime import date
from pathlib import Path

import duckdb
import pytest

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.reporting.changes import ReportSummary, summary_in
from cloudtrail_parquet.sample_logs import TreeSpec, Truth, generate_tree
from tests.end_to_end.program import run, succeed
from tests.end_to_end.trees import deliver, event
from tests.layouts import LAYOUTS, convert_in
from tests.page_checks import faults_of, text_of

SPEC = TreeSpec(accounts=2, regions=2, days=4, records=1500, late=0.05, corrupt=0.05)
LAYOUT: PartitionLayout = "account/region/year/month/day"
UP_TO = ("--to", "2026-01-13")
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    """A dataset, and what its logs hold."""
    folder = tmp_path_factory.mktemp("report")
    truth = generate_tree(folder / "logs", SPEC)
    return convert_in(LAYOUT, folder / "logs", folder / "lake"), truth


@pytest.fixture
def dataset(made: tuple[Path, Truth], tmp_path: Path) -> Path:
    """A copy of the dataset and its state, to be changed."""
    for ending in ("", ".state"):
        shutil.copytree(f"{made[0]}{ending}", tmp_path / f"lake{ending}")
    return tmp_path / "lake"


def report_of(dataset: Path, *options: object) -> str:
    output = dataset.with_name("report.html")
    succeed("report", dataset, "-o", output, *(options or UP_TO))
    return output.read_text()


def summary_of(html: str) -> ReportSummary:
    summary = summary_in(html.encode())
    assert summary is not None
    return summary


def calls(html: str, title: str) -> dict[str, int]:
    """The names below a heading, with their counts."""
    block = html.partition(f"<h3>{title}</h3>")[2].partition("</table>")[0]
    rows = re.findall(r'<span class="top">(.*?)</span>.*?<td class="n">([\d,]+)</td>', block)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_the_figures_are_those_of_the_dataset(made: tuple[Path, Truth], tmp_path: Path) -> None:
    dataset, truth = made

    done = run("report", dataset, "-o", tmp_path / "a.html")

    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r".*a\.html: 4 places, \S+ to \S+, \d+ kB\n", done.stderr)
    html = (tmp_path / "a.html").read_text()
    assert faults_of(html) == []
    rows = duckdb.read_parquet(f"{dataset}/**/*.parquet")
    counted = dict(rows.aggregate("eventSource, count(*)").fetchall())
    summary, text = summary_of(html), text_of(html)
    assert summary.records == sum(counted.values())
    assert summary.late == sum(
        duckdb.read_parquet(str(part)).shape[0] for part in dataset.rglob("straggler-*.parquet")
    )
    assert f" {summary.late} records came after the window of their day" in text
    assert summary.parquet_bytes == sum(p.stat().st_size for p in dataset.rglob("*.parquet"))
    top = calls(html, "Services")
    assert top == dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:10])
    for damaged in truth.corrupt_files:
        assert damaged.key in text


def test_a_day_that_is_lost_is_a_gap_which_the_next_report_sees_closed(
    dataset: Path, made: tuple[Path, Truth]
) -> None:
    whole = report_of(dataset)
    part = sorted(dataset.rglob("part-*.parquet"))[2]
    day = part.parent.relative_to(dataset)
    receipt = dataset.with_name("lake.state").joinpath("receipts", f"{day}.json")
    texts = {path: path.read_bytes() for path in (part, receipt)}
    for path in texts:
        path.unlink()

    holey = report_of(dataset)

    assert summary_of(whole).lacking == 0
    ((account, region, first, last),) = summary_of(holey).lacks
    assert first == last
    assert f"account={account}/region={region}/{first:year=%Y/month=%m/day=%d}" == day.as_posix()
    assert f"{first} {account} {region} unknown: no receipt" in text_of(holey)
    assert f"lack and did not before: 1 days (UTC) account region {first}" in text_of(holey)
    listed = text_of(report_of(dataset, *UP_TO, "--source", made[0].with_name("logs")))
    assert f"{first} {account} {region} missing: never converted" in listed

    for path, text in texts.items():
        path.write_bytes(text)
    closed = text_of(report_of(dataset))
    assert f"lacked and do not any more: 1 days (UTC) account region {first}" in closed


def test_without_receipts_it_says_what_nobody_tells(dataset: Path) -> None:
    summary = summary_of(report_of(dataset))
    shutil.rmtree(f"{dataset}.state")

    bare = text_of(report_of(dataset))
    run("status", dataset, "--rebuild")
    rebuilt = text_of(report_of(dataset))

    records, told = f"{summary.records:,}", "of which no receipt tells"
    assert "records 0 in" in bare
    assert told in bare
    assert f"Of {records} records from" in bare, "these are read from the parts"
    assert f"records {records} in" in rebuilt
    assert told not in rebuilt
    assert "only records and bytes of Parquet are known" in rebuilt


def test_days_accounts_and_regions_are_selected(dataset: Path) -> None:
    account = min(path.name for path in dataset.iterdir()).removeprefix("account=")

    html = report_of(dataset, "--account", account, "--from", "2026-01-10", "--to", "2026-01-11")

    summary = summary_of(html)
    assert summary.selection == ((account,), ())
    assert (summary.first, summary.last) == (date(2026, 1, 10), date(2026, 1, 11))
    assert summary.places == 2
    assert f"2026-01-10 to 2026-01-11 , of {account}. All days" in text_of(html)
    assert "could not be compared" not in text_of(html)


def test_nothing_is_read_of_the_dataset_if_no_top_is_asked_for(dataset: Path) -> None:
    shutil.rmtree(next(dataset.iterdir()))
    for part in dataset.rglob("*.parquet"):
        part.write_bytes(b"damaged")

    without = report_of(dataset, "--top-days", 0)
    with_top = report_of(dataset)

    assert "Services, principals and errors" not in text_of(without)
    assert "They could not be counted: " in text_of(with_top)


def test_only_the_last_days_are_counted(dataset: Path) -> None:
    html = report_of(dataset, "--top-days", 1)

    days = {path.parent for path in dataset.rglob("*.parquet")}
    last = max("/".join(path.parts[-3:]) for path in days)
    rows, _ = duckdb.read_parquet(f"{dataset}/*/*/{last}/*.parquet").shape
    assert f"Of {rows:,} records from" in text_of(html)


def test_a_file_that_is_no_report_is_replaced_only_when_forced(dataset: Path) -> None:
    other = dataset.with_name("notes.html")
    other.write_text("<html>mine")

    refused = run("report", dataset, "-o", other)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"error: .*notes\.html: it is not a report\. .* --force\n", refused.stderr)
    assert other.read_text() == "<html>mine"
    succeed("report", dataset, "-o", other, "--force")
    assert summary_of(other.read_text()).records


def test_a_report_is_not_written_into_the_dataset(dataset: Path) -> None:
    done = run("report", dataset, "-o", dataset / "report.html")

    assert done.returncode == 2
    assert "it lies in the dataset" in done.stderr
    assert not (dataset / "report.html").exists()


def test_standard_output_takes_a_report(dataset: Path) -> None:
    done = run("report", dataset, "-o", "-")

    assert (done.returncode, done.stderr) == (0, "")
    assert faults_of(done.stdout) == []


def test_where_nothing_was_converted_there_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = run("report", tmp_path / "empty", "-o", tmp_path / "report.html")

    assert done.returncode == 2
    assert "nothing is known of any day" in done.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_has_the_same_report(
    layout: PartitionLayout, made: tuple[Path, Truth], tmp_path: Path
) -> None:
    logs = made[0].with_name("logs")
    folded = convert_in(layout, logs, tmp_path / "lake")

    found, expected = (summary_of(report_of(each)) for each in (folded, made[0]))

    assert (found.records, found.late, found.places) == (
        expected.records,
        expected.late,
        expected.places,
    )
    assert found.log_bytes == expected.log_bytes
    assert found.parquet_bytes == sum(part.stat().st_size for part in folded.rglob("*.parquet"))


def test_figures_of_files_that_others_share_say_so(
    made: tuple[Path, Truth], tmp_path: Path
) -> None:
    folded = convert_in("year/month/day", made[0].with_name("logs"), tmp_path / "lake")
    account = min(path.name for path in made[0].iterdir()).removeprefix("account=")

    html = report_of(folded, "--account", account)

    alone, shared = summary_of(report_of(made[0], "--account", account)), summary_of(html)
    assert (shared.records, shared.places) == (alone.records, 2)
    assert shared.parquet_bytes > alone.parquet_bytes
    assert "share files with others" in text_of(html)
    assert "share files with others" not in text_of(report_of(folded))


def hostile_events() -> Iterator[dict[str, object]]:
    yield event("1")
    yield event(
        "2",
        eventSource=HOSTILE,
        errorCode=HOSTILE,
        userIdentity={"type": "IAMUser", "arn": HOSTILE + "x" * 9000},
    )


def test_names_in_records_are_text(tmp_path: Path) -> None:
    deliver(tmp_path / "logs", *hostile_events())
    convert_in(LAYOUT, tmp_path / "logs", tmp_path / "lake")

    html = report_of(tmp_path / "lake")

    assert faults_of(html) == []
    assert text_of(html).count("</script><img src=x onerror=alert(1)>\\u202e") == 3
    assert len(html) < 100_000


def test_the_commands_of_the_page_do_what_it_says(dataset: Path, made: tuple[Path, Truth]) -> None:
    page = (Path(__file__).parents[2] / "docs/report.md").read_text()
    commands = re.findall(r"^cloudtrail-parquet (.*)$", page, re.MULTILINE)
    shutil.copytree(made[0].with_name("logs"), dataset.with_name("logs"))
    dataset.rename(dataset.with_name("cloudtrail"))
    dataset.with_name("lake.state").rename(dataset.with_name("cloudtrail.state"))

    with chdir(dataset.parent):
        for command in commands:
            succeed(*shlex.split(command))

    pages = sorted(path.name for path in dataset.parent.glob("*.html"))
    assert pages == ["january.html", "report.html"]
    assert "What has changed" in text_of(dataset.with_name("report.html").read_text())
    assert "difference" in text_of(dataset.with_name("report.html").read_text())
