"""The Athena workgroup and its queries; what these find, test_queries.py tries."""

import re

from cloudtrail_parquet.contract import PARTITION_COLUMNS
from stacks.environment.fields import Environment
from stacks.investigations import investigations
from tests.layouts import LAYOUTS
from tests.stacks.conftest import ROOT
from tests.stacks.reading import Stack, StackOf, all_of, filled, only

NAMES = {path.stem for path in (ROOT / "queries").glob("*.sql")}


def test_there_is_a_workgroup_on_request_alone(stack: Stack, environment: Environment) -> None:
    wanted = environment.catalogue.workgroup

    assert len(all_of(stack, "aws_athena_workgroup")) == (wanted is not None)
    assert len(all_of(stack, "aws_athena_named_query")) == (len(NAMES) if wanted else 0)


def test_a_query_that_reads_too_much_is_cancelled_whatever_its_client_says(other: StackOf) -> None:
    workgroup = only(other("everything"), "aws_athena_workgroup")

    configuration = workgroup["configuration"]
    assert workgroup["name"] == "trails"
    assert configuration["bytes_scanned_cutoff_per_query"] == 200_000_000_000
    assert configuration["enforce_workgroup_configuration"] is True


def test_results_are_encrypted_and_go_to_a_bucket_of_the_named_owner(other: StackOf) -> None:
    def results(case: str) -> object:
        return only(other(case), "aws_athena_workgroup")["configuration"]["result_configuration"]

    key = "arn:aws:kms:eu-central-1:123456789012:key/88888888-0000-4000-8000-000000000000"
    assert results("everything") == {
        "output_location": "s3://athena-results/cloudtrail/",
        "expected_bucket_owner": "123456789012",
        "encryption_configuration": {"encryption_option": "SSE_KMS", "kms_key_arn": key},
    }
    assert results("story-dt") == {
        "output_location": "s3://athena-results/athena/",
        "encryption_configuration": {"encryption_option": "SSE_S3"},
    }


def test_each_investigation_is_a_query_of_the_workgroup_over_the_table(other: StackOf) -> None:
    for case, table in (("everything", '"security"."trails"'), ("story-dt", '"story_dt"."cloudt')):
        queries = all_of(other(case), "aws_athena_named_query").values()

        assert {one["name"] for one in queries} == NAMES
        for one in queries:
            question = (ROOT / f"queries/{one['name']}.sql").read_text().partition("\n")[0]
            assert one["description"].startswith(f"{question.removeprefix('-- ')} Parameters: ")
            assert len(one["description"]) <= 1024  # CreateNamedQuery, Athena API Reference
            assert one["workgroup"] == "${aws_athena_workgroup.athena_workgroup.name}"
            assert one["database"] == "${aws_glue_catalog_table.catalogue.database_name}"
            text = filled(one["query"])
            assert "filled-in" not in text
            assert text.count(f"FROM {table}") == 1
            assert "$.MFAUsed" in text or one["name"] != "console_logins_without_mfa"


def test_a_query_reads_the_folders_of_its_days_and_has_the_parameters_that_it_names() -> None:
    for layout in LAYOUTS:
        days = ("dt",) if "dt" in PARTITION_COLUMNS[layout] else ("year", "month", "day")
        for one in investigations(layout, "lake", "trails"):
            head, _, rest = one.text.partition("WITH cloudtrail AS (")
            (said,) = re.findall(r"^-- Parameters, in this order: (.*)$", head, re.MULTILINE)
            where = rest.partition("WHERE ")[2].partition("\n)")[0]

            assert re.findall(r"\w+(?= = \?| BETWEEN)", where) == list(days)
            own = said.split("; ")[1:]
            assert rest.count("?") - where.count("?") - rest.count("(?i)") == len(own)
            assert "?" not in head  # a question would be taken for a parameter
            assert one.description.endswith(f"Parameters: {said}")
            assert all(len(line) <= 100 for line in rest.splitlines())
