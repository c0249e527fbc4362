"""What converting costs in AWS, by list prices; docs/cost.md tells how the figures come about.

Prices are those of us-east-1, in dollars, as known in November 2026 from the AWS pages named. They
differ between regions; discounts and free tiers are left out.
"""

from typing import NamedTuple

LAMBDA_GB_S = {"arm64": 0.0000133334, "x86_64": 0.0000166667}
"""A gigabyte of memory for a second. Source: AWS Lambda pricing, first tier."""

LAMBDA_REQUEST = 0.20 / 1e6
"""An invocation. Source: AWS Lambda pricing."""

S3_GET = 0.0004 / 1000
"""A GET or HEAD of S3 Standard. Source: Amazon S3 pricing, requests."""

S3_PUT = 0.005 / 1000
"""A PUT or LIST of S3 Standard. Source: Amazon S3 pricing, requests."""

UNIT_PUTS = 12
"""PUT and LIST requests of a unit: three folders, leases, a part, a receipt."""

UNIT_GETS = 6
"""GET and HEAD requests of a unit beside those of its log files."""


class Cost(NamedTuple):
    """Dollars."""

    compute: float
    requests: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.compute + self.requests


def cost(  # noqa: PLR0913
    *,
    units: int,
    files: int,
    invocations: int,
    seconds: float,
    memory_mb: int,
    architecture: str = "arm64",
) -> Cost:
    """The dollars for so many units and log files.

    Args:
        units: Units.
        files: Log files.
        invocations: Invocations of the function.
        seconds: All of them together.
        memory_mb: Memory of the function.
        architecture: ``arm64`` or ``x86_64``.
    """
    compute = seconds * memory_mb / 1024 * LAMBDA_GB_S[architecture]
    requests = (
        invocations * LAMBDA_REQUEST
        + (files + units * UNIT_GETS) * S3_GET
        + units * UNIT_PUTS * S3_PUT
    )
    return Cost(compute, requests)
