"""Arranging a location that is not a delivered tree."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from cloudtrail_parquet.errors import MistakesError, UsageError
from cloudtrail_parquet.intake.arranged import Arranged, ArrangedStore
from cloudtrail_parquet.intake.left_out import Leftovers
from cloudtrail_parquet.intake.origin import Origin
from cloudtrail_parquet.intake.placement import placement_of
from cloudtrail_parquet.intake.transcription import Transcription
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import Entry, open_store

_HINT = "docs/sources.md says what a source may be"
_NAME_LOGS = "Name a file of CloudTrail's, a folder of them, or one that holds AWSLogs"
_MOST = 20


class Arranging:
    """Arranges the locations of a source.

    Attributes:
        left: What belongs nowhere.
        files: How many files were sorted out by their content.
        records: How many records they hold.
        bytes: The size of these files, as stored.
        copied_bytes: The size of the log files that were made of them.
    """

    def __init__(
        self,
        scratch: Path,
        settings: Settings,
        known: Place,
        *,
        tell: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        """Begin with none.

        Args:
            scratch: A folder for what has to be written.
            settings: The folders that are read, and how much a file may inflate to.
            known: The account and the region of records that name none.
            tell: Is told of each file that is sorted out by its content, its bytes and that it is
                one.
        """
        self.left, self.files, self.records = Leftovers(), 0, 0
        self.bytes = self.copied_bytes = 0
        self._scratch, self._settings, self._known = scratch, settings, known
        self._tell = tell

    def arranged(self, origin: Origin, is_bare: bool) -> Origin:  # noqa: FBT001
        """A location arranged, if it is to be and there is something to arrange."""
        if not is_bare:
            return origin
        entries = open_store(origin.store).files("")
        first, lies_in, is_named = next(entries, None), origin, False
        if first is None and (file := origin.file()):
            lies_in, first = file
            entries, is_named = iter(()), True
        if first is None:
            return origin
        scratch = Path(tempfile.mkdtemp(dir=self._scratch))
        files = self._placed(lies_in, chain([first], entries), scratch, is_named=is_named)
        return lies_in._replace(scratch=scratch) if ArrangedStore.write(files, scratch) else origin

    def _placed(
        self, origin: Origin, entries: Iterable[Entry], scratch: Path, *, is_named: bool
    ) -> Iterator[Arranged]:
        above = f"{Origin(origin.store, '').uri}/"
        transcription = Transcription(
            open_store(origin.store),
            scratch,
            self._settings.folders[0],
            self._known,
            self._settings.max_inflated_bytes,
            self.left,
        )
        for entry in entries:
            key, size, modified, _ = entry
            if key.endswith("/"):
                continue
            if not is_named and any(name.startswith(".") for name in key.split("/")):
                self.left.hidden += 1
            elif not size:
                self.left.add(key, "the file is empty", "Copy it again, or remove it")
            elif placement := placement_of(f"{above}{key}"):
                yield Arranged(f"{placement.prefix}{key}", size, modified)
            else:
                made = transcription.transcribe(entry)
                self.files += bool(made)
                self.bytes += size if made else 0
                self._tell(size, 1)
                yield from made
        self.records += transcription.records
        self.copied_bytes += transcription.bytes

    def no_logs(self, where: str) -> UsageError:
        """The error for a source of which nothing can be placed."""
        if not self.left.count:
            return UsageError("there are no files in it", where, _NAME_LOGS)
        problems = [f"{one.where}: {one.reason}. {one.hint}" for one in self.left.named[:_MOST]]
        if more := self.left.count - len(problems):
            problems.append(f"and {more:,} more")
        return MistakesError.of(problems, where, _HINT)
