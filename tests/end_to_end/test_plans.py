"""Years of an organisation, planned in slices that are killed: as `bench.plans`, but smaller."""

import pytest

from bench.plans import Organisation, plan, plan_daily
from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout

ORGANISATION = Organisation(accounts=6, regions=100, days=30)
MINUTES_12 = 720


@pytest.mark.parametrize(("layout", "events"), [(DEFAULT_LAYOUT, 3), ("year/month/day", 2)])
@pytest.mark.parametrize("seed", [1, 8])
def test_a_backfill_is_planned_in_slices_whatever_is_killed(
    layout: PartitionLayout, events: int, seed: int
) -> None:
    planned = plan(ORGANISATION, layout, kill_after_s=600, request_s=1.5, seed=seed)

    assert list(planned.faults()) == []
    assert planned.kills > 0
    assert planned.events >= events
    assert planned.longest_s <= MINUTES_12
    assert planned.again < 0.05 * planned.units


@pytest.mark.parametrize("layout", PARTITION_COLUMNS)
def test_a_daily_run_lists_as_much_of_years_as_of_weeks(layout: PartitionLayout) -> None:
    of_weeks, of_years = (
        plan_daily(Organisation(accounts=3, regions=4, days=days), layout)._replace(cpu_s=0)
        for days in (30, 2191)
    )

    assert of_years == of_weeks
    assert of_years.receipts == of_years.units
