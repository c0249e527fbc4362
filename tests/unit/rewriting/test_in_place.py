"""Parts that are made anew under their own names."""

from datetime import timedelta
from itertools import count

import pytest

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.layout import Shard
from cloudtrail_parquet.rewriting import in_place
from cloudtrail_parquet.rewriting.in_place import rewrite_unit
from cloudtrail_parquet.rewriting.parts.rewriter import rewrite_part
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.state.notes import read_notes
from tests.builders import WritableStores
from tests.unit.counted import Counts
from tests.unit.deliveries import START
from tests.unit.mortal import Killed, KilledError
from tests.unit.rewriting.datasets import (
    convert,
    filled,
    is_true,
    parts,
    plan,
    receipt_of,
    rows,
    some,
    units,
)

PLAIN = Settings()
OTHERS = {
    "codec": make_settings(compression="gzip"),
    "encoding": make_settings(json_encoding="json"),
    "variant": make_settings(json_encoding="variant"),
    "row groups": make_settings(row_group_rows=2),
    "order": make_settings(sort_by=("eventName", "eventTime")),
    "filters": make_settings(bloom_columns=()),
}
RULES = make_settings(
    discard=[{"name": "gone", "eventName": ["Other"]}], redact=[{"name": "n", "keys": ["n"]}]
)


def converted(settings: Settings = PLAIN) -> WritableStores:
    stores = some()
    assert convert(stores, settings)
    return stores


def copied(stores: WritableStores) -> WritableStores:
    copy = some()
    for one, other in ((stores.dataset, copy.dataset), (stores.state, copy.state)):
        for entry in one.files(""):
            other.write(entry.key, one.read(entry.key))
    return copy


def rewrite(stores: WritableStores, settings: Settings) -> None:
    for unit in units(stores):
        rewrite_unit(unit, stores, settings)


@pytest.mark.parametrize("other", OTHERS)
def test_a_rewritten_dataset_is_as_a_conversion_would_have_made_it(other: str) -> None:
    stores, wanted = converted(), converted(OTHERS[other])
    before = rows(stores)

    rewrite(stores, OTHERS[other])

    assert rows(stores) == before == rows(wanted)
    assert parts(stores) == parts(wanted)
    assert not plan(stores, OTHERS[other])
    for unit in units(stores):
        mine, theirs = receipt_of(stores, unit), receipt_of(wanted, unit)
        assert mine.rewritten.runs  # type: ignore[union-attr]
        assert is_true(stores, unit)
        facts = ("records", "places", "unmapped", "settings", "parts", "stragglers", "identities")
        assert [getattr(mine, name) for name in facts] == [getattr(theirs, name) for name in facts]


@pytest.mark.parametrize("other", OTHERS)
def test_a_dataset_that_is_rewritten_there_and_back_is_the_same(other: str) -> None:
    if other == "variant":  # it does not keep the order of members
        pytest.skip("VARIANT does not keep the order of members")
    stores = converted()
    before = parts(stores)

    rewrite(stores, OTHERS[other])
    assert parts(stores) != before
    rewrite(stores, PLAIN)

    assert parts(stores) == before


def test_a_unit_that_is_as_wanted_is_left_alone() -> None:
    stores = converted()
    before = {unit: receipt_of(stores, unit) for unit in units(stores)}

    rewrite(stores, PLAIN)

    assert {unit: receipt_of(stores, unit) for unit in units(stores)} == before


@pytest.mark.parametrize("settings", [OTHERS["codec"], RULES], ids=["codec", "rules"])
def test_a_run_that_is_killed_at_any_change_is_completed_by_the_next(settings: Settings) -> None:
    original = converted()
    wanted = copied(original)
    rewrite(wanted, settings)
    before, after = rows(original), rows(wanted)
    for changes in count():
        stores = copied(original)
        try:
            rewrite(Killed(stores, changes).stores, settings)
        except KilledError:
            pass
        else:
            break
        found = rows(stores)
        assert after.total() <= found.total() <= before.total()
        assert found <= before | after

        rewrite(stores, settings)

        assert parts(stores) == parts(wanted)
        assert all(is_true(stores, unit) for unit in units(stores))
        for unit in units(stores):
            mine, theirs = receipt_of(stores, unit), receipt_of(wanted, unit)
            assert (mine.records, mine.discarded) == (theirs.records, theirs.discarded)
        assert not plan(stores, settings)
    assert changes > 20


def test_what_was_begun_with_other_settings_is_completed_first() -> None:
    stores = converted()
    unit = max(units(stores), key=lambda unit: len(receipt_of(stores, unit).parts))
    with pytest.raises(KilledError):
        rewrite_unit(unit, Killed(stores, 3).stores, OTHERS["codec"])
    assert not is_true(stores, unit)

    rewrite_unit(unit, stores, OTHERS["order"])

    wanted = converted(OTHERS["order"])
    assert parts(stores).keys() == parts(wanted).keys()
    assert receipt_of(stores, unit).parts == receipt_of(wanted, unit).parts


def test_a_conversion_completes_what_a_rewrite_has_begun() -> None:
    stores = converted()
    before = rows(stores)
    with pytest.raises(KilledError):
        rewrite_unit(filled(stores)[0], Killed(stores, 2).stores, OTHERS["codec"])

    convert(stores, PLAIN)

    assert rows(stores) == before
    assert not plan(stores, PLAIN)


def test_a_conversion_keeps_what_a_rewrite_has_begun_when_the_logs_are_gone() -> None:
    stores = converted()
    before = rows(stores)
    unit = filled(stores)[0]
    with pytest.raises(KilledError):
        rewrite_unit(unit, Killed(stores, 3).stores, OTHERS["codec"])
    stores.source.delete([entry.key for entry in stores.source.files("")])

    convert_unit(unit, [], stores, PLAIN)
    rewrite_unit(unit, stores, OTHERS["codec"])

    assert rows(stores) == before
    assert is_true(stores, unit)


def test_records_are_discarded_and_values_redacted_after_the_fact() -> None:
    stores, wanted = converted(), converted(RULES)

    rewrite(stores, RULES)

    assert rows(stores) == rows(wanted)
    assert parts(stores) == parts(wanted)
    for unit in units(stores):
        receipt = receipt_of(stores, unit)
        receipt.records.check(unit.name)
        assert receipt.records == receipt_of(wanted, unit).records
        assert receipt.places == receipt_of(wanted, unit).places
        assert receipt.discarded == receipt_of(wanted, unit).discarded
        assert receipt.redacted == receipt_of(wanted, unit).redacted
        assert receipt.settings == receipt_of(wanted, unit).settings


def test_rules_that_rows_have_gone_through_stay_in_the_receipt() -> None:
    stores = converted(RULES)

    rewrite(stores, OTHERS["codec"])

    for unit in units(stores):
        assert receipt_of(stores, unit).settings["redact"][0]["name"] == "n"
    assert {each.why for each in plan(stores, OTHERS["codec"])} == {
        "made with other discard, redact"
    }


def test_who_publishes_meanwhile_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = converted()
    unit, other = filled(stores)[0], OTHERS["order"]
    runs = count()

    def staged(*arguments: object) -> object:
        made = real(*arguments)  # type: ignore[arg-type]
        if not next(runs):
            convert_unit(unit, trails(unit), stores, make_settings(compression="snappy"))
        return made

    real = rewrite_part
    monkeypatch.setattr(in_place, "rewrite_part", staged)

    receipt = rewrite_unit(unit, stores, other)

    assert next(runs) == 2  # read again
    assert receipt.rewritten.settings["compression"] == "snappy"  # type: ignore[union-attr]
    assert is_true(stores, unit)
    assert rows(stores) == rows(converted())


def trails(unit: object) -> list[str]:
    return [f"AWSLogs/{unit.account}/CloudTrail/{unit.region}/"]  # type: ignore[attr-defined]


def test_a_unit_that_is_being_converted_is_not_touched() -> None:
    stores = converted()
    unit = filled(stores)[0]
    with pytest.raises(KilledError):
        convert_unit(unit, trails(unit), Killed(stores, 1).stores, OTHERS["codec"])
    before = parts(stores)

    with pytest.raises(UsageError, match="has not finished"):
        rewrite_unit(unit, stores, OTHERS["order"])

    assert parts(stores) == before


def test_a_part_that_is_damaged_is_named_and_stays() -> None:
    stores = converted()
    unit = filled(stores)[0]
    key = receipt_of(stores, unit).parts[0].key
    data = stores.dataset.read(key)
    stores.dataset.write(key, data[:50] + bytes([data[50] ^ 255]) + data[51:])

    with pytest.raises(StorageError, match=rf"{key}.*damaged"):
        rewrite_unit(unit, stores, OTHERS["codec"])

    assert stores.dataset.read(key)[51:] == data[51:]
    assert read_notes(stores.state, unit).is_true


def test_a_part_that_is_gone_or_that_no_receipt_names_is_told() -> None:
    stores = converted()
    unit = filled(stores)[0]
    key = receipt_of(stores, unit).parts[0].key
    data = stores.dataset.read(key)
    stray = key.replace("part-00000", "part-00007")
    stores.dataset.write(stray, data)

    with pytest.raises(UsageError, match=r"part-00007.*no receipt names"):
        rewrite_unit(unit, stores, OTHERS["codec"])

    stores.dataset.delete([stray, key])
    with pytest.raises(UsageError, match="part is gone"):
        rewrite_unit(unit, stores, OTHERS["codec"])


def test_a_part_whose_rows_are_not_those_of_the_receipt_is_told() -> None:
    stores = converted()
    one, other = (receipt_of(stores, unit).parts[0] for unit in filled(stores)[:2])
    unit = filled(stores)[0]
    stores.dataset.write(one.key, stores.dataset.read(other.key))
    text = stores.state.read(StateKeys.of(unit).receipt)
    told = text.replace(f'"bytes": {one.bytes}'.encode(), f'"bytes": {other.bytes}'.encode(), 1)
    stores.state.write(StateKeys.of(unit).receipt, told.replace(b'"rows": ', b'"rows": 1'))

    with pytest.raises(StorageError, match=r"rows? in place of"):
        rewrite_unit(unit, stores, OTHERS["codec"])


def test_the_unit_of_shards_is_rewritten_and_its_shards_are_forgotten() -> None:
    stores = some()
    convert(stores, PLAIN)
    unit = filled(stores)[0]
    for number in (1, 2):
        convert_unit(unit, trails(unit), stores, PLAIN, shard=Shard(number, 2))
    assert any("of02" in part.key for part in receipt_of(stores, unit).parts)
    before = rows(stores)

    rewrite_unit(unit, stores, OTHERS["codec"])

    assert rows(stores) == before
    assert is_true(stores, unit)
    assert not list(stores.state.files("shards/"))
    convert_unit(unit, trails(unit), stores, PLAIN, shard=Shard(1, 2))
    convert(stores, PLAIN)
    assert rows(stores) == before
    assert not plan(stores, PLAIN)


def test_a_unit_costs_a_request_for_each_part_and_those_of_the_protocol() -> None:
    counts = Counts()
    counts.deliver(START + timedelta(hours=12), 1, 2, 3)
    stores = counts.stores
    convert(stores, PLAIN)
    (unit,) = units(stores)

    with counts.counting() as requests:
        rewrite_unit(unit, stores, OTHERS["codec"])

    # a mark; notes twice, the part, twice whether the lease is held; listed before and under it
    assert requests == {"GET": 6, "LIST": 2, "PUT": 5, "DELETE": 2}
