"""A simulated S3: buckets that all actors share, and the client that each of them has.

Every request is two moments at which others may go on: before the store carries it out and before
the answer arrives. Faults happen at these.

What S3 does: Amazon S3 User Guide, "Consistency model", "Conditional requests". What its client
says: `cloudtrail_parquet.storage.s3_errors` reads these texts.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
)

from tests.simulation.faults import Fate, Faults
from tests.simulation.scheduler import Actor, Scheduler

T = TypeVar("T")
Meta = dict[str, Any]
Metas = list[Meta]
Keys = str | list[str]
_REFUSALS = (AlreadyExistsError, NotFoundError, PermissionDeniedError, PreconditionError)
_SLOW_DOWN = (
    "Generic S3 error: Server returned status code: 503 Service Unavailable: "
    "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
)
_DENIED = (
    "Generic S3 error: Server returned status code: 403 Forbidden: "
    "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_NO_ANSWER = "Generic S3 error: error sending request for url (https://s3.example/)"
_CLIENT_TRIES_S = 30
_IN_FLIGHT_S = 20  # how long a request may arrive after its sender has died


class HeldObject(NamedTuple):
    """An object: its bytes, its entity tag and when it was written."""

    data: bytes
    e_tag: str
    modified: datetime


class Change(NamedTuple):
    """One change of a bucket: who put (or, without ``after``, removed) what in place of what."""

    actor: Actor | None
    key: str
    before: HeldObject | None
    after: HeldObject | None


@dataclass
class Bucket:
    """What is stored.

    Attributes:
        name: For the trace.
        scheduler: Tells the time.
        tags_by_content: Whether equal bytes have equal tags; encrypted with KMS they have not.
        page: How many keys a page of a listing has.
        watch: Is told of every change.
        refused: Names of folders that may not be listed, nor what is below them.
        deadly: Folders of whose objects each ends the process that gets it.
        objects: What there is.
        keys: The same, sorted.
    """

    name: str
    scheduler: Scheduler
    tags_by_content: bool = True
    page: int = 1000
    watch: Callable[[Change], None] = lambda _: None
    refused: set[str] = field(default_factory=set)
    deadly: set[str] = field(default_factory=set)
    objects: dict[str, HeldObject] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    _written: int = 0

    def put(self, actor: Actor | None, key: str, data: bytes) -> HeldObject:
        """Put an object."""
        self._written += 1
        tag = md5(data, usedforsecurity=False).hexdigest() if self.tags_by_content else ""
        before = self.objects.get(key)
        if before is None:
            insort(self.keys, key)
        # Without quotes, or each refusal is followed by a HEAD: tests/s3 has those.
        held = HeldObject(data, str(tag or self._written), self.scheduler.moment)
        self.objects[key] = held
        self.watch(Change(actor, key, before, held))
        return held

    def remove(self, actor: Actor | None, key: str) -> None:
        """Remove an object, if it is there."""
        before = self.objects.pop(key, None)
        if before is not None:
            del self.keys[bisect_left(self.keys, key)]
            self.watch(Change(actor, key, before, None))

    def listed(self, prefix: str, after: str = "") -> list[str]:
        """The keys below a prefix, sorted, from one on, for somebody who may list them or not."""
        if not self.refused.isdisjoint(prefix.split("/")):
            raise PermissionDeniedError(_DENIED)
        return self.below(prefix, after)

    def below(self, prefix: str, after: str = "") -> list[str]:
        """The keys below a prefix, sorted, from one on."""
        start = bisect_right(self.keys, after) if after > prefix else bisect_left(self.keys, prefix)
        found = []
        for number in range(start, len(self.keys)):
            if not self.keys[number].startswith(prefix):
                break
            found.append(self.keys[number])
        return found


class Buckets(NamedTuple):
    """Where the logs, the parts and the receipts are."""

    source: Bucket
    dataset: Bucket
    state: Bucket


class Got(NamedTuple):
    """The answer to a GET; objects have no metadata of their own here."""

    held: HeldObject
    meta: Meta
    attributes: Mapping[str, str] = MappingProxyType({})

    def bytes(self) -> bytes:
        """The body."""
        return self.held.data


class Client:
    """The client of one actor for one bucket, with the methods of obstore's stores."""

    def __init__(self, bucket: Bucket, actor: Actor, faults: Faults) -> None:
        self._bucket, self._actor, self._faults = bucket, actor, faults

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        mode: Any = "overwrite",  # noqa: ANN401
        use_multipart: bool | None = None,
    ) -> Meta:
        """Put an object, on a condition maybe."""
        del use_multipart
        content = data.read_bytes() if isinstance(data, Path) else bytes(data)

        def put() -> Meta:
            there = self._bucket.objects.get(key)
            if mode == "create" and there is not None:
                raise AlreadyExistsError(f"Object at location {key} already exists")
            if isinstance(mode, dict):
                if there is None:
                    raise NotFoundError(f"Object at location {key} not found: NoSuchKey")
                if there.e_tag != mode["e_tag"]:
                    raise PreconditionError(f"Object at location {key}: status code: 412")
            held = self._bucket.put(self._actor, key, content)
            return {"e_tag": held.e_tag, "version": None}

        kind = "PUT" if mode == "overwrite" else "PUT new" if mode == "create" else "PUT if"
        return self._ask(kind, key, put)

    def get(self, key: str) -> Got:
        """Get an object."""
        return self._ask("GET", key, lambda: Got(self._held(key), self._meta(key)))

    def get_range(self, key: str, *, start: int, length: int) -> bytes:
        """Get some bytes of an object."""
        return self._ask("GET", key, lambda: self._held(key).data[start : start + length])

    def head(self, key: str) -> Meta:
        """Get what a listing says of an object."""
        return self._ask("HEAD", key, lambda: self._meta(key))

    def list(
        self, prefix: str | None = None, *, offset: str | None = None, chunk_size: int = 50
    ) -> Iterator[Metas]:
        """List objects, page by page."""
        del chunk_size
        folder, after, more = f"{prefix}/" if prefix else "", offset or "", True
        while more:
            page, more = self._ask("LIST", folder, lambda: self._page(folder, after))  # noqa: B023
            if page:
                yield page
                after = page[-1]["path"]

    def list_with_delimiter(self, prefix: str | None = None) -> dict[str, Any]:
        """List a folder."""
        folder = f"{prefix}/" if prefix else ""

        def look() -> dict[str, Any]:
            folders, objects = dict[str, None](), Metas()
            for key in self._bucket.listed(folder):
                name, slash, _ = key[len(folder) :].partition("/")
                if slash:
                    folders[folder + name] = None
                else:
                    objects.append(self._meta(key))
            return {"common_prefixes": [*folders], "objects": objects}

        return self._ask("LIST", folder, look)

    def delete(self, keys: Keys) -> None:
        """Remove objects, whatever they are."""
        gone = [keys] if isinstance(keys, str) else keys

        def delete() -> None:
            for key in gone:
                self._bucket.remove(self._actor, key)

        self._ask("DELETE", " ".join(gone), delete)

    def delete_if(self, key: str, e_tag: str) -> bool:
        """Remove an object on condition that it has a tag; False when it has another one."""

        def delete() -> bool:
            there = self._bucket.objects.get(key)
            if there is not None and there.e_tag != e_tag:
                return False
            self._bucket.remove(self._actor, key)
            return True

        return self._ask("DELETE if", key, delete)

    def _page(self, folder: str, after: str) -> tuple[Metas, bool]:
        keys, size = self._bucket.listed(folder, after), self._bucket.page
        return [self._meta(key) for key in keys[:size]], len(keys) > size

    def _held(self, key: str) -> HeldObject:
        held = self._bucket.objects.get(key)
        if held is None:
            raise NotFoundError(f"Object at location {key} not found: <Code>NoSuchKey</Code>")
        return held

    def _meta(self, key: str) -> Meta:
        held = self._held(key)
        return {
            "path": key,
            "size": len(held.data),
            "last_modified": held.modified.replace(microsecond=0),
            "e_tag": held.e_tag,
            "version": None,
        }

    # What may happen to a request.

    def _ask(self, kind: str, key: str, act: Callable[[], T]) -> T:
        """Make a request, and let happen to it what fate has for it."""
        actor = self._actor
        actor.scheduler.counts["requests"] += 1
        latency_s = actor.latency_s * self._faults.random.uniform(0.3, 0.7)
        actor.live(latency_s)
        fate = self._faults.fate(kind)
        if kind == "GET" and any(folder in key for folder in self._bucket.deadly):
            fate = Fate.KILLED_BEFORE
        if fate is not None:
            return self._with_fault(fate, kind, key, act)
        answer = self._carry_out(kind, key, act)
        actor.live(latency_s)
        return answer

    def _with_fault(self, fate: Fate, kind: str, key: str, act: Callable[[], T]) -> T:
        note = f"{fate.value} {kind} {self._bucket.name}:{key}"
        match fate:
            case Fate.KILLED_BEFORE | Fate.KILLED_AFTER | Fate.KILLED_IN_FLIGHT:
                return self._killed(fate, note, lambda: self._carry_out(kind, key, act))
            case Fate.PAUSED_BEFORE:
                self._pause(note)
                return self._carry_out(kind, key, act)
            case Fate.PAUSED_AFTER:
                answer = self._carry_out(kind, key, act)
                self._pause(note)
                return answer
            case Fate.TWICE:
                self._fault(note)
                self._carry_out(kind, key, act)
                self._actor.live(self._faults.random.uniform(0.1, 60))
                return self._carry_out(kind, key, act)
            case Fate.REFUSED:
                self._fault(note)
                self._actor.live(_CLIENT_TRIES_S)
                raise GenericError(_SLOW_DOWN)
            case Fate.LOST_UNDONE | Fate.LOST_DONE:
                if fate is Fate.LOST_DONE:
                    self._carry_out(kind, key, act)
                self._fault(note)
                self._actor.live(self._faults.random.choice([0.1, 5, 60]))
                raise GenericError(_NO_ANSWER)

    def _fault(self, note: str) -> None:
        self._actor.scheduler.counts["faults"] += 1
        self._actor.scheduler.note(self._actor.name, note)

    def _pause(self, note: str) -> None:
        actor, scheduler = self._actor, self._actor.scheduler
        scheduler.counts["pauses"] += 1
        seconds, asleep = self._faults.pause(), self._faults.random.random() < 0.5
        scheduler.note(
            actor.name, f"{note}: {'asleep' if asleep else 'stalled'} for {seconds:.0f} s"
        )
        actor.stand_still(seconds, asleep=asleep)
        scheduler.note(actor.name, "goes on")

    def _killed(self, fate: Fate, note: str, carry_out: Callable[[], T]) -> T:
        actor, scheduler = self._actor, self._actor.scheduler
        scheduler.counts["kills"] += 1
        scheduler.note(actor.name, note)

        def arrive() -> None:
            try:
                carry_out()
            except _REFUSALS:
                return

        if fate is Fate.KILLED_AFTER:
            arrive()
        elif fate is Fate.KILLED_IN_FLIGHT:
            later_s = self._faults.random.uniform(0, _IN_FLIGHT_S)
            scheduler.at(scheduler.now + later_s, arrive)
        actor.die()
        raise AssertionError

    def _carry_out(self, kind: str, key: str, act: Callable[[], T]) -> T:
        scheduler, who = self._actor.scheduler, self._actor.name
        what = f"{kind} {self._bucket.name}:{key}"
        try:
            answer = act()
        except _REFUSALS as error:
            scheduler.note(who, f"{what} -> {type(error).__name__}")
            raise
        scheduler.note(who, f"{what} -> other version" if answer is False else what)
        return answer
