"""Gaps planted at random, of six causes: each is found with its cause, and no other."""

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from cloudtrail_parquet.layout import Place
from tests.unit.coverage.organisation import (
    CLOSED,
    DAY,
    HOME,
    HONGKONG,
    MAIN,
    OTHER,
    VIRGINIA,
    Organisation,
    region_event,
    trail_event,
)

FIRST, DAYS = date(2026, 1, 1), 54
ACCOUNTS, REGIONS = (MAIN, OTHER, "444444444444"), (HOME, VIRGINIA, HONGKONG)
PLACES = [Place(account, region) for account in ACCOUNTS for region in REGIONS]
_FROM, _EVERY = 18, 6
"""The first day and the length of the slots, of which each has one gap of an account."""

Said = dict[tuple[Place, date], tuple[str, str]]


class Planted:
    """What is planted, and what there is to say of each place and day."""

    def __init__(self, seed: int) -> None:
        self.random, self.world = Random(seed), Organisation("dt")
        self.gaps = Counter[str]()
        self.said: Said = {
            (place, FIRST + DAY * n): ("converted", "") for place in PLACES for n in range(DAYS)
        }
        self.events: dict[tuple[Place, date], list[dict[str, Any]]] = {}
        self.digests: list[tuple[Place, date]] = []
        for place in PLACES:
            self._plant("empty", "expired", [place], 0, 2)
        self.gaps["expired"] = 1
        self._plant("empty", "region", [Place(MAIN, HONGKONG)], 2, 10)
        if self.random.random() < 0.5:
            self._plant("empty", "region", [Place(MAIN, HONGKONG)], 0, 12)
            self._event(Place(MAIN, VIRGINIA), 11, region_event("EnableRegion", HONGKONG))
        self.gaps["region"] = 1
        for account in ACCOUNTS:
            for slot in range(_FROM, DAYS - _EVERY, _EVERY):
                self._plant_in(account, slot)

    def _plant_in(self, account: str, slot: int) -> None:
        """One gap of up to three days, with days around it that have records."""
        begin, length = slot + 2, self.random.randint(1, 3)
        place = Place(account, self.random.choice(REGIONS))
        match self.random.choice(["quiet", "digests", "stopped", "never"]):
            case "quiet":
                self._plant("empty", "quiet", [place], begin, length)
            case "digests":
                self._plant("empty", "quiet", [place], begin, length)
                self.digests += [(place, FIRST + DAY * (begin + n)) for n in range(length)]
            case "stopped":
                home = Place(account, HOME)
                every = [Place(account, region) for region in REGIONS]
                one = self.random.random() < 0.5
                self._plant("empty", "trail stopped", [home] if one else every, begin, length)
                name = self.random.choice(["StopLogging", "DeleteTrail"])
                self._event(home, begin - 1, trail_event(name))
                self._event(home, begin + length, trail_event("StartLogging"))
            case "never":
                self._plant("missing", "never converted", [place], begin, length)

    def _plant(self, state: str, cause: str, places: list[Place], begin: int, length: int) -> None:
        self.gaps[cause] += 1
        for place in places:
            for n in range(begin, begin + length):
                self.said[place, FIRST + DAY * n] = (state, cause)

    def _event(self, place: Place, day: int, event: dict[str, Any]) -> None:
        self.events.setdefault((place, FIRST + DAY * day), []).append(event)

    def make(self) -> None:
        """Deliver and convert; then deliver what was never converted, and refuse an account."""
        world = self.world
        for (place, day), (state, _) in self.said.items():
            if state == "converted":
                world.deliver(place, day, *self.events.get((place, day), ()))
        for place, day in self.digests:
            world.digests(place, day)
        world.convert()
        for (place, day), (state, _) in self.said.items():
            if state == "missing":
                world.deliver(place, day)
        world.deliver(Place(CLOSED, HOME), FIRST + DAY * 9)
        world.refusing.refused.append(f"AWSLogs/{CLOSED}/")
        self.gaps["refused"] = 1
        for n in range(DAYS):
            self.said[Place(CLOSED, ""), FIRST + DAY * n] = ("empty", "refused")


@pytest.mark.parametrize("seed", range(2))
def test_gaps_planted_at_random_are_found_with_their_causes_and_no_others(seed: int) -> None:
    planted = Planted(seed)
    planted.make()

    coverage = planted.world.cover(FIRST, FIRST + timedelta(days=DAYS - 1))

    said = {(place, day): verdict[:2] for place, day, verdict in coverage.days()}
    wrong = {
        key: (said.get(key), what) for key, what in planted.said.items() if said.get(key) != what
    }
    assert wrong == {}
    assert said.keys() == planted.said.keys()
    assert planted.gaps.total() >= 18
