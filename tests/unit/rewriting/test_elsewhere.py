"""Datasets that are made of others, in any layout."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import count, pairwise, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.rewriting import making
from cloudtrail_parquet.rewriting.elsewhere import Elsewhere, batches_of
from cloudtrail_parquet.rewriting.parts.files import read_part
from cloudtrail_parquet.settings.options import DatasetOptions
from cloudtrail_parquet.settings.settings import Settings
from tests.builders import WritableStores
from tests.layouts import LAYOUTS
from tests.unit.conversion.test_convert import At
from tests.unit.deliveries import START, deliver_all, deliveries, event, memory
from tests.unit.mortal import Killed, KilledError
from tests.unit.rewriting.datasets import (
    convert,
    deliver,
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
    convert_unit(unit, trails(unit), stores, make_settings(compression="gzip"))

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


def test_additions_and_shards_become_parts_of_one_unit() -> None:
    stores = some()
    convert(stores, PLAIN)
    added, split = filled(stores)[0], filled(stores)[-1]
    deliver(
        stores,
        START + timedelta(hours=21),
        event(950, START + timedelta(hours=21)),
        account=added.account,
        region=added.region,
        unique="added",
    )
    early = replace(stores, clock=At(datetime.combine(added.day, time(23), UTC)))
    convert_unit(added, trails(added), early, PLAIN)
    for number in (1, 2):
        convert_unit(split, trails(split), stores, PLAIN, shard=Shard(number, 2))
    assert receipt_of(stores, added).additions == 1
    assert len(receipt_of(stores, split).parts) > 1
    for layout in ("account/region/dt", "year/month/day"):
        target = with_logs_of(stores)

        rewrite_elsewhere(stores, target, PLAIN, ALL[layout])

        assert rows(target) == rows(stores)
        names = [key.rpartition("/")[2] for key in parts(target)]
        assert all(name.startswith(("part-00000", "straggler-")) for name in names)


def test_units_that_were_kept_stay_so() -> None:
    stores = some()
    convert(stores, PLAIN)
    unit = filled(stores)[0]
    gone = [
        entry.key
        for entry in stores.source.files("")
        if f"/{unit.account}/CloudTrail/{unit.region}/{unit.day:%Y/%m/%d}/" in entry.key
    ]
    stores.source.delete(gone[:1])
    convert(stores, PLAIN)
    kept = receipt_of(stores, unit)
    assert kept.kept
    target = with_logs_of(stores)

    rewrite_elsewhere(stores, target, PLAIN, ALL["account/region/dt"])

    assert receipt_of(target, unit).kept == kept.kept
    stood = parts(target)
    # What could not join its parts as they were may join them now: it is looked at once.
    assert [each.unit for each in plan(target, ALL["account/region/dt"])] == [unit]
    convert(target, ALL["account/region/dt"])
    assert parts(target) == stood
    assert receipt_of(target, unit).kept
    assert not plan(target, ALL["account/region/dt"])


def test_a_source_that_changes_while_it_is_read_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores, runs = some(), count()
    convert(stores, PLAIN)
    unit = filled(stores)[0]

    def read(dataset: object, entry: object) -> object:
        if not next(runs):
            convert_unit(unit, trails(unit), stores, make_settings(compression="gzip"))
        return read_part(dataset, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "read_part", read)
    target = with_logs_of(stores)

    rewrite_elsewhere(stores, target, PLAIN, ALL["dt"])

    assert rows(target) == rows(stores)
    whole = receipt_of(target, Unit("", "", unit.day)).rewritten
    assert receipt_of(stores, unit).run in whole.runs  # type: ignore[union-attr]


def test_rules_are_applied_on_the_way(converted: dict[str, WritableStores]) -> None:
    rules: dict[str, Any] = {
        "discard": [{"name": "calls", "eventName": ["O*"]}],
        "redact": [{"name": "n", "keys": ["n"]}],
    }
    settings = make_settings(partition_layout="account/dt", **rules)
    stores = converted["year/month/day"]
    wanted, target = with_logs_of(stores), with_logs_of(stores)
    convert(wanted, settings)

    made = rewrite_elsewhere(stores, target, ALL["year/month/day"], settings)

    assert rows(target) == rows(wanted)
    for receipt in made:
        receipt.records.check(receipt.unit.name)
        figures = [each for places in receipt.places.values() for each in places.values()]
        assert receipt.records.discarded == sum(each.records[5] for each in figures)


def trails(unit: Unit) -> list[str]:
    return [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]
