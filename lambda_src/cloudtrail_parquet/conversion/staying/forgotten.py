"""What a killed run has left, if it has to stay, and the state that told of it was lost.

There is no intent then to say which parts were to replace which. But parts of one run say the same
of their origin, and a run writes no record twice. So a part goes whose rows are all in parts of
other runs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cloudtrail_parquet.conversion.guard import keys_in
from cloudtrail_parquet.conversion.published import content_of
from cloudtrail_parquet.dataset.parts import footer_value, read_footer, readable, row_group_keys
from cloudtrail_parquet.layout import Unit, shard_of, unit_of
from cloudtrail_parquet.storage import Entry, ReadStore

_OF_ORIGIN = ("converter", "schema_version", "source_fingerprint", "settings")


def repeats(dataset: ReadStore, entries: Iterable[Entry]) -> set[str]:
    """The keys of parts, among all of a unit or shard, whose rows are all in others of them.

    Raises:
        StorageError: A part is damaged, so that its rows are unknown.
    """
    by_target = defaultdict[Unit | None, list[str]](list)
    for entry in entries:
        by_target[unit_of(entry.key)].append(entry.key)
    going = set[str]()
    for keys in by_target.values():
        if len(keys) > 1:
            going |= _repeats_in(dataset, keys)
    return going


def _repeats_in(dataset: ReadStore, parts: list[str]) -> set[str]:
    """The same for the parts in one partition."""
    by_origin = defaultdict[tuple[str, ...], list[str]](list)
    for part in sorted(parts):
        by_origin[_origin(dataset, part)].append(part)
    if len(by_origin) == 1:
        return set()
    keys = {part: keys_in(dataset, [part]) for part in parts}
    rows = {one: sum(len(keys[part]) for part in some) for one, some in by_origin.items()}
    going = set[str]()
    for origin in sorted(by_origin, key=lambda one: (rows[one], one)):  # what was put of many parts
        own = by_origin[origin]
        others = [part for part in parts if part not in going and part not in own]
        there = Counter(key for part in others for key in keys[part].to_pylist())
        candidates = [part for part in own if Counter(keys[part].to_pylist()) <= there]
        if candidates:
            wanted = pa.concat_arrays([keys[part] for part in candidates])
            going |= _covered(dataset, candidates, others, wanted)
    return going


def _covered(
    dataset: ReadStore, candidates: list[str], others: list[str], keys: pa.Array
) -> set[str]:
    """The parts of which each row, whole, is in others; one that is there once counts once."""
    there, covered = Counter[bytes](), set[str]()
    for part in others:
        there += _contents(dataset, part, keys)
    for part in candidates:
        contents = _contents(dataset, part, keys)
        if contents <= there:
            there -= contents
            covered.add(part)
    return covered


def _origin(dataset: ReadStore, part: str) -> tuple[str, ...]:
    footer = read_footer(dataset, part)
    return shard_of(part).name, *(footer_value(footer, name) for name in _OF_ORIGIN)


def _contents(dataset: ReadStore, key: str, keys: pa.Array) -> Counter[bytes]:
    """The contents of the rows of a part that have one of some keys."""
    contents = Counter[bytes]()
    with readable(dataset, key), dataset.open(key) as file:
        part = pq.ParquetFile(file, page_checksum_verification=True)
        for group in range(part.num_row_groups):
            hits = pc.is_in(row_group_keys(part, group), value_set=keys)
            if hits.true_count:
                rows = part.read_row_group(group).filter(hits).to_pylist()
                contents.update(map(content_of, rows))
    return contents
