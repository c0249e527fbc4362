"""What people and broken tools do to a dataset and its state, while no run is under way."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.simulation.keys import part_name
from tests.simulation.s3 import Bucket

_CUT_BYTES = 200
_OTHER_FORM = b'{"account": 1, "form": "of another version"}'


@dataclass
class Saboteur:
    """Damages one thing.

    Attributes:
        random: Draws which.
        dataset: Where the parts are.
        state: Where the receipts are.
        note: Is told what was done.
        may_lose_parts: Whether all parts can be made again.
    """

    random: Random
    dataset: Bucket
    state: Bucket
    note: Callable[[str], None]
    may_lose_parts: bool

    def strike(self) -> None:
        """Do one of the things that can be done."""
        acts = [
            lambda: self._cut(self.state, self._receipts()),
            lambda: self._replace(self._receipts()),
            lambda: self._remove(self.state, self._receipts()),
            lambda: self._cut(self.state, self._below("identities/")),
            lambda: self._remove(self.state, self._below("identities/")),
            self._remove_state,
        ]
        if self.may_lose_parts:
            acts += [
                lambda: self._cut(self.dataset, self._parts()),
                lambda: self._remove(self.dataset, self._parts()),
            ]
        self.random.choice(acts)()

    def _receipts(self) -> list[str]:
        return self._below("receipts/") + self._below("shards/")

    def _below(self, prefix: str) -> list[str]:
        return self.state.below(prefix)

    def _parts(self) -> list[str]:
        return [key for key in self.dataset.keys if part_name(key)]

    def _cut(self, bucket: Bucket, keys: list[str]) -> None:
        for key in self._one(keys):
            data = bucket.objects[key].data
            bucket.put(None, key, data[: min(_CUT_BYTES, len(data) // 2)])
            self.note(f"cut {bucket.name}:{key}")

    def _replace(self, keys: list[str]) -> None:
        for key in self._one(keys):
            self.state.put(None, key, _OTHER_FORM)
            self.note(f"put another form of {key}")

    def _remove(self, bucket: Bucket, keys: list[str]) -> None:
        for key in self._one(keys):
            bucket.remove(None, key)
            self.note(f"removed {bucket.name}:{key}")

    def _remove_state(self) -> None:
        for key in list(self.state.keys):
            self.state.remove(None, key)
        self.note("removed the whole state")

    def _one(self, keys: list[str]) -> list[str]:
        return [self.random.choice(keys)] if keys else []
