"""Datasets that are made of others, in any layout."""

from itertools import count, pairwise, permutations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.rewriting.elsewhere import Elsewhere, batches_of
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import WritableStores
from tests.layouts import LAYOUTS
from tests.unit.deliveries import deliver_all, deliveries, memory
from tests.unit.mortal import Killed, KilledError
from tests.unit.rewriting.datasets import (
    convert,
    filled,
    is_true,
    parts,
    plan,
    receipt_of,
    rewrite_elsewhere,
    rows,
    some,
    units,
)

PLAIN = Settings()
ALL: dict[str, Settings] = {layout: make_settings(partition_layout=layout) for layout in LAYOUTS}


def with_logs_of(stores: WritableStores) -> WritableStores:
    """Empty stores with the same source."""
    empty = memory()
    return WritableStores(stores.source, empty.dataset, empty.state)


@pytest.fixture(scope="module")
def converted() -> dict[str, WritableStores]:
    made: dict[str, WritableStores] = {}
    for layout, settings in ALL.items():
        made[layout] = some()
        convert(made[layout], settings)
    return made


@pytest.mark.parametrize(("before", "after"), list(permutations(LAYOUTS, 2)))
def test_a_dataset_in_another_layout_is_as_a_conversion_would_have_made_it(
    converted: dict[str, WritableStores], before: str, after: str
) -> None:
    stores, wanted = converted[before], converted[after]
    target = with_logs_of(stores)

    made = rewrite_elsewhere(stores, target, ALL[before], ALL[after])

    assert rows(target) == rows(wanted)
    assert units(target) == units(wanted)
    assert parts(target).keys() == parts(wanted).keys()
    for receipt in made:
        theirs = receipt_of(wanted, receipt.unit)
        assert is_true(target, receipt.unit)
        assert receipt.rewritten.dataset == stores.dataset.uri  # type: ignore[union-attr]
        facts = ("records", "files", "stragglers", "bytes_in", "status", "settled", "quarantined")
        assert [getattr(receipt, name) for name in facts] == [
            getattr(theirs, name) for name in facts
        ]
    if span(before) == span(after) or (len(span(before)), len(span(after))) == (1, 0):
        assert not plan(target, ALL[after])
        assert parts(target) == parts(wanted)
    else:
        assert {each.why for each in plan(target, ALL[after])} == {
            "its receipt does not say which log files it was made of"
        }


def span(layout: str) -> list[str]:
    """Which of account and region are folders."""
    return [name for name in ("account", "region") if name in layout]


@given(files=deliveries(), layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 3))
@examples(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_dataset_has_the_same_rows_after_any_layouts(
    files: object, layouts: tuple[str, ...]
) -> None:
    stores, _ = deliver_all(files)  # type: ignore[arg-type]
    convert(stores, ALL[layouts[0]])
    before = rows(stores)

    for one, other in pairwise(layouts):
        target = with_logs_of(stores)
        rewrite_elsewhere(stores, target, ALL[one], ALL[other])
        stores = target

    assert rows(stores) == before
    convert(stores, ALL[layouts[-1]])
    assert rows(stores) == before
    assert not plan(stores, ALL[layouts[-1]])


@pytest.mark.parametrize("layout", ["account/region/dt", "year/month/day"])
def test_a_run_that_is_killed_at_any_change_is_completed_by_another(
    converted: dict[str, WritableStores], layout: str
) -> None:
    stores, wanted = converted["account/region/year/month/day"], converted[layout]
    for changes in count():
        target = with_logs_of(stores)
        try:
            rewrite_elsewhere(stores, Killed(target, changes).stores, PLAIN, ALL[layout])
        except KilledError:
            rewrite_elsewhere(stores, target, PLAIN, ALL[layout])
        else:
            break
        assert rows(target) == rows(wanted)
        assert all(is_true(target, unit) for unit in units(target))
        assert not list(target.state.files("intents/"))
    assert changes >= 8


def test_what_is_there_already_is_left_alone(converted: dict[str, WritableStores]) -> None:
    stores, target = converted["dt"], with_logs_of(converted["dt"])
    made = rewrite_elsewhere(stores, target, ALL["dt"], PLAIN)

    assert rewrite_elsewhere(stores, target, ALL["dt"], PLAIN) == made


def test_a_unit_that_was_converted_again_is_rewritten_again() -> None:
    stores = some()
    convert(stores, PLAIN)
    target = with_logs_of(stores)
    rewrite_elsewhere(stores, target, PLAIN, ALL["dt"])
    unit = filled(stores)[0]
    trails = [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]
    convert_unit(unit, trails, stores, make_settings(compression="gzip"))

    rewrite_elsewhere(stores, target, PLAIN, ALL["dt"])

    runs = [
        run
        for each in units(target)
        for run in receipt_of(target, each).rewritten.runs  # type: ignore[union-attr]
    ]
    assert set(runs) == {receipt_of(stores, each).run for each in units(stores)}


def test_what_was_converted_is_not_overwritten(converted: dict[str, WritableStores]) -> None:
    stores = converted["dt"]
    target = with_logs_of(stores)
    convert(target, PLAIN)
    before = parts(target)

    with pytest.raises(UsageError, match="made of something else"):
        rewrite_elsewhere(stores, target, ALL["dt"], PLAIN)

    assert parts(target) == before


def test_nothing_is_added_to_a_dataset_that_was_finished(
    converted: dict[str, WritableStores],
) -> None:
    stores = converted["dt"]
    target = with_logs_of(stores)
    before = DatasetOptions.of(ALL["dt"])
    act = Elsewhere(stores, target, before, PLAIN, is_open=False).rewrite

    with pytest.raises(UsageError, match="which was finished"):
        act(batches_of(units(stores), PLAIN.partition_layout)[0])


def test_what_expired_from_the_source_is_kept_in_another_layout() -> None:
    stores = some()
    convert(stores, PLAIN)
    target = with_logs_of(stores)
    rewrite_elsewhere(stores, target, PLAIN, ALL["year/month/day"])
    before = rows(target)
    gone = [entry.key for entry in stores.source.files("") if "000000000002" in entry.key]
    stores.source.delete(gone)

    receipts = convert(target, ALL["year/month/day"])

    assert rows(target) == before
    assert any(receipt.kept for receipt in receipts)
    assert not plan(target, ALL["year/month/day"])
