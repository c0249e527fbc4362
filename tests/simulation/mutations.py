"""Bugs on purpose, one at a time, and the first seed that finds each.

    python -m tests.simulation.mutations               all of them, up to 240 seeds each
    python -m tests.simulation.mutations no-intent     one of them

The first five were in the converter once.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
import pyarrow.compute as pc

from cloudtrail_parquet import layout
from cloudtrail_parquet.conversion import (
    collate,
    convert,
    duplicates,
    keep,
    places,
    publish,
    published,
    run,
    shards,
    task,
)
from cloudtrail_parquet.conversion.staying import adding
from cloudtrail_parquet.dataset import parts
from cloudtrail_parquet.function import attempts, service
from cloudtrail_parquet.planning import due, listing, plan
from cloudtrail_parquet.records.from_arrow import restore_json
from cloudtrail_parquet.records.keys import content
from cloudtrail_parquet.rewriting.parts import rows
from cloudtrail_parquet.state import figures, notes, receipt
from cloudtrail_parquet.state.keys import StateKeys
from cloudtrail_parquet.storage import ObjectStore, leases
from tests.simulation.play import play

_SEEDS = 240
_CHANGED = "log files of its window have changed"

Any_ = Any  # arguments and results of what is replaced, passed on as they are


class Mutation(NamedTuple):
    """A bug.

    Attributes:
        name: What to call it.
        what: What it does, for people.
        applied: Puts it into the program while in the context.
    """

    name: str
    what: str
    applied: "Callable[[], Any]"


MUTATIONS: list[Mutation] = []


def _mutation(what: str) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Any]]:
    def note(function: Callable[[], Iterator[None]]) -> Callable[[], Any]:
        applied = contextmanager(function)
        MUTATIONS.append(Mutation(function.__name__.replace("_", "-"), what, applied))
        return applied

    return note


# What was wrong once.


@_mutation("plans compare the bytes of a day's own folder, not the log files of its window")
def own_folder() -> Iterator[None]:
    units, why_outdated, bytes_of = listing.Span.units, due.why_outdated, dict[layout.Unit, int]()

    def note(span: Any_) -> Any_:
        planned = units(span)
        bytes_of.update({one.unit: one.bytes for one in planned})
        return planned

    def compare(state: Any_, unit: Any_, *arguments: Any_, **more: Any_) -> str:
        why = why_outdated(state, unit, *arguments, **more)
        receipt = notes.read_notes(state, unit).receipt if why.startswith(_CHANGED) else None
        return "" if receipt is not None and receipt.bytes_in == bytes_of.get(unit) else why

    with patch.object(listing.Span, "units", note), patch.object(plan, "why_outdated", compare):
        yield


@_mutation("a run writes no intent: while it replaces, the old receipt goes on being believed")
def no_intent() -> Iterator[None]:
    swap, remove = ObjectStore.swap, ObjectStore.remove

    def swap_others(store: ObjectStore, key: str, data: bytes, version: str | None) -> str:
        return "none" if _is_intent(key) else swap(store, key, data, version)

    def remove_others(store: ObjectStore, key: str, version: str) -> None:
        if not _is_intent(key):
            remove(store, key, version)

    with (
        patch.object(ObjectStore, "swap", swap_others),
        patch.object(ObjectStore, "remove", remove_others),
    ):
        yield


def _is_intent(key: str) -> bool:
    return key.startswith("intents/") or key.endswith(".intent")


@_mutation("the guard of shrunken sources counts log files and records, and compares none")
def guard_counts() -> Iterator[None]:
    def count(
        _unit: Any_, _shards: Any_, noted: Any_, _source: Any_, read: int, known: Any_, _state: Any_
    ) -> str:
        before = noted.receipt
        if before is None:
            return ""
        if len(known) < before.files.listed:
            return f"{before.files.listed - len(known)} log files are gone from the source"
        return "records can no longer be read" if read < before.records.read else ""

    with patch.object(keep, "lost", count), patch.object(shards, "lost", count):
        yield


@_mutation("what is written and removed is not looked at before, and leases are not checked")
def zombies_write() -> Iterator[None]:
    def swap(store: ObjectStore, key: str, data: bytes, version: str | None) -> str:
        del version
        store.write(key, data)
        return _version(store, key)

    def upload(store: ObjectStore, key: str, path: Any_, version: str | None) -> str:
        return swap(store, key, path.read_bytes(), version)

    def _version(store: ObjectStore, key: str) -> str:
        there = store.look(key)
        return there.version if there else ""

    with (
        patch.object(ObjectStore, "swap", swap),
        patch.object(ObjectStore, "upload", upload),
        patch.object(ObjectStore, "remove", lambda store, key, _: store.delete([key])),
        patch.object(leases.ObjectLease, "check", lambda _: None),
        patch.object(leases.ObjectLease, "confirm", lambda _: None),
    ):
        yield


@_mutation("the daily run looks back three days, however long the window is")
def three_days() -> Iterator[None]:
    def days(today: date, days_back: int, _: Any_) -> tuple[date, date]:
        last = today - timedelta(days=days_back)
        return last - timedelta(days=3), last

    with patch.object(service, "scheduled_days", days):
        yield


# What might be.


@_mutation("leases are believed without asking the store, and taken over while they are alive")
def no_lease() -> Iterator[None]:
    past = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    with (
        patch.object(leases, "_expiry", lambda *_: past),
        patch.object(leases.ObjectLease, "confirm", leases.ObjectLease.check),
    ):
        yield


@_mutation("parts that come into a partition while a run reads are not looked at")
def no_second_look() -> Iterator[None]:
    refresh = published.PublishedParts.refresh

    def see_no_change(parts: published.PublishedParts, *arguments: Any_) -> bool:
        refresh(parts, *arguments)
        return False

    with patch.object(published.PublishedParts, "refresh", see_no_change):
        yield


@_mutation("what stands already is not looked at")
def standing_unseen() -> Iterator[None]:
    with patch.object(published.PublishedParts, "contents", lambda *_: {}):
        yield


@_mutation("a straggler is counted twice")
def straggler_counted_twice() -> Iterator[None]:
    emit = collate.Collation._emit_stragglers  # noqa: SLF001

    def emit_and_count(one: collate.Collation) -> None:
        before = {place: each.straggled for place, each in one.places.records.items()}
        emit(one)
        for place, each in one.places.records.items():
            each.straggled += each.straggled - before[place]

    with patch.object(collate.Collation, "_emit_stragglers", emit_and_count):
        yield


@_mutation("leftovers are not removed from other partitions than the unit's own")
def leftovers_elsewhere() -> Iterator[None]:
    def others(change: publish.Change) -> Any_:
        return sorted({layout.unit_of(key) for key in change.new} - {change.unit})

    with patch.object(publish, "_others", others):
        yield


@_mutation("the intent goes before the receipt is there")
def intent_goes_first() -> Iterator[None]:
    told, under_way = receipt.to_text, list[tuple[publish.Change, Any_]]()

    def note(change: publish.Change, stores: Any_, *more: Any_) -> None:
        under_way.append((change, stores))
        try:
            original(change, stores, *more)
        finally:
            under_way.pop()

    def remove_intent(text: receipt.Receipt) -> bytes:
        change, stores = under_way[-1]
        stores.state.delete([StateKeys.of(change.unit, change.shard).intent])
        return told(text)

    original = publish.publish
    with (
        patch.object(convert, "publish", note),
        patch.object(keep, "publish", note),
        patch.object(adding, "publish", note),
        patch.object(shards, "publish", note),
        patch.object(publish, "to_text", remove_intent),
    ):
        yield


@_mutation("the rules are not among what makes a unit outdated")
def rules_forgotten() -> Iterator[None]:
    with patch.object(due, "_differing", lambda *_: ""):
        yield


@_mutation("records with one id are one, whatever else they hold")
def same_id_same_record() -> Iterator[None]:
    identity = duplicates.Duplicates._identity  # noqa: SLF001

    def by_id(one: duplicates.Duplicates, place: Any_) -> Any_:
        known = identity(one, place)
        return known._replace(content=b"") if known.event_id else known

    with patch.object(duplicates.Duplicates, "_identity", by_id):
        yield


# What folded layouts might bring.


@_mutation("keys are the same in every place, and so are records: one place's copy is dropped")
def places_not_told_apart() -> Iterator[None]:
    identity = duplicates.Duplicates._identity  # noqa: SLF001

    def of_no_place(one: duplicates.Duplicates, position: Any_) -> Any_:
        return identity(one, position)._replace(place=layout.Place("", ""))

    with (
        patch.object(places, "place_salt", lambda _: 0),
        patch.object(parts, "place_salt", lambda _: 0),
        patch.object(published, "_content", lambda row: content(restore_json(row).encode())),
        patch.object(duplicates.Duplicates, "_identity", of_no_place),
    ):
        yield


@_mutation("a whole replacement drops the rows of an account that may not be listed")
def refused_dropped() -> Iterator[None]:
    with patch.object(task.Task, "may_shrink", property(lambda one: bool(one.refused))):
        yield


@_mutation("a unit is complete by its receipt, although an account may not be listed")
def refused_untold() -> Iterator[None]:
    def complete(*groups: Any_, **more: Any_) -> Any_:
        made = receipt.receipt_of(*groups, **more)
        return made if made.quarantined else msgspec.structs.replace(made, status="complete")

    with patch.object(run, "receipt_of", complete):
        yield


@_mutation("once an account can be listed again, units without log files of it are not outdated")
def refused_for_good() -> Iterator[None]:
    with patch.object(due, "_no_longer_refused", lambda *_: ()):
        yield


@_mutation("what is known of a place's records is forgotten at the end of each log file")
def forgotten_too_early() -> Iterator[None]:
    begin = places.Places.begin

    def begin_afresh(one: places.Places, file: Any_) -> None:
        begin(one, file)
        one.first_file = len(one._by_file) - 1  # noqa: SLF001

    with patch.object(places.Places, "begin", begin_afresh):
        yield


@_mutation("all rows of a unit get the name of its first account")
def first_account() -> Iterator[None]:
    with_columns = places.Places.with_columns

    def name_first(one: places.Places, table: Any_, encoded: Any_) -> Any_:
        named = with_columns(one, table, encoded)
        if "account" not in named.column_names:
            return named
        first = [one._known[0].account] * len(named)  # noqa: SLF001
        return named.set_column(named.column_names.index("account"), "account", [first])

    with patch.object(places.Places, "with_columns", name_first):
        yield


@_mutation("rows leave in the order of time alone, not place by place")
def order_of_time() -> Iterator[None]:
    def in_order(_: places.Places, encoded: Any_) -> Any_:
        return pc.sort_indices(encoded["eventTime"])

    with patch.object(places.Places, "in_order", in_order):
        yield


@_mutation("published rows are looked for in the first of the places in question only")
def first_place_published() -> Iterator[None]:
    bounds = places.Places.bounds

    def first(one: places.Places, encoded: Any_) -> Any_:
        found = bounds(one, encoded)
        return found and (found[0], found[0])

    with patch.object(places.Places, "bounds", first):
        yield


@_mutation("repeated records are counted for the place that is being read, whosever they are")
def counted_elsewhere() -> Iterator[None]:
    def counts(one: places.Places, encoded: Any_) -> Any_:
        return [(one.records[one._known[-1]], encoded.num_rows)] if one._known else []  # noqa: SLF001

    with patch.object(places.Places, "counts", counts):
        yield


# What processes that are ended might bring.


@_mutation("an attempt that was ended is not known to the next one")
def ended_unknown() -> Iterator[None]:
    with patch.object(attempts.Attempts, "ended", lambda _: 0):
        yield


@_mutation("log files that were set aside are not tried again")
def aside_for_good() -> Iterator[None]:
    def for_good(key: str, reason: str, record: int | None = None, **_: Any_) -> Any_:
        retryable = "were ended" not in reason
        return figures.quarantined(key, reason, record, retryable=retryable)

    with patch.object(run, "quarantined", for_good):
        yield


# Rewriting.


@_mutation("a rewritten part lacks the last row of each row group")
def rewrite_short() -> Iterator[None]:
    changed = rows.RowChanger.changed

    def shorter(one: rows.RowChanger, table: Any_, *more: Any_) -> Any_:
        made = changed(one, table, *more)
        return made._replace(table=made.table.slice(0, max(made.table.num_rows - 1, 1)))

    with patch.object(rows.RowChanger, "changed", shorter):
        yield


def find(name: str, seeds: int = _SEEDS) -> tuple[int, str] | None:
    """The first seed that finds a mutation, and what it says; None when none does."""
    mutation = next(one for one in MUTATIONS if one.name == name)
    for seed in range(1, seeds + 1):
        with mutation.applied():
            finding = _finding(seed)
        if finding and not _finding(seed):  # else it is not the mutation that it has found
            return seed, finding
    return None


def _finding(seed: int) -> str:
    try:
        (outcome,) = play([seed])
    except Exception as error:  # noqa: BLE001 - a crash is seen as well
        return f"{type(error).__name__}: {error}"
    return outcome.findings[0] if outcome.findings else ""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations")
    parser.add_argument("names", nargs="*", help="some of them")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="seeds to try at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options, missed = parser.parse_args(), 0
    wanted = [one for one in MUTATIONS if one.name in options.names or not options.names]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, max_tasks_per_child=1) as pool:
        tried = [pool.submit(find, one.name, options.seeds) for one in wanted]
        for mutation, trial in zip(wanted, tried, strict=True):
            seed, finding = trial.result() or ("none", "")
            missed += seed == "none"
            print(f"{mutation.name:24} {seed:>5}  {mutation.what}", flush=True)
            print(f"{'':31} {finding[:300]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
