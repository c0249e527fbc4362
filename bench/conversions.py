"""Conversions by the command line, on a disk or in the slow S3, and what they take."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow.parquet as pq

from bench.apart import KILLED, run_apart
from bench.slow_s3.process import SlowS3
from bench.slow_s3.server import FIRST_BYTE_S
from cloudtrail_parquet.contract import PartitionLayout

Storage = Literal["disk", "s3"]

DATASET = "cloudtrail"


class Conversion(NamedTuple):
    """What a conversion wrote, and what it took.

    Attributes:
        files: Parts of the dataset.
        bytes: Their size.
        records: Their rows.
        cpu_s: User and system seconds of the command and its worker processes; NaN if it was
            ended, since then those of the workers are unknown.
        wall_s: Seconds from start to end.
        peak_mib: Peak resident memory of the largest of these processes.
        counts: Requests by kind; empty on a disk.
        finished: Whether it came to an end by itself.
    """

    files: int
    bytes: int
    records: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    counts: dict[str, int]
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """Converts the same logs in different layouts.

    Attributes:
        logs: Folder of the source.
        folder: Receives a folder for each layout and storage.
        options: Further options of the command.
        runs: How often each conversion is repeated; the one with the median CPU counts.
        reuses: Whether a conversion of an earlier call is taken as it is.
        limit_s: A conversion that takes longer is ended.
        first_byte_s: How slow S3 is.
    """

    logs: Path
    folder: Path
    options: Sequence[str] = ()
    runs: int = 1
    reuses: bool = False
    limit_s: float = 600
    first_byte_s: float = FIRST_BYTE_S

    def home(self, layout: PartitionLayout, storage: Storage) -> Path:
        """The folder of a dataset and its state; of S3 it is a copy."""
        return self.folder / layout.replace("/", "-") / storage

    def convert(self, layout: PartitionLayout, storage: Storage) -> Conversion:
        """Convert in a layout, or return what an earlier call has measured."""
        noted = self.home(layout, storage) / "conversion.json"
        if self.reuses and noted.exists():
            return Conversion(**json.loads(noted.read_text()))
        conversions: list[Conversion] = []
        while len(conversions) < self.runs and all(one.finished for one in conversions):
            conversions.append(self._convert_once(layout, storage))
        unfinished = [conversion for conversion in conversions if not conversion.finished]
        by_cpu = unfinished or sorted(conversions, key=lambda conversion: conversion.cpu_s)
        median = by_cpu[(len(by_cpu) - 1) // 2]
        noted.write_text(json.dumps(median._asdict()))
        return median

    def _convert_once(self, layout: PartitionLayout, storage: Storage) -> Conversion:
        home = self.home(layout, storage)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        options = ["--partition-layout", layout, *self.options]
        if storage == "disk":
            return self._measured([str(self.logs), str(home / DATASET), *options], home)
        with SlowS3({"logs": self.logs, "lake": home}, self.first_byte_s) as server:
            arguments = ["s3://logs", f"s3://lake/{DATASET}", *options]
            return self._measured(arguments, home, server)

    def _measured(
        self, arguments: list[str], home: Path, server: SlowS3 | None = None
    ) -> Conversion:
        command = [sys.executable, "-m", "cloudtrail_parquet.cli", "convert", *arguments]
        environment = {**os.environ, **(server.environment if server else {})}
        with Path(home, "messages").open("wb") as messages:
            usage = run_apart(command, environment, messages, self.limit_s)
        if usage.status not in {0, KILLED}:
            raise SystemExit(f"{' '.join(command)}\n{Path(home, 'messages').read_text()}")
        finished = usage.status == 0
        counts = server.counts() if server else {}
        if server:
            server.save()
        parts = list((home / DATASET).rglob("*.parquet"))
        return Conversion(
            files=len(parts),
            bytes=sum(part.stat().st_size for part in parts),
            records=sum(pq.read_metadata(part).num_rows for part in parts),
            cpu_s=usage.cpu_s if finished else nan,
            wall_s=usage.wall_s,
            peak_mib=usage.peak_mib,
            counts=dict(counts),
            finished=finished,
        )
