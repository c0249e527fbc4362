"""Which units can be: the accounts of a source, and their regions when somebody asks for them.

For who is given the names of units: they may be misspelt, or no names at all.
"""

from collections.abc import Iterable

from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.layout import Unit, is_name
from cloudtrail_parquet.source.discover import account_roots, check_known
from cloudtrail_parquet.source.log_files import days_known
from cloudtrail_parquet.storage import ReadStore


class Accounts:
    """The accounts of a source; they are listed at once, the regions of each when it is used."""

    def __init__(self, source: ReadStore, folders: Iterable[str]) -> None:
        """List the accounts.

        Args:
            source: A place at or above ``AWSLogs``, or several.
            folders: Exact names of the folders that hold logs.
        """
        self._source, self._folders = source, tuple(folders)
        self._roots = account_roots(source)
        self._trails: dict[str, dict[str, list[str]]] = {}

    def trails(self, unit: Unit) -> list[str]:
        """The prefixes of the source below which the days of a unit's account and region lie.

        Raises:
            UsageError: There are no logs for its account or its region; says for which there are.
            StorageError: The account cannot be listed.
        """
        known = {name for names in self._roots.values() for name in names}
        if not is_name(unit.account) or unit.account not in known:
            check_known("account", [unit.account], _accounts(known), unit.name)
        by_region = self._trails.get(unit.account)
        if by_region is None:
            by_region = self._trails[unit.account] = self._look(unit.account)
        if not by_region:
            check_known("account", [unit.account], _accounts(known - {unit.account}), unit.name)
        check_known("region", [unit.region], by_region, unit.name)
        return by_region[unit.region]

    def no_logs(self, unit: Unit) -> UsageError:
        """The error for a unit in whose window there is no log file; says which days there are."""
        days = days_known(self._source, self.trails(unit))
        return UsageError("no log files for this day", unit.name, f"There are: {days}")

    def _look(self, account: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for root, names in self._roots.items():
            for folder in self._folders if account in names else ():
                trail = f"{root}{account}/{folder}/"
                for region in self._source.folders(trail):
                    found.setdefault(region, []).append(f"{trail}{region}/")
        return found


def _accounts(names: set[str]) -> set[str]:
    """Those names that look like an account's; other folders may lie beside them."""
    return {name for name in names if name.isdigit()} or names
