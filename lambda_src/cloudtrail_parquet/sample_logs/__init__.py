"""A believable CloudTrail tree of an AWS organization, for demos, tests and benchmarks.

`generate_tree` writes log files as CloudTrail lays them out and returns the truth about them: how
many distinct records each account, region and event day has, what came late, twice or damaged.

The same ``TreeSpec`` gives the same keys and the same JSON everywhere, and the same gzip bytes
wherever zlib compresses alike. Memory holds one delivery and, as times, one day of one account
and region, with some thousand names of its resources, whatever the size of the tree; late records
add a few bytes each, copies not yet delivered their own size. With digest files it also holds some
hundred bytes for each log file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import cycle
from pathlib import Path
from random import Random
from typing import TypeVar

from cloudtrail_parquet.sample_logs.actors import Site
from cloudtrail_parquet.sample_logs.delivery import DAY_S, Courier, Tally, UnitPlan, seeded, split
from cloudtrail_parquet.sample_logs.digests import write_digests
from cloudtrail_parquet.sample_logs.events import VERSIONS, encode_record, make_record
from cloudtrail_parquet.sample_logs.tree import BASE36, DamagedFile, Tree, text, write_siblings

__all__ = [
    "VERSIONS",
    "DamagedFile",
    "Site",
    "TreeSpec",
    "Truth",
    "UnitTruth",
    "encode_record",
    "generate_tree",
    "make_record",
]

REGIONS = (
    *("us-east-1", "eu-central-1", "us-west-2", "eu-west-1", "ap-southeast-2", "ap-northeast-1"),
    *("us-east-2", "eu-north-1", "sa-east-1", "ca-central-1", "ap-south-1", "eu-west-3"),
    *("eu-west-2", "ap-southeast-1", "ap-northeast-2", "us-west-1", "af-south-1"),
)
MAX_ACCOUNTS = 10_000
MAX_DAYS = 3_650
MAX_RECORDS = 10**12
FIRST_DAYS = (date(2013, 11, 13), date(2100, 1, 1))  # CloudTrail began in November 2013
BURST_FROM_RECORDS = 100_000

_BURST_RECORDS = (22_000, 32_000)  # 25 to 45 MB of JSON
# Records of each version in 500: mostly the last four, and each of them often enough to occur.
_VERSION_WEIGHTS = (2, 2, 2, 2, 2, 20, 6, 9, 100, 85, 70, 200)

Ordered = TypeVar("Ordered", float, date)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeSpec:
    """The tree to write.

    Attributes:
        accounts: Accounts of the organization, 1 to 10,000.
        regions: Regions that each of them uses, 1 to 17.
        days: Event days, 1 to 3,650, from ``first_day`` on.
        records: Distinct records in the whole tree, 0 to 10**12.
        late: Share (0 to 1) of the records that arrive hours to weeks after the end of their day.
        duplicates: Share (0 to 1) of the records that are delivered twice.
        corrupt: Share (0 to 1) of the log files that are damaged, rounded up to whole files.
        seed: Any integer; another seed gives another tree of the same kind.
        first_day: First event day, UTC, 2013-11-13 to 2100-01-01.
        digests: Whether digest files are written as well; see `sample_logs.digests`.
    """

    accounts: int = 2
    regions: int = 2
    days: int = 3
    records: int = 10_000
    late: float = 0.0
    duplicates: float = 0.0
    corrupt: float = 0.0
    seed: int = 0
    first_day: date = date(2026, 1, 10)
    digests: bool = False

    def __post_init__(self) -> None:
        _check("accounts", self.accounts, 1, MAX_ACCOUNTS)
        _check("regions", self.regions, 1, len(REGIONS))
        _check("days", self.days, 1, MAX_DAYS)
        _check("records", self.records, 0, MAX_RECORDS)
        for name in ("late", "duplicates", "corrupt"):
            _check(name, getattr(self, name), 0.0, 1.0)
        _check("first_day", self.first_day, *FIRST_DAYS)


def _check(name: str, value: Ordered, low: Ordered, high: Ordered) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise ValueError(f"{name}: {value} is outside {low} to {high}")


@dataclass(frozen=True, slots=True)
class UnitTruth:
    """What a correct conversion has in one partition.

    Attributes:
        account: Twelve digits, as text.
        region: Region code.
        day: Event day, ``YYYY-MM-DD``.
        records: Distinct readable records of that event day.
    """

    account: str
    region: str
    day: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a tree holds. A record is readable when one of its copies is in an undamaged file.

    Attributes:
        files: Log files, damaged ones too.
        bytes_gzipped: Their size on disk, damaged ones too.
        bytes_json: What the undamaged ones inflate to.
        records: Distinct readable records.
        late: Those of them of which every readable copy came late.
        duplicates: Further copies in undamaged files.
        corrupt_files: The damaged log files, in the order in which they were written.
        records_in_corrupt_files: Distinct records without a readable copy.
        units: Readable records by account, region and event day; units without any are left out.
        skipped_files: Files that are not CloudTrail log files.
    """

    files: int
    bytes_gzipped: int
    bytes_json: int
    records: int
    late: int
    duplicates: int
    corrupt_files: tuple[DamagedFile, ...]
    records_in_corrupt_files: int
    units: tuple[UnitTruth, ...]
    skipped_files: int


def generate_tree(
    out: Path, spec: TreeSpec, tell: Callable[[int, int], None] = lambda *_: None
) -> Truth:
    """Write the tree below ``out``; returns what it holds.

    Args:
        out: The folder, which is empty or not there.
        spec: The tree to write.
        tell: Is told of each log file, its bytes and its records, copies included.

    Raises:
        FileExistsError: ``out`` is not empty, and the truth would leave out what is there.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out}: not empty. Name a new folder, or empty this one.")
    rng = seeded(spec.seed, "tree")
    organization = f"o-{text(rng, BASE36, 10)}"
    tree = Tree(out, organization, spec.corrupt, tell, digests=spec.digests)
    tally = Tally()
    versions = cycle(_version_deck(rng))
    accounts = _draw_accounts(rng, spec.accounts)
    for unit in _plan_units(spec, accounts):
        if unit.records:
            Courier(unit, tree, tally, versions).run()
    skipped = write_siblings(tree, accounts[0], REGIONS[0], spec.first_day, rng)
    if spec.digests:
        skipped += sum(1 for _ in write_digests(tree, spec.seed))
    return _truth(tree, tally, skipped)


def _truth(tree: Tree, tally: Tally, skipped: int) -> Truth:
    units = [
        UnitTruth(account, region, datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat(), n)
        for (account, region, day), n in sorted(tally.units.items())
    ]
    return Truth(
        files=tree.files,
        bytes_gzipped=tree.bytes_gzipped,
        bytes_json=tree.bytes_json,
        records=tally.units.total(),
        late=tally.late,
        duplicates=tally.duplicates,
        corrupt_files=tuple(tree.damaged),
        records_in_corrupt_files=tally.lost,
        units=tuple(units),
        skipped_files=skipped,
    )


def _draw_accounts(rng: Random, count: int) -> list[str]:
    """Distinct account ids; the first begins with 0, since leading zeros get lost easily."""
    ids = {f"0{rng.randrange(10**10, 10**11)}": None}
    while len(ids) < count:
        ids[f"{rng.randrange(10**11, 10**12)}"] = None
    return list(ids)


def _version_deck(rng: Random) -> list[str]:
    """Versions to deal out in turn, so that each one occurs in any 500 records."""
    deck = [name for name, n in zip(VERSIONS, _VERSION_WEIGHTS, strict=True) for _ in range(n)]
    rng.shuffle(deck)
    return deck


def _plan_units(spec: TreeSpec, accounts: list[str]) -> list[UnitPlan]:
    """Divide the records: few accounts and regions have most of the volume, the first the most."""
    pairs = [(account, region) for account in accounts for region in REGIONS[: spec.regions]]
    late = int(spec.records * spec.late)
    burst = _burst_records(spec, late)
    weights = [
        10**9 // ((a + 1) * (r + 1)) for a in range(spec.accounts) for r in range(spec.regions)
    ]
    shares = split(spec.records - burst, weights)
    lates = split(late, shares) if late else [0] * len(shares)  # never more than the share
    bursts = [burst] + [0] * (len(shares) - 1)
    return [
        UnitPlan(
            account=account,
            region=region,
            seed=spec.seed,
            first_day=spec.first_day,
            days=spec.days,
            records=share + unit_burst,
            late=unit_late,
            burst=unit_burst,
            duplicates=spec.duplicates,
            own_trail=account == accounts[0],
        )
        for (account, region), share, unit_late, unit_burst in zip(
            pairs, shares, lates, bursts, strict=True
        )
    ]


def _burst_records(spec: TreeSpec, late: int) -> int:
    """Size of the one huge file of a large tree; none where nearly everything is late."""
    if spec.records < BURST_FROM_RECORDS:
        return 0
    burst = seeded(spec.seed, "burst").randrange(*_BURST_RECORDS)
    return burst if late + burst <= spec.records else 0
