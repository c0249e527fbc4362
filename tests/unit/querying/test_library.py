"""The comment at the head of a query is read as it is written."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.querying.library import Parameter, names, parse, queries, query

TEXT = """\
-- Which calls were made with an access key?
--
-- Both copies of a cross-account call are listed:
-- they share a sharedEventID.
--
-- Parameters:
--   key         AKIAIOSFODNN7EXAMPLE: the id of the key (required)
--   first_day   2026-01-11: the first day of the search;
--               without it, all days
--   session     arn:aws:sts::012345678901:assumed-role/reader/ada: a session
-- Source: AWS, Security Blog.
SELECT 1;
-- Source: not of the head
"""


def test_a_query_says_what_it_finds_what_it_is_given_and_where_the_idea_is_from() -> None:
    key, day, session = (
        Parameter("key", "AKIAIOSFODNN7EXAMPLE", "the id of the key", is_required=True),
        Parameter(
            "first_day",
            "2026-01-11",
            "the first day of the search; without it, all days",
            is_required=False,
        ),
        Parameter(
            "session",
            "arn:aws:sts::012345678901:assumed-role/reader/ada",
            "a session",
            is_required=False,
        ),
    )

    read = parse("calls", TEXT)

    assert read.title == "Which calls were made with an access key?"
    about = "Both copies of a cross-account call are listed: they share a sharedEventID."
    assert read.about == about
    assert read.parameters == (key, day, session)
    assert read.source == "AWS, Security Blog."
    assert read.text == TEXT


def test_a_title_is_enough() -> None:
    assert parse("a", "-- Everything.\nSELECT 1")[1:5] == ("Everything.", "", (), "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SELECT 1", "a, line 1: no sentence"),
        ("--\n-- Later.\nSELECT 1", "a, line 1: no sentence"),
        ("-- Title.\n-- Parameters:\n--   key, of something\n", "a, line 3: not '  name"),
        ("-- Title.\n-- Parameters: key\n", "a, line 2: not '  name"),
    ],
)
def test_another_form_is_an_error_that_names_the_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse("a", text)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_parameter_whose_example_is_a_day_is_a_day(day: date) -> None:
    assert Parameter("since", "2026-01-11", "", is_required=False).value(str(day)) == day


@pytest.mark.parametrize("text", ["10.1.2026", "2026-02-30", "20260110", "", "2026-1-1"])
def test_what_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since: '.*' is not a day. Write 2026-01-11"):
        Parameter("since", "2026-01-11", "", is_required=False).value(text)


def test_any_text_is_the_value_of_another_parameter() -> None:
    assert Parameter("key", "AKIA", "", is_required=True).value("2026-01-11") == "2026-01-11"


def test_all_queries_are_found_and_read() -> None:
    read = list(queries())

    assert [one.name for one in read] == names()
    assert "one_event" in names()
    assert all(one.title.endswith(("?", ".")) for one in read)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("one_evnt", "Did you mean one_event?"),
        ("trail", "Did you mean trail_tampering?"),
        ("xyz", "it is not SQL. query --list shows all"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: there is no query of this name.*{hint}"):
        query(name)


def test_a_query_that_an_engine_has_not_is_an_error() -> None:
    with pytest.raises(
        UsageError, match=r"one_event: there is no version for polars\. There are: "
    ):
        query("one_event", "polars")
