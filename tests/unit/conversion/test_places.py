"""The same records in every layout: what a folded unit makes of many places."""

import io
import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from cloudtrail_parquet.api import make_settings
from cloudtrail_parquet.contract import PLACE_COLUMNS, PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import WHOLE, Bound, Place, Shard, Unit, span_of, unit_of
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.source.discover import Discovery, discover, units
from cloudtrail_parquet.state.receipt import Receipt
from tests.builders import WritableStores, log_file
from tests.examples import FEW
from tests.unit.deliveries import START, UNIQUE, canonical, delays, event, memory, moments

LAYOUTS: list[PartitionLayout] = list(get_args(PartitionLayout))
FOLDED = [layout for layout in LAYOUTS if PLACE_COLUMNS[layout]]
PLACES = [
    Place(account, region)
    for account in ("000000000012", "210987654321")
    for region in ("eu-central-1", "us-east-1")
]

File = tuple[Place, datetime, list[dict[str, Any]]]
Row = tuple[str, str, date, str]


@st.composite
def deliveries(draw: st.DrawFn) -> list[File]:
    """Files of several places: some records twice, some late, some in two places."""
    files: dict[tuple[Place, datetime], list[dict[str, Any]]] = {}
    for number in range(draw(st.integers(1, 14))):
        when = draw(moments)
        record = event(number, when, with_id=draw(st.integers(0, 4)) > 0)
        for delay in draw(st.lists(delays, min_size=1, max_size=3)):
            delivered = (when + timedelta(seconds=delay)).replace(second=0)
            files.setdefault((draw(st.sampled_from(PLACES)), delivered), []).append(record)
    return [(*place_and_time, records) for place_and_time, records in files.items()]


def deliver(stores: WritableStores, files: Iterable[File]) -> Discovery:
    for (account, region), delivered, records in files:
        name = f"{account}_CloudTrail_{region}_{delivered:%Y%m%dT%H%MZ}_{next(UNIQUE):016d}.json.gz"
        key = f"{account}/CloudTrail/{region}/{delivered:%Y/%m/%d}/{name}"
        stores.source.write(key, log_file(*records))
    return discover(stores.source, Settings().folders)


def units_of(stores: WritableStores, known: Discovery, layout: PartitionLayout) -> list[Unit]:
    of_places = units(stores.source, known, Settings().window)
    return sorted({Unit(*span_of(unit.span, layout), unit.day) for unit in of_places})


def convert(
    stores: WritableStores,
    known: Discovery,
    unit: Unit,
    layout: PartitionLayout,
    shard: Shard = WHOLE,
    **settings: object,
) -> Receipt | None:
    made = make_settings(partition_layout=layout, **settings)
    trails, refused = known.trails_of(unit), known.refused_in(unit)
    return convert_unit(unit, trails, stores, made, None, shard, refused)


def found(stores: WritableStores) -> Counter[Row]:
    """(account, region, day, record) of all rows, read with plain pyarrow."""
    rows = Counter[Row]()
    for entry in stores.dataset.files(""):
        unit = unit_of(entry.key)
        assert unit is not None
        table = pq.read_table(io.BytesIO(stores.dataset.read(entry.key)), partitioning=None)
        for row in table.to_pylist():
            place = row.get("account", unit.account), row.get("region", unit.region)
            rows[*place, unit.day, canonical(json.loads(restore_json(row)))] += 1
    return rows


def expected(files: Iterable[File]) -> Counter[Row]:
    """Each distinct record once in each place, in the day of its event time."""
    return Counter(
        {
            (*place, date.fromisoformat(record["eventTime"][:10]), canonical(record))
            for place, _, records in files
            for record in records
        }
    )


@FEW
@given(deliveries(), st.sampled_from(LAYOUTS), st.data())
def test_every_layout_has_the_same_rows_whatever_the_order_and_the_splits(
    files: list[File], layout: PartitionLayout, data: st.DataObject
) -> None:
    stores = memory()
    known = deliver(stores, files)
    for unit in data.draw(st.permutations(units_of(stores, known, layout)), label="order"):
        for shard in data.draw(st.sampled_from([[WHOLE], [WHOLE], *splits(unit)]), label="shards"):
            receipt = convert(stores, known, unit, layout, shard)
            assert receipt is None or add_up(receipt)

    assert found(stores) == expected(files)
    for unit in units_of(stores, known, layout):
        convert(stores, known, unit, layout)
    assert found(stores) == expected(files)


def splits(unit: Unit) -> list[list[Shard]]:
    """Slices of the window; and cuts between places, or within one."""
    slices = Shard(1, 3).siblings
    if all(unit.span):
        return [slices]
    first, *others = (place for place in PLACES if unit.holds(*place))
    cuts = [Bound(*first, 30_000)], [Bound(*first, 90_000), *(Bound(*place, 0) for place in others)]
    return [slices, *(Shard.between(1, tuple(bounds)).siblings for bounds in cuts)]


def add_up(receipt: Receipt) -> bool:
    """Whether each place's records are accounted for, and the places make up the receipt."""
    places = [each for regions in receipt.places.values() for each in regions.values()]
    for place in places:
        assert place.records[0] == sum(place.records[1:])
    sums = tuple(map(sum, zip(*(place.records for place in places), strict=True)))
    assert sums in {(), astuple(receipt.records)}
    assert sum(place.files for place in places) == receipt.files.listed
    assert sum(place.bytes for place in places) == receipt.bytes_in
    return True


def many(place: Place, count: int, first: int = 0) -> File:
    when = START + timedelta(hours=5)
    records = [event(first + number, when + timedelta(seconds=number)) for number in range(count)]
    return place, when + timedelta(minutes=10), records


@pytest.mark.parametrize("layout", FOLDED)
def test_rows_are_in_the_order_of_places_and_the_footer_says_so(layout: PartitionLayout) -> None:
    stores = memory()
    known = deliver(stores, [many(place, 30, 100 * n) for n, place in enumerate(reversed(PLACES))])
    for unit in units_of(stores, known, layout):
        convert(stores, known, unit, layout, row_group_rows=40)

    for entry in stores.dataset.files(""):
        part = pq.ParquetFile(io.BytesIO(stores.dataset.read(entry.key)))
        columns = list(PLACE_COLUMNS[layout])
        rows = list(zip(*(part.read()[name].to_pylist() for name in columns), strict=True))
        assert rows == sorted(rows)
        assert part.schema_arrow.names[-len(columns) :] == columns
        paths = [part.schema.column(n).path for n in range(len(part.schema.names))]
        for number in range(part.metadata.num_row_groups):
            order = part.metadata.row_group(number).sorting_columns
            assert [paths[each.column_index] for each in order][: len(columns)] == columns


def test_a_row_group_ends_where_an_account_does_unless_it_is_small() -> None:
    stores, (one, _, other, _) = memory(), PLACES
    known = deliver(stores, [many(one, 9000), many(other, 9000, 10_000)])

    for unit in units_of(stores, known, "dt"):
        convert(stores, known, unit, "dt")

    (entry,) = stores.dataset.files("")
    footer = pq.read_metadata(io.BytesIO(stores.dataset.read(entry.key)))
    assert [footer.row_group(n).num_rows for n in range(footer.num_row_groups)] == [9000, 9000]


def test_a_record_of_two_places_is_in_both() -> None:
    stores, record = memory(), event(1, START)
    known = deliver(stores, [(place, START + timedelta(minutes=5), [record]) for place in PLACES])

    for unit in units_of(stores, known, "dt"):
        convert(stores, known, unit, "dt")

    assert sum(found(stores).values()) == len(PLACES)


def test_a_unit_of_another_layout_is_refused_before_anything_is_written() -> None:
    stores = memory()
    known = deliver(stores, [many(PLACES[0], 1)])

    with pytest.raises(UsageError, match="it has an account, in the layout dt"):
        convert(stores, known, Unit(PLACES[0].account, "", START.date()), "dt")
    assert list(stores.dataset.files("")) == []


def test_an_account_that_may_not_be_listed_is_named_and_does_not_keep_others_out() -> None:
    stores, denied = memory(), PLACES[0].account
    known = deliver(stores, [many(place, 3, 10 * n) for n, place in enumerate(PLACES)])
    unit = Unit("", "", START.date())

    receipt = convert(stores, refusing(known, denied), unit, "dt")

    assert receipt is not None
    assert (receipt.status, receipt.records.written) == ("partial", 6)
    assert receipt.places[denied][""].state == "refused"

    whole = convert(stores, known, unit, "dt")

    assert whole is not None
    assert (whole.status, whole.records.written) == ("complete", 12)
    assert "" not in whole.places[denied]


@pytest.mark.parametrize("replace_shrunk", [False, True])
def test_what_was_read_of_an_account_is_kept_when_it_may_not_be_listed(
    replace_shrunk: bool,  # noqa: FBT001
) -> None:
    stores, denied = memory(), PLACES[0].account
    known = deliver(stores, [many(place, 3, 10 * n) for n, place in enumerate(PLACES)])
    unit = Unit("", "", START.date())
    convert(stores, known, unit, "dt")
    before = found(stores)
    refused = refusing(known, denied)

    receipt = convert(stores, refused, unit, "dt", replace_shrunk=replace_shrunk)

    assert receipt is not None
    assert receipt.kept.endswith(f"{denied} may not be listed")
    assert found(stores) == before


def refusing(known: Discovery, account: str) -> Discovery:
    """The same source when an account may not be listed."""
    error = RefusedError("may not be listed", account, "Allow it")
    trails = {place: known.trails[place] for place in known.trails if place[0] != account}
    return Discovery(trails=trails, refused={account: error})
