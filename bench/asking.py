"""Puts the questions to both engines, each in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, cast

from bench.conversions import Storage
from bench.engines import Answer, Reply, Request
from bench.questions import KNOWN, Known
from bench.slow_s3.process import ROOT, SlowS3
from bench.slow_s3.server import FIRST_BYTE_S
from cloudtrail_parquet.contract import PartitionLayout
from cloudtrail_parquet.reference.ddl import DATASET, render
from cloudtrail_parquet.settings.settings import Settings

Engine = Literal["duckdb", "polars"]

HTTPFS_PYTHON = ROOT / ".cache/httpfs-venv/bin/python"
"""The interpreter of `make httpfs`."""


class Reading(NamedTuple):
    """Who reads which dataset from where."""

    engine: Engine
    storage: Storage
    layout: PartitionLayout

    def __str__(self) -> str:
        return f"{self.engine}, {self.storage}, {self.layout}"


class Answers(NamedTuple):
    """The answers of a version of an engine, by question."""

    version: str
    by_question: dict[str, Answer]


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks questions.

    Attributes:
        runs: How often each; the answer that took the median time counts.
        httpfs_python: An interpreter whose DuckDB has the extension httpfs.
        first_byte_s: How slow S3 is.
    """

    runs: int = 1
    httpfs_python: Path = HTTPFS_PYTHON
    first_byte_s: float = FIRST_BYTE_S

    def can_ask(self, engine: Engine, storage: Storage) -> bool:
        """Whether an engine can read from there."""
        return storage == "disk" or engine == "polars" or self.httpfs_python.exists()

    def known(self, layout: PartitionLayout, folder: Path) -> Known:
        """Values to ask for, from the dataset in a folder."""
        reading = Reading("duckdb", "disk", layout)
        answers = replace(self, runs=1).ask(reading, folder, {"values to ask for": KNOWN})
        (values,) = answers.by_question["values to ask for"]["rows"]
        return Known(*values)

    def ask(self, reading: Reading, folder: Path, questions: Mapping[str, str]) -> Answers:
        """Ask questions of the dataset in a folder, which S3 serves if that is to be read."""
        if reading.storage == "disk":
            return self._answers(reading, str(folder), questions)
        with SlowS3({"lake": folder.parent}, self.first_byte_s) as server:
            return self._answers(reading, f"s3://lake/{folder.name}", questions, server)

    def _answers(
        self,
        reading: Reading,
        location: str,
        questions: Mapping[str, str],
        server: SlowS3 | None = None,
    ) -> Answers:
        setup = render(reading.engine, Settings(partition_layout=reading.layout))
        request = Request(
            engine=reading.engine,
            setup=setup.replace(DATASET, location),
            questions=dict(questions),
            runs=self.runs,
            endpoint=server.address if server else "",
            counts=server.counts_url if server else "",
        )
        is_duckdb_in_s3 = server and reading.engine == "duckdb"
        python = self.httpfs_python if is_duckdb_in_s3 else sys.executable
        done = subprocess.run(
            [python, ROOT / "bench/engines.py"],
            check=True,
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(server.environment if server else {})},
        )
        reply = cast("Reply", json.loads(done.stdout))
        return Answers(
            reply["version"],
            {question: _median(answers) for question, answers in reply["answers"].items()},
        )


def _median(answers: list[Answer]) -> Answer:
    by_time = sorted(answers, key=lambda answer: answer["seconds"])
    return by_time[(len(by_time) - 1) // 2]


def disagreements(answers: Mapping[Reading, Answers]) -> Iterator[str]:
    """The readings whose answer to a question is not that of the first one."""
    (first, expected), *others = answers.items()
    for reading, given in others:
        for question, answer in expected.by_question.items():
            rows = given.by_question[question]["rows"]
            if rows != answer["rows"]:
                yield (
                    f"{question}: {reading} gives {len(rows)} rows, {first} gives "
                    f"{len(answer['rows'])}: {_differing(rows, answer['rows'])}"
                )


def _differing(rows: list[list[object]], expected: list[list[object]]) -> str:
    additional = [row for row in rows if row not in expected][:3]
    missing = [row for row in expected if row not in rows][:3]
    return f"only the former {additional}, only the latter {missing}"
