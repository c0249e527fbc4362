"""What the world of a seed is like: its layout and places, what befalls requests, settings."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, get_args

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.settings.rules import Discard, Redact
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.state.identities import FEW
from tests.simulation.deliveries import (
    ACCOUNTS,
    DAY_S,
    HOUR_S,
    NAMES,
    ORGANIZATION,
    REGIONS,
    Habits,
    Place,
)
from tests.simulation.faults import Fate, Faults
from tests.simulation.s3 import Buckets
from tests.simulation.scheduler import Scheduler
from tests.simulation.services import Program, Services

_FIRST_VERSION = 10
_WINDOWS = (  # lookbehind, lookahead
    *[(900, 2 * HOUR_S)] * 4,
    (0, 0),
    (DAY_S, 2 * HOUR_S),
    (900, 2 * DAY_S),
    (900, 5 * DAY_S),
)
_LATENCIES_S = ((0.02,), (0.02, 0.3), (0.02, 2.0), (0.05, 1.0, 10.0))
_QUICK: dict[str, Any] = {
    "bloom_columns": (),
    "compression": "none",
    "fetch_threads": 1,
    "sort_by": (),
}
_LAYOUTS: list[PartitionLayout] = [*get_args(PartitionLayout), *[DEFAULT_LAYOUT] * 2]
_REFUSED, _DEADLY, _CROWDED = 0.6, 0.25, 0.4


class World:
    """Draws what a world is like.

    Attributes:
        seed: Its number.
        random: Whence.
        calm: Whether nothing befalls requests, and clocks agree.
        layout: The layout of the dataset.
        few: How many log files a receipt names.
        crowd: Draws who comes at once when there is a function at last; None if there was one.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.random = seed, Random(f"simulation/{seed}")
        self.calm = self.random.random() < 0.25
        self._apart = Random(f"layout/{seed}")  # so that the default layout has its old stories
        self.layout = self._apart.choice(_LAYOUTS)
        self.few = Random(f"few/{seed}").choice([FEW, FEW, 4, 0])
        crowd = Random(f"crowd/{seed}")
        self.crowd = crowd if crowd.random() < _CROWDED and not self.is_folded else None

    @property
    def is_folded(self) -> bool:
        """Whether units span places."""
        return not {"account", "region"} <= set(self.layout.split("/"))

    def habits(self) -> Habits:
        """How logs are delivered, and to which places."""
        random, places = self.random, [Place(ACCOUNTS[0], REGIONS[0])]
        if random.random() < 0.4:
            others = Place(ACCOUNTS[0], REGIONS[1]), Place(ACCOUNTS[1], REGIONS[0])
            places.append(random.choice(others))
        files, busy, shared = random.randint(1, 5), 0.9, 0.0
        if self.is_folded:
            every = [Place(account, region) for account in ACCOUNTS for region in REGIONS]
            places = self._apart.sample(every, self._apart.randint(2, 4))
            files, shared = (files + 1) // 2, self._apart.choice([0, 0.2])
            busy = self._apart.choice([0.9, 0.3])
        layouts: list[tuple[str | None, ...]]
        layouts = [(None,), (None,), (ORGANIZATION,), (None, ORGANIZATION)]
        return Habits(
            busy=busy,
            files=files,
            records=random.randint(1, 4),
            late=random.choice([0, 0.2, 0.5]),
            repeated=random.choice([0, 0.2, 0.6]),
            shared=shared,
            replicated=random.choice([0, 0, 0.15]),
            damaged=random.choice([0, 0, 0.1]),
            expire_days=random.choice([None, None, None, 2, 4]),
            layouts={place: random.choice(layouts) for place in places},
        )

    def refusals(self, accounts: set[str], days: int) -> list[tuple[str, float, float]]:
        """Accounts that may not be listed for a while: from when, and until when, in seconds."""
        random, spans = self._apart, [HOUR_S, DAY_S, 2 * DAY_S, 4 * DAY_S]
        if not self.is_folded or len(accounts) == 1 or random.random() >= _REFUSED:
            return []
        drawn = []
        for _ in range(random.randint(1, 2)):
            begin = random.uniform(0.5, days) * DAY_S
            end = begin + random.choice(spans[: 2 if self.calm else None]) * random.uniform(0.5, 1)
            drawn.append((random.choice(sorted(accounts)), begin, end))
        return drawn

    def deadly(self, places: list[Place], days: int) -> list[tuple[Place, float, float]]:
        """Places whose log files end the process that reads one: from when, and until when."""
        random = Random(f"deadly/{self.seed}")  # so that all else is as it would be without
        if random.random() >= _DEADLY:
            return []
        some = random.sample(places, random.choice([1, 1, min(2, len(places))]))
        begin = random.uniform(0, days - 1) * DAY_S
        return [(place, begin, begin + random.uniform(0.5, 3) * DAY_S) for place in some]

    def faults(self) -> Faults:
        """What befalls requests."""
        random = self.random
        if self.calm:
            return Faults(random, quiet=True)
        writes = random.choice([0.005, 0.02, 0.05])
        some = frozenset(fate for fate in Fate if random.random() < 0.6)
        kinds = random.choice([frozenset(Fate), some])
        return Faults(random, writes, writes / random.choice([5, 20]), kinds)

    def program(self) -> Program:
        """The program that is deployed first."""
        lookbehind_s, lookahead_s = self.random.choice(_WINDOWS)
        settings = Settings(
            partition_layout=self.layout,
            lookbehind_s=lookbehind_s,
            lookahead_s=lookahead_s,
            lease_s=self.random.choice([120, 30]),
            lease_wait_s=self.random.choice([900, 60, 0]),
            **_QUICK,
            **self._sizes(),
        )
        if self.crowd is not None:
            settings = replace(
                settings, part_bytes=1 << 20
            )  # days are published by several at once
        return Program(settings, _FIRST_VERSION)

    def change(self) -> dict[str, Any]:
        """Settings that an operator changes; none for another version."""
        random = self.random
        change: dict[str, Any] = random.choice(
            [
                self._sizes(),
                {"json_encoding": random.choice(["string", "json"])},
                {"redact": random.choice([(), *[(Redact(name="p", keys=("password",)),)] * 2])},
                {"discard": random.choice([(), *[(self._discard(),)] * 2])},
                {},
            ]
        )
        return change

    def _sizes(self) -> dict[str, Any]:
        """Often many parts."""
        rows, size = self.random.choice([2, 3, 1000]), self.random.choice([1, 1 << 20])
        return {"row_group_rows": rows, "part_bytes": size}

    def _discard(self) -> Discard:
        names = self.random.sample(NAMES, self.random.randint(1, len(NAMES) - 1))
        return Discard(name="d", eventName=tuple(names))

    def services(
        self,
        scheduler: Scheduler,
        faults: Faults,
        buckets: Buckets,
        scratch: Path,
        program: Program,
    ) -> Services:
        """What starts runs, and how well that works."""
        random = self.random
        return Services(
            scheduler,
            random,
            faults,
            buckets,
            scratch,
            program,
            whole_s=random.choice([900, 900, 300, 33]),
            latencies_s=random.choice(_LATENCIES_S[: 2 if self.calm else None]),
            clocks_off_s=0 if self.calm else random.choice([0, 5, 300, 3500]),
            visibility_s=random.choice([600, 5400]),
            double=0 if self.calm else random.choice([0, 0.1, 0.4]),
            fanned_out=random.random() < 0.8,
        )
