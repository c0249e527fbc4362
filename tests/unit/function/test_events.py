import json
import re
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.contract import MAX_UNITS
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.function.events import (
    ConvertEvent,
    DailyEvent,
    Event,
    parse,
    parse_text,
    to_text,
)
from cloudtrail_parquet.layout import Unit

PAGE = (Path(__file__).parents[3] / "docs/events.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
UNIT = {"account": "012345678901", "region": "us-east-1", "day": "2026-01-10"}

units = st.builds(Unit, st.from_regex(r"\d{12}", fullmatch=True), st.text(max_size=12), st.dates())


def cut(unit: dict[str, Any], second: int) -> dict[str, Any]:
    """An event for a shard of a unit with one bound."""
    bounds = [["012345678901", "us-east-1", second]]
    return {"kind": "convert", "units": [{**unit, "bounds": bounds}]}


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_of_the_docs_is_an_event(text: str) -> None:
    assert isinstance(parse_text(text), Event)


def test_the_docs_have_an_example_of_each_kind_and_of_an_event_of_a_bus() -> None:
    kinds = [type(parse_text(text)) for text in EXAMPLES]

    assert set(kinds) == set(get_args(Event))
    assert any("detail-type" in text for text in EXAMPLES)


def test_a_schedule_without_more_means_yesterday() -> None:
    assert parse({"kind": "daily"}) == DailyEvent(days_back=1)


def test_an_event_of_a_bus_means_its_detail() -> None:
    bare = {"kind": "convert", "units": [UNIT]}

    on_bus = {"version": "0", "id": "x", "detail-type": "y", "source": "z", "detail": bare}

    assert (
        parse(on_bus)
        == parse(bare)
        == ConvertEvent.of([Unit("012345678901", "us-east-1", date(2026, 1, 10))])
    )


@pytest.mark.parametrize("place", [{}, {"account": "012345678901"}])
def test_a_unit_that_spans_places_is_cut_at_bounds(place: dict[str, str]) -> None:
    unit = {**place, "day": UNIT["day"], "shard": [1, 2]}

    event = parse(cut(unit, 15 * 86_400 - 1))

    assert isinstance(event, ConvertEvent)
    assert event.units[0].one.of == 2
    assert parse_text(to_text(event)) == event


@pytest.mark.parametrize("body", [None, 1, {"kind": "daily"}, ["daily"], '"daily"', "", "{"])
def test_a_body_that_is_no_text_of_an_event_is_refused(body: object) -> None:
    with pytest.raises(UsageError, match=r"docs/events\.md"):
        parse_text(body)


@given(st.lists(units, min_size=1, max_size=4))
def test_an_event_comes_back_from_its_text(some: list[Unit]) -> None:
    event = ConvertEvent.of(some)

    assert parse_text(to_text(event)) == event
    assert [one.unit for one in event.units] == some


def test_a_full_event_is_small_enough_for_its_carriers() -> None:
    unit = Unit("012345678901", "ap-southeast-2", date(2026, 1, 10))

    assert len(to_text(ConvertEvent.of([unit] * MAX_UNITS))) * 10 < 1_000_000


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "missing required field `kind`"),
        ({"kind": "hourly"}, "Invalid value 'hourly'"),
        ({"kind": "daily", "hours": 1}, "unknown field `hours`"),
        ({"kind": "daily", "days_back": -1}, "`int` >= 0"),
        ({"kind": "daily", "days": 367}, "`int` <= 366"),
        ({"kind": "daily", "days_back": "1"}, "Expected `int`"),
        ({"kind": "convert"}, "missing required field `units`"),
        ({"kind": "convert", "units": []}, "length >= 1"),
        ({"kind": "convert", "units": [UNIT] * (MAX_UNITS + 1)}, f"length <= {MAX_UNITS}"),
        ({"kind": "convert", "units": [{**UNIT, "day": "2026-02-30"}]}, "$.units[0].day"),
        ({"kind": "convert", "units": [{**UNIT, "hour": 1}]}, "unknown field `hour`"),
        (cut({**UNIT, "shard": [1, 2]}, 0), "bounds are for units that span places"),
        (cut({"day": UNIT["day"], "shard": [1, 2]}, -1), "`int` >= 0"),
        (cut({"day": UNIT["day"], "shard": [1, 2]}, 15 * 86_400), "`int` <= 1295999"),
        (cut({"day": UNIT["day"], "shard": [1, 3]}, 0), "1 bound for 3 shards"),
        ({"kind": "plan", "from": "2026-01-01"}, "missing required field `to`"),
        ({"kind": "plan", "from": "2026-01-02", "to": "2026-01-01"}, "is before from"),
        ({"kind": "plan", "from": "2026-01-01", "to": "2026-01-02", "only": "new"}, "'new'"),
        ({"kind": "rewrite", "units": [UNIT], "from": "2026-01-01"}, "one or the other"),
        ({"kind": "rewrite", "units": [{**UNIT, "shard": [1, 2]}]}, "rewritten as a whole"),
        ({"kind": "rewrite", "units": [UNIT] * (MAX_UNITS + 1)}, f"length <= {MAX_UNITS}"),
        ({"kind": "rewrite", "from": "2026-01-02", "to": "2026-01-01"}, "is before from"),
        ({"kind": "rewrite", "only": "missing"}, "'missing'"),
        ({"kind": "expire"}, "missing required field `older_than`"),
        ({"kind": "expire", "older_than": 7}, "Expected `str`"),
        ({"Records": []}, "kind"),
        ([], "Expected `object`"),
        (None, "Expected `object`"),
        ("daily", "Expected `object`"),
    ],
)
def test_what_is_no_event_is_refused_with_what_was_expected(raw: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(UsageError) as caught:
        parse(raw)

    assert said in str(caught.value)
    assert "docs/events.md" in str(caught.value) or "Swap them" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "daily", "\ud800".encode("utf-8", "surrogatepass")])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(UsageError, match=r"docs/events\.md"):
        parse_text(text)


@given(st.recursive(st.one_of(st.none(), st.integers(), st.text()),
                    lambda inner: st.dictionaries(st.sampled_from(["kind", "units", "detail",
                                                  "detail-type", "from"]), inner)))  # fmt: skip
def test_anything_else_is_refused_too(raw: object) -> None:
    with pytest.raises(UsageError):
        parse_text(json.dumps(raw))
