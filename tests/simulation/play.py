"""Playing seeds: here, or in several processes."""

import gc
import multiprocessing
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.simulation.program import scaled_down
from tests.simulation.story import Outcome, Story

_SEEDS_AT_A_TIME = 20
_COLLECT_AFTER = 50_000  # objects, as `process.prepare_process` has it
_MEMORY = Path("/dev/shm")  # noqa: S108 - a disk costs time


def play(seeds: Iterable[int], days: int = 0) -> list[Outcome]:
    """Play seeds in this process."""
    gc.set_threshold(_COLLECT_AFTER, 20, 100)  # a story makes many objects, and then drops all
    memory = _MEMORY if _MEMORY.is_dir() else None
    with scaled_down(), tempfile.TemporaryDirectory(dir=memory) as scratch:
        return [_play(seed, Path(scratch), days) for seed in seeds]


def _play(seed: int, scratch: Path, days: int) -> Outcome:
    try:
        return Story(seed, scratch, days).play()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


def play_many(seeds: range, days: int, jobs: int) -> Iterator[Outcome]:
    """Play seeds in some processes; their outcomes come without traces."""
    spawn = multiprocessing.get_context("spawn")  # there are threads
    with ProcessPoolExecutor(jobs, spawn) as pool:
        pieces = [
            seeds[number : number + _SEEDS_AT_A_TIME]
            for number in range(0, len(seeds), _SEEDS_AT_A_TIME)
        ]
        for future in as_completed([pool.submit(_play_piece, piece, days) for piece in pieces]):
            yield from future.result()


def _play_piece(seeds: range, days: int) -> list[Outcome]:
    return [outcome.without_trace() for outcome in play(seeds, days)]
