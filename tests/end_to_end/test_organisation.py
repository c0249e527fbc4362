"""The benchmark of whole organisations, on one small enough to know what it has to say."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from bench.asking import Answers, Reading, disagreements
from bench.conversions import DATASET
from bench.organisation import (
    ENGINES,
    LAYOUTS,
    STORAGES,
    TITLES,
    Measured,
    Options,
    arguments,
    conversion_rows,
    measure,
    missing_records,
    organisation,
    print_answers,
    request_cells,
)
from bench.questions import days_sql
from cloudtrail_parquet.contract import DEFAULT_LAYOUT
from cloudtrail_parquet.planning.cost import S3_GET, S3_PUT
from cloudtrail_parquet.sample_logs import Truth, generate_tree

NAME = "3x2x2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("organisations")


@pytest.fixture(scope="module")
def measured(folder: Path) -> Measured:
    layouts = (DEFAULT_LAYOUT, LAYOUTS[-1])
    return measure(NAME, layouts, STORAGES, Options(folder, workers=1, first_byte_s=0.001))


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return generate_tree(tmp_path_factory.mktemp("truth"), organisation(NAME))


def counted(rows: Iterable[list[int]]) -> int:
    return sum(row[1] for row in rows)


@pytest.mark.slow
def test_each_conversion_writes_every_record_and_the_same_bytes_on_a_disk_and_in_s3(
    measured: Measured, truth: Truth, folder: Path
) -> None:
    assert measured.bytes == truth.bytes_gzipped
    assert list(missing_records(measured)) == []
    assert measured.conversions[DEFAULT_LAYOUT, "disk"].files == len(truth.units)
    for layout in {layout for layout, _ in measured.conversions}:
        home = folder / NAME / layout.replace("/", "-")
        disk, s3 = (contents(home / storage / DATASET) for storage in STORAGES)
        assert disk == s3
        for storage in STORAGES:
            done = measured.conversions[layout, storage]
            assert (done.files, done.bytes) == (len(disk), sum(map(len, disk.values())))
            assert done.cpu_s > 0
            assert done.peak_mib > 50


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")
    }


@pytest.mark.slow
def test_the_requests_of_a_conversion_in_s3_are_counted(measured: Measured, truth: Truth) -> None:
    on_disk, in_s3 = (measured.conversions[DEFAULT_LAYOUT, storage] for storage in STORAGES)

    assert on_disk.counts == {}
    assert in_s3.counts["GET"] >= truth.files
    assert in_s3.counts["bytes read"] >= truth.bytes_gzipped
    assert in_s3.counts["PUT"] >= 2 * len(truth.units)  # a part and a receipt
    assert in_s3.counts["bytes written"] > in_s3.bytes
    assert in_s3.counts["LIST"] > 0


@pytest.mark.slow
def test_all_answers_agree_and_are_those_of_the_logs(measured: Measured, truth: Truth) -> None:
    assert list(disagreements(measured.answers)) == []
    assert {reading.engine for reading in measured.answers} == set(ENGINES)
    for answers in measured.answers.values():
        rows = {name: answer["rows"] for name, answer in answers.by_question.items()}
        assert counted(rows["calls by service"]) == truth.records
        assert rows["full scan"][0][0] == truth.records
        assert len(rows["one event id"]) == 1
        assert len(rows["one account, one day"]) in {
            sum(unit.records for unit in truth.units if (unit.account, unit.day) == wanted)
            for wanted in {(unit.account, unit.day) for unit in truth.units}
        }
        assert rows["one access key, 30 days"]
        assert rows["a role in one account, 3 days"]
        assert rows["denied calls by principal, 7 days"]


@pytest.mark.slow
def test_a_question_in_s3_is_told_with_its_requests(
    measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_in_s3 = [answers for reading, answers in measured.answers.items() if reading[1] == "s3"]
    assert asked_in_s3
    for answers in asked_in_s3:
        for answer in answers.by_question.values():
            assert answer["counts"]["GET"] > 0
            assert answer["counts"]["bytes read"] > 0
    one, everything = (
        asked_in_s3[0].by_question[question]["counts"]["GET"]
        for question in ("one account, one day", "full scan")
    )
    assert one < everything

    print_answers(measured)

    printed = capsys.readouterr().out
    assert "Polars" in printed
    assert "in S3" in printed
    assert f"{one:,} GET" in printed


@pytest.mark.slow
def test_dollars_are_told_of_s3_only(measured: Measured) -> None:
    for row in conversion_rows(measured, 1e-5):
        cells = dict(zip(TITLES, row, strict=True))
        assert (cells["dollars"] == "-") == (cells["on"] == "disk")
    in_s3 = measured.conversions[DEFAULT_LAYOUT, "s3"].counts
    puts = in_s3["PUT"] + in_s3["LIST"]
    assert request_cells(in_s3)[-1] == f"{in_s3['GET'] * S3_GET + puts * S3_PUT:.4f}"


def answers(rows: list[list[object]]) -> Answers:
    return Answers("1", {"question": {"seconds": 1, "counts": {}, "rows": rows}})


def test_another_answer_is_told_with_the_rows_that_differ() -> None:
    first = Reading("duckdb", "disk", DEFAULT_LAYOUT)
    given = {one: answers([["a"], ["b"]]) for one in (first, first._replace(engine="polars"))}

    assert list(disagreements(given)) == []
    (difference,) = disagreements({**given, first._replace(storage="s3"): answers([["a"], ["c"]])})
    assert difference.startswith("question: duckdb, s3, account/")
    assert "only the former [['c']], only the latter [['b']]" in difference


def test_days_are_asked_for_by_the_folders_of_a_layout() -> None:
    first, last = date(2026, 1, 30), date(2026, 2, 2)

    assert days_sql("account/region/year/month/day", first, last) == (
        "(year = 2026 AND month = 1 AND day BETWEEN 30 AND 31"
        " OR year = 2026 AND month = 2 AND day BETWEEN 1 AND 2)"
    )
    assert days_sql("account/region/dt", first, last) == (
        "dt BETWEEN DATE '2026-01-30' AND DATE '2026-02-02'"
    )


def test_an_organisation_has_a_name_of_three_numbers() -> None:
    spec = organisation("300x17x1")

    assert (spec.accounts, spec.regions, spec.days, spec.records) == (300, 17, 1, 102_000)
    with pytest.raises(ValueError, match="ACCOUNTSxREGIONSxDAYS"):
        organisation("300x17")


def test_an_organisation_of_another_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(["--organisation", "foo"])

    assert "--organisation: foo is not ACCOUNTSxREGIONSxDAYS" in capsys.readouterr().err
