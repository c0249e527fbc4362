"""What a program may use: loaded when it is used, and refused at once where it is used wrongly."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import cloudtrail_parquet
from cloudtrail_parquet import UsageError, convert, export, make_settings, read_schema
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.errors import MistakesError
from cloudtrail_parquet.schema.columns import SCHEMA
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.version import __version__
from tests.builders import ACCOUNT, REGION
from tests.end_to_end.trees import NOON, contents, deliver, event
from tests.layouts import LAYOUTS, convert_in

DAY = NOON.date()
SOURCES = str(Path(__file__).parents[2] / "lambda_src")
NOT_PYTHONS = {"cloudtrail_parquet", "msgspec", "obstore", "pyarrow", "rich", "typer"}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    deliver(tmp_path / "logs", event("a"))
    return tmp_path / "logs"


def test_the_package_has_its_names_and_no_others() -> None:
    for name in cloudtrail_parquet.__all__:
        assert getattr(cloudtrail_parquet, name)
    assert {*cloudtrail_parquet.__all__} <= {*dir(cloudtrail_parquet)}
    assert cloudtrail_parquet.__version__ == __version__
    missing = "converts"
    with pytest.raises(AttributeError, match="no attribute 'converts'"):
        getattr(cloudtrail_parquet, missing)


def test_the_package_alone_loads_nothing() -> None:
    program = "import sys; before = {*sys.modules}; import cloudtrail_parquet\n"
    program += "print(*sorted({*sys.modules} - before))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {SOURCES!r}); {program}"],
        capture_output=True,
        check=True,
        text=True,
    )

    ours = ["cloudtrail_parquet", "cloudtrail_parquet.version"]
    assert [one for one in done.stdout.split() if one.partition(".")[0] in NOT_PYTHONS] == ours


def test_outcomes_are_those_of_units_with_log_files(logs: Path, tmp_path: Path) -> None:
    (outcome,) = convert(logs, tmp_path / "lake", tmp_path / "notes")

    assert outcome.unit == (ACCOUNT, REGION, DAY)
    assert outcome.receipt
    assert outcome.receipt.records.written == 1
    assert contents(tmp_path / "notes")
    assert not (tmp_path / "lake.state").exists()
    (text,) = export(tmp_path / "lake", first=DAY, last=DAY, accounts=[ACCOUNT], regions=[REGION])
    assert '"eventID":"a"' in text


def test_nothing_is_converted_before_it_is_asked_for(logs: Path, tmp_path: Path) -> None:
    convert(logs, tmp_path / "lake")

    assert not (tmp_path / "lake").exists()


def test_a_unit_that_fails_has_an_error(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / f"account={ACCOUNT}").write_text("in the way")

    (outcome,) = convert(logs, tmp_path / "lake")

    assert outcome.receipt is None
    assert outcome.error


def test_what_is_up_to_date_is_converted_again_only_if_that_is_asked_for(
    logs: Path, tmp_path: Path
) -> None:
    assert len(list(convert(logs, tmp_path / "lake"))) == 1
    everything = contents(tmp_path)

    assert list(convert(logs, tmp_path / "lake")) == []
    assert list(convert(logs, tmp_path / "lake", only="missing")) == []
    assert contents(tmp_path) == everything
    assert len(list(convert(logs, tmp_path / "lake", only="all"))) == 1
    other = make_settings(compression="gzip", compression_level=1)
    assert list(convert(logs, tmp_path / "lake", settings=other)) == []
    assert len(list(convert(logs, tmp_path / "lake", settings=other, only="reshaped"))) == 1


WRONG: dict[str, dict[str, Any]] = {
    "Use datetime.date, in UTC": {"first": datetime(2026, 1, 10, tzinfo=UTC)},
    "'2026-01-10' is not a date": {"last": "2026-01-10"},
    r"Use a list: \['012345678901'\]": {"accounts": ACCOUNT},
    "regions: 'eu-central-1' is a text": {"regions": REGION},
    "the last day, 2026-01-09, is before": {"first": DAY, "last": date(2026, 1, 9)},
    "no logs for account 999999999999": {"accounts": ["999999999999"]},
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_selection_is_refused_at_once(said: str, logs: Path, tmp_path: Path) -> None:
    list(convert(logs, tmp_path / "lake"))

    with pytest.raises(UsageError, match=said):
        convert(logs, tmp_path / "other", **WRONG[said])
    with pytest.raises(UsageError, match=said):
        export(tmp_path / "lake", **WRONG[said])
    assert not (tmp_path / "other").exists()


def test_only_what_can_be_chosen_is_taken(logs: Path, tmp_path: Path) -> None:
    chosen: Any = "new"
    with pytest.raises(UsageError, match="Use one of missing, outdated, reshaped, all"):
        convert(logs, tmp_path / "lake", only=chosen)


@pytest.mark.parametrize("last", [date(2020, 1, 1), date(2026, 1, 9)])
def test_no_log_file_is_no_success(last: date, logs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log files for what was selected"):
        list(convert(logs, tmp_path / "lake", last=last))


def test_the_schema_is_that_of_the_settings() -> None:
    assert read_schema().names == [*SCHEMA.names, "account", "region", "year", "month", "day"]
    settings = make_settings(json_encoding="json", partition_layout="account/region/dt")
    assert read_schema(settings).names[-3:] == ["account", "region", "dt"]
    assert read_schema(settings).field("dt").type == pa.date32()
    assert read_schema(settings).field("requestParameters").type == pa.json_()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_of_any_layout_is_read_with_its_schema(
    layout: PartitionLayout, logs: Path, tmp_path: Path
) -> None:
    lake = convert_in(layout, logs, tmp_path / "lake")
    schema = read_schema(make_settings(partition_layout=layout))

    rows = ds.dataset(lake, schema, partitioning="hive").to_table()
    frame = pl.scan_parquet(lake / "**/*.parquet", hive_partitioning=True, schema=pl.Schema(schema))

    place = {"account": ACCOUNT, "region": REGION}
    assert rows.schema == schema
    assert rows.select(list(place)).to_pylist() == [place]
    assert frame.select(*place).collect().to_dicts() == [place]


def test_settings_are_checked_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("page_rows = 7\nrow_group_rows = 9\n")

    with pytest.raises(MistakesError) as error:
        make_settings(page_row=7, lease_s="soon")

    assert [one.split(":")[1] for one in error.value.problems] == [
        " there is no setting page_row",
        " lease_s = 'soon'",
    ]
    assert make_settings() == Settings()
    assert make_settings(file, page_rows=8) == Settings(page_rows=8, row_group_rows=9)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lookahead_s": -50_000}, "lookahead_s = -50000"),
        ({"max_inflated_bytes": -1}, "max_inflated_bytes = -1"),
        ({"replace_shrunk": "no"}, "replace_shrunk = 'no'"),
        ({"sort_by": ("nope",)}, "sort_by = "),
        ({"part_bytes": 0, "lease_s": 0}, "part_bytes = 0"),
        ({"discard": [object()]}, "a value of another kind"),
        ({"compression": "gzip", "compression_level": 10}, "gzip has the levels 1 to 9"),
    ],
)
def test_settings_that_a_program_made_are_checked_before_anything_is_converted(
    values: dict[str, Any], said: str, logs: Path, tmp_path: Path
) -> None:
    for use in (lambda one: convert(logs, tmp_path / "lake", settings=one), read_schema):
        with pytest.raises(UsageError, match=said):
            use(Settings(**values))
    assert not (tmp_path / "lake.state").exists()


def test_legal_settings_of_any_kind_are_taken() -> None:
    made = make_settings(discard=[{"name": "a", "eventName": ["x"]}], column_encoding={})

    assert read_schema(made) == read_schema(Settings(bloom_fpp=0.5, sort_by=()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"settings": {"page_rows": 5}}, "dict is not Settings"),
        ({"workers": 0}, "workers: 0 is not"),
        ({"workers": "2"}, "workers: '2' is not"),
        ({"accounts": [63301643317]}, "is not a list of texts"),
        ({"accounts": None}, "is not a list of texts"),
        ({"dataset": None}, "dataset: None is not a location"),
        ({"dataset": " "}, "dataset: the location is empty"),
        ({"source": ""}, "source: the location is empty"),
    ],
)
def test_what_is_of_another_kind_is_refused_at_once(
    arguments: dict[str, Any], said: str, logs: Path, tmp_path: Path
) -> None:
    call: Any = convert
    with pytest.raises(UsageError, match=said):
        call(**{"source": logs, "dataset": tmp_path / "lake", **arguments})


def test_log_files_that_no_unit_reads_are_warned_of(
    logs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (log, *_) = sorted(logs.rglob("*.json.gz"))
    (log.parents[2] / log.name).write_bytes(log.read_bytes())

    assert all(one.receipt for one in convert(logs, tmp_path / "lake"))

    assert [one.name for one in caplog.records] == ["cloudtrail_parquet"] * 2
    assert "unplaced: " in caplog.text
    assert "no unit reads it: it has to lie in" in caplog.text
