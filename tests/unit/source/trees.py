from collections.abc import Callable
from datetime import UTC, date, datetime

from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.storage import (
    Store,
)

ONE, TWO = "012345678901", "999999999999"


ORGANIZATION = "o-exampleorgid"


REGION = "eu-central-1"


DAY = date(2026, 1, 10)


NOON = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)


WINDOW = Window(900, 7200)


FOLDERS = ("CloudTrail",)


Tree = Callable[..., Store]
