"""The units that a source can have: its accounts at once, the regions of each on demand.

For callers that are given the names of units, which may be misspelt or not be names at all.
"""

from collections.abc import Iterable
from itertools import chain
from threading import Lock

from cloudtrail_parquet.errors import RefusedError, UsageError
from cloudtrail_parquet.layout import Unit, is_name
from cloudtrail_parquet.printable import is_writable
from cloudtrail_parquet.source.discover import account_roots, check_known
from cloudtrail_parquet.source.log_files import days_known, each
from cloudtrail_parquet.storage import ReadStore


class Accounts:
    """The accounts of a source, listed at once; the regions of each are listed on first use.

    Several units may ask at a time, in threads.
    """

    def __init__(self, source: ReadStore, folders: Iterable[str]) -> None:
        """List the accounts.

        Args:
            source: At or above ``AWSLogs``, in one location or several.
            folders: Exact names of the folders that hold logs.
        """
        self._source, self._folders = source, tuple(folders)
        self._roots = account_roots(source)
        self._asking = {name: Lock() for names in self._roots.values() for name in names}
        self._everything = Lock()
        self._trails: dict[str, dict[str, list[str]]] = {}
        self._all: dict[str, dict[str, list[str]] | None] | None = None

    def trails(self, unit: Unit) -> list[str]:
        """The prefixes of the source that hold the days of a unit's places.

        Those of a unit that spans all accounts are without accounts that may not be listed.

        Raises:
            UsageError: There are no logs for the account or the region; names those that have.
            StorageError: The account cannot be listed.
        """
        if not unit.account:
            by_account = (regions for regions in self._listed().values() if regions is not None)
            return [
                trail for regions in by_account for trails in regions.values() for trail in trails
            ]
        known = {name for names in self._roots.values() for name in names}
        if not is_name(unit.account) or unit.account not in known:
            check_known("account", [unit.account], _accounts(known), unit.name)
        with self._asking[unit.account]:
            by_region = self._trails.get(unit.account)
            if by_region is None:
                by_region = self._trails[unit.account] = self._list_regions(unit.account)
        if not by_region:
            check_known("account", [unit.account], _accounts(known - {unit.account}), unit.name)
        if not unit.region:
            return list(chain.from_iterable(by_region.values()))
        check_known("region", [unit.region], by_region, unit.name)
        return by_region[unit.region]

    def refused(self, unit: Unit) -> list[str]:
        """The accounts of a unit that spans all of them that may not be listed, sorted."""
        listed = {} if unit.account else self._listed()
        return [account for account, regions in sorted(listed.items()) if regions is None]

    def _listed(self) -> dict[str, dict[str, list[str]] | None]:
        """The prefixes of all accounts, by region; None for an account that may not be listed."""

        def ask(account: str) -> dict[str, list[str]] | None:
            try:
                return self._list_regions(account)
            except RefusedError:
                return None

        with self._everything:
            if self._all is None:
                names = {name for names in self._roots.values() for name in names}
                known = sorted(filter(is_writable, names))
                self._all = dict(zip(known, each(self._source, ask, known), strict=True))
            return self._all

    def no_logs(self, unit: Unit) -> UsageError:
        """The error for a unit without a log file in its window; says which days have a folder."""
        days = days_known(self._source, self.trails(unit))
        return UsageError("no log files for this day", unit.name, f"There are: {days}")

    def _list_regions(self, account: str) -> dict[str, list[str]]:
        by_region: dict[str, list[str]] = {}
        for root, names in self._roots.items():
            for folder in self._folders if account in names else ():
                trail = f"{root}{account}/{folder}/"
                for region in filter(is_writable, self._source.folders(trail)):
                    by_region.setdefault(region, []).append(f"{trail}{region}/")
        return by_region


def _accounts(names: set[str]) -> set[str]:
    """The names that look like accounts; other folders may lie beside these."""
    return {name for name in names if name.isdigit()} or names
