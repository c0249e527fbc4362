"""Looks at every change of the dataset and of the state.

Where a receipt says that a unit is final, and nothing marks the unit as being replaced, the unit's
parts are those of the receipt, or a plan finds it. What a run has written is not touched by an
older run of the same unit. Receipts add up, and a place that may not be listed keeps its rows.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.simulation import figures
from tests.simulation.figures import Json
from tests.simulation.keys import Unit, part_name, state_name
from tests.simulation.parts import rows_in
from tests.simulation.s3 import Change
from tests.simulation.scheduler import Actor


def parsed(text: bytes) -> Json | None:
    """A receipt, if it is one: somebody may have damaged it."""
    try:
        receipt: Json = json.loads(text)
    except ValueError:
        return None
    return receipt if "settled" in receipt else None


def _is_same(change: Change) -> bool:
    """Whether an object was replaced by the same bytes."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.data == after.data


class _Terms:
    """Who held the lease of a unit's partition when: a term ends when somebody else takes it."""

    def __init__(self) -> None:
        self._holders: dict[Unit, Actor | None] = {}
        self._numbers: Counter[Unit] = Counter()
        self._last: dict[tuple[Unit, Actor | None], int] = {}
        self._written_in: dict[str, int] = {}
        self._bytes: dict[tuple[str, Actor | None], bytes] = {}

    def see(self, unit: Unit, change: Change) -> None:
        """Look at a change of a unit's lease."""
        if change.after is None:
            return
        if self._holders.get(unit) is not change.actor:
            self._holders[unit] = change.actor
            self._numbers[unit] += 1
        self._last[unit, change.actor] = self._numbers[unit]

    def is_without(self, unit: Unit, change: Change) -> bool:
        """Whether a run that never held the lease does more than create a part."""
        if change.actor is None or change.before is None or _is_same(change):
            return False
        return (unit, change.actor) not in self._last

    def is_too_late(self, unit: Unit, change: Change) -> bool:
        """Whether a part that goes was written in a later term than that of who takes it away."""
        term, written = self._last.get((unit, change.actor), 0), self._written_in
        late = change.before is not None and written.get(change.key, 0) > term
        is_same = _is_same(change)
        if change.after is None:
            written.pop(change.key, None)
            put = self._bytes.pop((change.key, change.actor), None)
            is_same = change.before is not None and change.before.data == put
        else:
            self._bytes[change.key, change.actor] = change.after.data
            if not (late and is_same):
                written[change.key] = term
        if change.actor is None or is_same:  # it was not a run, or nobody can tell
            return False
        return late


@dataclass
class Watch:
    """Looks at every change.

    Attributes:
        fail: Is told what is wrong.
        is_outdated: Says whether a plan finds a unit.
        has_source: Says whether any of a unit's log files is left.
        layout: The folders of the dataset.
        history: All parts that have ever stood: their keys and bytes.
        receipts: Those that there are.
    """

    fail: Callable[[str], None]
    is_outdated: Callable[[Unit], bool]
    has_source: Callable[[Unit], bool]
    layout: str
    history: list[tuple[str, bytes]] = field(default_factory=list)
    receipts: dict[Unit, Json] = field(default_factory=dict)
    _parts: dict[Unit, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    _markers: dict[Unit, set[str]] = field(default_factory=lambda: defaultdict(set))
    _terms: _Terms = field(default_factory=_Terms)
    _put_by: dict[str, Actor | None] = field(default_factory=dict)

    def dataset(self, change: Change) -> None:
        """Look at a change of the dataset."""
        name = part_name(change.key)
        if name is None or name.layout != self.layout:
            self.fail(f"{change.key} is not the key of a part in {self.layout}")
            return
        if self._terms.is_too_late(name.owner, change):
            who = change.actor.name if change.actor else ""
            act = "overwritten" if change.after else "removed"
            self.fail(f"{change.key} of a newer run of {name.owner} was {act} by {who}")
        if self._terms.is_without(name.owner, change):
            self.fail(f"{change.key} was overwritten or removed without the lease")
        parts = self._parts[name.owner]
        if change.after is None:
            parts.pop(change.key, None)
            self._forget_if_taken_back(change)
        else:
            parts[change.key] = change.after.data
            self.history.append((change.key, change.after.data))
            self._put_by[change.key] = change.actor
        self._check(name.owner)

    def _forget_if_taken_back(self, change: Change) -> None:
        """A part that its own run takes back, since it may have lost its lease, never stood."""
        named = (part["key"] for receipt in self.receipts.values() for part in receipt["parts"])
        if self._put_by.get(change.key) is change.actor and change.before is not None:
            put = change.key, change.before.data
            if change.key not in named and put in self.history:
                self.history.remove(put)

    def state(self, change: Change) -> None:
        """Look at a change of the state."""
        found = state_name(change.key)
        if found is None:
            return
        kind, unit, rest = found
        match kind:
            case "leases/partitions":
                self._terms.see(unit, change)
            case "receipts":
                self._see_receipt(unit, change)
            case "shards" if rest.endswith(".json"):
                receipt = parsed(change.after.data) if change.after else None
                for wrong in figures.wrong_sums(unit, receipt) if receipt else ():
                    self.fail(f"RECEIPT of {unit}, {rest}: {wrong}")
            case "intents" | "shards":
                act = self._markers[unit].add if change.after else self._markers[unit].discard
                act(change.key)
        self._check(unit)

    def _see_receipt(self, unit: Unit, change: Change) -> None:
        before = self.receipts.pop(unit, None)
        receipt = parsed(change.after.data) if change.after else None
        if receipt is not None:
            self.receipts[unit] = receipt
            for wrong in figures.wrong_sums(unit, receipt):
                self.fail(f"RECEIPT of {unit}: {wrong}")
            for wrong in figures.dropped(before, receipt):
                self.fail(f"{wrong}, in {unit}")

    def _check(self, unit: Unit) -> None:
        """Compare a receipt that says that its unit is final with what stands, and could."""
        receipt = self.receipts.get(unit)
        if receipt is None or self._markers[unit]:
            return
        if not receipt["settled"]:
            return
        wrong = ""
        if receipt["status"] == "complete":
            wrong = "; ".join(self.differences(unit, receipt))
        elif self.has_source(unit):
            wrong = "; ".join(figures.unread(receipt))
        if wrong and not self.is_outdated(unit):
            self.fail(f"UNSEEN: {unit} is final by its receipt and found by no plan, but {wrong}")

    def differences(self, unit: Unit, receipt: Json) -> Iterator[str]:
        """What a receipt says of parts that is not so."""
        standing = self._parts[unit]
        named = {part["key"]: part for part in receipt["parts"]}
        for key, part in named.items():
            if key not in standing:
                yield f"{key} is missing"
            elif len(standing[key]) != part["bytes"]:
                yield f"{key} has {len(standing[key])} bytes and not {part['bytes']}"
            elif rows_in(standing[key]) != part["rows"]:
                yield f"{key} has {rows_in(standing[key])} rows and not {part['rows']}"
        yield from (f"{key} is not in the receipt" for key in standing.keys() - named.keys())
