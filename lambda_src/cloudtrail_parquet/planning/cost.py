"""What converting costs on AWS, by list prices; docs/cost.md says where the figures come from.

Prices are those of us-east-1, in dollars, as of November 2026, from the AWS pages named. They
differ between regions; discounts and free tiers are left out.
"""

from typing import NamedTuple

LAMBDA_GB_S = {"arm64": 0.0000133334, "x86_64": 0.0000166667}
"""One gigabyte of memory for one second. Source: AWS Lambda pricing, first tier."""

LAMBDA_REQUEST = 0.20 / 1e6
"""One invocation. Source: AWS Lambda pricing."""

S3_GET = 0.0004 / 1000
"""One GET or HEAD of S3 Standard. Source: Amazon S3 pricing, requests."""

S3_PUT = 0.005 / 1000
"""One PUT or LIST of S3 Standard. Source: Amazon S3 pricing, requests."""

KMS_REQUEST = 0.03 / 10_000
"""One request to decrypt a key. Source: AWS KMS pricing, requests."""


class Retrieval(NamedTuple):
    """What reading an object of a storage class costs beside the price of S3 Standard.

    Attributes:
        request: Dollars for each object.
        gigabyte: Dollars for each gigabyte.
        hours: How long restoring it takes, in words; empty if it can be read at once.
    """

    request: float
    gigabyte: float
    hours: str = ""


RETRIEVALS = {
    "STANDARD_IA": Retrieval(0.0006 / 1000, 0.01),
    "ONEZONE_IA": Retrieval(0.0006 / 1000, 0.01),
    "GLACIER_IR": Retrieval(0.0096 / 1000, 0.03),
    "GLACIER": Retrieval(0.05 / 1000, 0.01, "3 to 5 hours"),
    "DEEP_ARCHIVE": Retrieval(0.10 / 1000, 0.02, "12 hours"),
    "ARCHIVE_ACCESS": Retrieval(0, 0, "3 to 5 hours"),
    "DEEP_ARCHIVE_ACCESS": Retrieval(0, 0, "12 hours"),
}
"""By storage class, restored by standard retrievals. Source: Amazon S3 pricing, requests and
retrievals; Amazon S3 User Guide, "Understanding archive retrieval options"."""

UNIT_PUTS = 5
"""PUT and LIST requests for a new unit: its place, its partition; a lease, a part, a receipt.

tests/unit/conversion/test_convert.py counts them. Consecutive days in one batch have half as many,
which is not counted on."""

PLACE_PUTS = 1
"""LIST requests for each further place of a unit."""

UNIT_GETS = 6
"""GET and HEAD requests for a unit beside its log files: its notes and its lease, twice each."""

BYTES_PER_S = 4_000_000
"""Gzipped bytes that one vCPU converts in a second; docs/performance.md has the measurements."""

FILE_S = 0.002
"""Seconds that a log file takes beside its bytes: a GET, of which 32 are under way at once.

With a margin: 20,000 files of 1 kB take 0.001 s each, at 20 ms a GET; docs/performance.md."""

UNIT_S = 0.6
"""Seconds that a unit takes beside its files: a dozen requests one after the other.

With a margin, as the first part of an invocation is slow: alone a unit takes 0.25 s at 20 ms a
request, side by side with others 0.1 s."""

REWRITE_BYTES_PER_S = 2_000_000
"""Bytes of Parquet that one vCPU rewrites in a second, of rows that are made records again.

Others take a fifth of that; docs/rewriting.md has the measurements."""

REWRITE_UNIT_S = 1.0
"""Seconds that rewriting a unit takes beside its parts: some fifteen requests in a row."""

PLACE_S = 0.016
"""Seconds that each further place of a unit takes: listings, and the beginning of its records."""


class Cost(NamedTuple):
    """The cost in dollars."""

    compute: float
    requests: float

    @property
    def total(self) -> float:
        """Compute and requests together."""
        return self.compute + self.requests


def cost(  # noqa: PLR0913
    *,
    units: int,
    files: int,
    further_places: int = 0,
    invocations: int,
    seconds: float,
    memory_mb: int,
    architecture: str = "arm64",
) -> Cost:
    """The cost of converting units.

    Args:
        units: How many units.
        files: How many log files they have.
        further_places: How many places they have beside the first of each unit.
        invocations: How many invocations of the function.
        seconds: The time of all invocations together.
        memory_mb: The memory of the function.
        architecture: ``arm64`` or ``x86_64``.
    """
    compute = seconds * memory_mb / 1024 * LAMBDA_GB_S[architecture]
    requests = (
        invocations * LAMBDA_REQUEST
        + (files + units * UNIT_GETS) * S3_GET
        + (units * UNIT_PUTS + further_places * PLACE_PUTS) * S3_PUT
    )
    return Cost(compute, requests)


REWRITE_PUTS = 6
"""PUT and LIST requests for a unit that is rewritten, beside its parts: a mark, a lease, the intent
and the receipt; its partition, twice. tests/unit/rewriting/test_in_place.py counts them."""

REWRITE_GETS = 5
"""GET and HEAD requests for such a unit beside its parts: its notes and its lease, twice each."""


def rewriting_cost(
    units: int, parts: int, invocations: int, seconds: float, memory_mb: int
) -> Cost:
    """The cost of rewriting units, on arm64.

    Args:
        units: How many units.
        parts: How many parts they have, each of which is read once and written once.
        invocations: How many invocations of the function.
        seconds: The time of all invocations together.
        memory_mb: The memory of the function.
    """
    requests = (
        invocations * LAMBDA_REQUEST
        + (units * REWRITE_GETS + parts) * S3_GET
        + (units * REWRITE_PUTS + parts) * S3_PUT
    )
    return Cost(seconds * memory_mb / 1024 * LAMBDA_GB_S["arm64"], requests)


PAGE_KEYS = 1000
"""Keys in a page of a listing. Source: ListObjectsV2, Amazon S3 API Reference."""


def plan_lists(*, accounts: int, places: int, spans: int, files: int, slices: int = 1) -> int:
    """LIST requests of a plan that finds units that were never converted.

    Every account is listed twice, for its folders and its regions; a place has at least a page,
    of which the last is half full in the mean; and of every span the receipts
    are looked for, of which there are none.

    Args:
        accounts: How many accounts the source has.
        places: How many pairs of account and region.
        spans: How many accounts and regions units have: as many as places, or accounts, or one.
        files: How many log files.
        slices: How many invocations share the plan, each of which looks for accounts and regions.
    """
    pages = max(places, round(files / PAGE_KEYS + places / 2))
    return 2 * accounts * slices + pages + spans
