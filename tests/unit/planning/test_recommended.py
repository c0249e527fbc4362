from datetime import date, timedelta

import pytest

from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.planning.recommended import recommendation_line, recommended
from cloudtrail_parquet.source.discover import Discovery

DAY = date(2026, 1, 10)


def source(accounts: int, regions: int, size: int, days: int = 2) -> Discovery:
    """What a plan of some days has found: units of the default layout, of one size."""
    discovery = Discovery()
    for account in range(accounts):
        for region in range(regions):
            discovery.with_logs.add((f"{account:012d}", f"region-{region}"))
            for number in range(days):
                discovery.grain.add(DAY + timedelta(days=number), 3, size)
    return discovery


def test_an_organisation_of_quiet_accounts_is_better_off_with_one_partition_a_day() -> None:
    line = recommendation_line(source(300, 17, 6_000), "account/region/year/month/day")

    assert line == (
        '5,100 units a day of 6 kB on average: partition_layout = "year/month/day" would make '
        "1 file of about 16 MB a day instead, in a new DATASET (docs/tuning.md)"
    )


@pytest.mark.parametrize(
    ("discovery", "layout", "better"),
    [
        (source(300, 17, 6_000), "account/region/dt", ("dt", 1)),
        (source(300, 1, 90_000), "account/year/month/day", ("year/month/day", 1)),
        (source(300, 17, 6_000), "year/month/day", None),
        (source(40, 17, 200_000), "account/region/year/month/day", ("account/year/month/day", 40)),
        (source(40, 17, 200_000), "account/region/dt", ("account/dt", 40)),
        (
            source(300, 17, 300_000),
            "account/region/year/month/day",
            ("account/year/month/day", 300),
        ),
        (source(300, 17, 90_000, 1), "account/region/dt", ("account/dt", 300)),
        (source(300, 17, 2_000_000), "account/region/year/month/day", None),  # not small
        (source(10, 17, 6_000), "account/region/year/month/day", None),  # not many
        (Discovery(), "account/region/year/month/day", None),
    ],
)
def test_the_finest_layout_without_small_units_is_recommended(
    discovery: Discovery, layout: PartitionLayout, better: tuple[str, int] | None
) -> None:
    found = recommended(discovery, layout)

    assert (found and found[:2]) == better


def test_small_units_are_no_matter_where_most_units_are_large() -> None:
    discovery = source(300, 17, 6_000)
    for _ in range(5_100 * 2 + 1):
        discovery.grain.add(DAY, 3, 1_000_000)

    assert recommendation_line(discovery, "dt") == ""
    assert recommendation_line(discovery, "account/region/dt") == ""


def test_a_large_day_has_as_many_files_as_fit_into_single_requests() -> None:
    found = recommended(source(2_000, 17, 9_000, days=1), "account/region/dt")

    assert found is not None
    assert (found.layout, found.files) == ("dt", 3)
    assert found.bytes * found.files == pytest.approx(34_000 * 9_000 * 0.52)
