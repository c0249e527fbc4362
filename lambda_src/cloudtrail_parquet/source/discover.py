"""Discovering a source: its accounts and regions, and the units that their days make.

The folders of one level are listed together, several at a time where listings are requests.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.deliveries import Window
from cloudtrail_parquet.errors import RefusedError, UsageError, listed
from cloudtrail_parquet.layout import ACCOUNT, ORGANIZATION, Unit, is_name
from cloudtrail_parquet.printable import is_writable
from cloudtrail_parquet.source.grain import Grain
from cloudtrail_parquet.source.log_files import days_known, delivery_days, each
from cloudtrail_parquet.source.unplaced import Unplaced, look_into
from cloudtrail_parquet.storage import Level, ReadStore
from cloudtrail_parquet.wording import counted

_MAX_DEPTH = 12  # folders between SOURCE and AWSLogs; prefixes of trails are short
_MAX_FOLDERS = 10_000  # looked through for AWSLogs
_AT_ROOT = re.compile(rf"(^|[/\\]){LOGS_ROOT}[/\\]*$")


class NoLogsError(UsageError):
    """A source has no ``AWSLogs`` with accounts at or below it."""


class TooManyFoldersError(NoLogsError):
    """There are too many folders to search for ``AWSLogs``."""


@dataclass
class Discovery:
    """What was discovered in the source.

    Attributes:
        trails: The prefixes, ending in "/", that hold the days of a place (account, region), by
            place; one for each layout of the bucket and folder of logs.
        siblings: The prefixes of other folders beside the logs, by folder name.
        refused: Accounts that cannot be listed completely, and why. They have no trails, since a
            conversion must not leave out what it cannot read.
        without_logs: Locations of a source of several that have no ``AWSLogs`` yet, as prefixes.
        unplaced: Log files that no unit reads, as far as they have been listed; further listings
            of the source add to it.
        with_logs: The places in which a plan has found log files.
        incomplete: What units lack, in words, that a plan has found to be up to date otherwise.
        grain: How these are spread over the units of the plan.
    """

    trails: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    siblings: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, RefusedError] = field(default_factory=dict)
    without_logs: list[str] = field(default_factory=list)
    unplaced: Unplaced = field(default_factory=Unplaced)
    with_logs: set[tuple[str, str]] = field(default_factory=set)
    incomplete: list[str] = field(default_factory=list)
    grain: Grain = field(default_factory=Grain)

    def trails_of(self, unit: Unit) -> list[str]:
        """The prefixes that hold the days of all places of a unit."""
        if all(unit.span):
            return self.trails.get(unit.span, [])
        return [
            trail for place in self.trails if unit.holds(*place) for trail in self.trails[place]
        ]

    def refused_in(self, unit: Unit) -> list[str]:
        """The accounts of a unit that may not be listed, if it spans all accounts."""
        return [] if unit.account else list(self.refused)

    def check(self, accounts: Collection[str], regions: Collection[str], where: str) -> None:
        """Refuse accounts and regions that the source does not have; most likely misspelt.

        Raises:
            UsageError: Names them, and those that the source has.
        """
        known = {account for account, _ in self.trails} | set(self.refused)
        check_known("account", accounts, known, where)
        if not self.refused_of(accounts):  # whose regions cannot be seen
            check_known("region", regions, {region for _, region in self.trails}, where)

    def no_logs(self, source: ReadStore, holds: Callable[[str, str], bool]) -> UsageError:
        """The error for a selection without a single log file; says what the source has.

        Args:
            source: The source that this is about.
            holds: Whether an account and region are selected.
        """
        trails = [self.trails[place] for place in self.trails if holds(*place)]
        days = days_known(source, list(chain.from_iterable(trails or self.trails.values())))
        accounts, regions = ({place[which] for place in self.trails} for which in (0, 1))
        hint = f"There are: accounts {listed(accounts)}; regions {listed(regions)}; {days}"
        return UsageError("no log files for what was selected", source.uri, hint)

    def refused_of(self, accounts: Collection[str]) -> dict[str, RefusedError]:
        """The refused accounts among some, or among all when none are given, and why."""
        refused = sorted(self.refused.items())
        return {account: error for account, error in refused if not accounts or account in accounts}


def check_known(kind: str, wanted: Iterable[str], known: Collection[str], where: str) -> None:
    """Refuse accounts, or regions, for which there are no logs.

    Raises:
        UsageError: Names them, and those that have logs.
    """
    if missing := [name for name in wanted if name not in known]:
        what = f"no logs for {kind} {listed(map(_quoted, missing))}"
        raise UsageError(what, where, f"There are: {listed(known)}")


def _quoted(name: str) -> str:
    return name if is_name(name) else repr(name)


def discover(source: ReadStore, folders: Iterable[str]) -> Discovery:
    """Find every account and region at or below a source.

    Each folder between the source and the regions is listed once; log files directly in one of
    them are unplaced. An account that may not be listed does not keep others from being found.

    Args:
        source: At or above ``AWSLogs``, in one location or several; one of several may be empty.
        folders: Exact names of the folders that hold logs, such as ``CloudTrail``.

    Raises:
        NoLogsError: There is no ``AWSLogs`` with an account in it, or it lies too deep, or there
            are too many folders to search for it.
        RefusedError: No account may be listed.
    """
    discovery, wanted = Discovery(), frozenset(folders)
    roots = _topmost(source, discovery.unplaced)
    discovery.without_logs = [
        top for top in source.tops if not any(root.startswith(top) for root in roots)
    ]
    while roots:
        roots = _read_roots(source, roots, wanted, discovery)
    for place in [place for place in discovery.trails if place[0] in discovery.refused]:
        del discovery.trails[place]
    if not discovery.trails and discovery.refused:
        raise next(iter(discovery.refused.values()))
    if not discovery.trails and not discovery.siblings:
        raise _no_root(source, discovery.unplaced)
    for prefixes in (*discovery.trails.values(), *discovery.siblings.values()):
        prefixes.sort(key=lambda prefix: prefix.split("/"))
    return discovery


def _no_root(source: ReadStore, unplaced: Unplaced) -> NoLogsError:
    what = f"no {LOGS_ROOT} folder with CloudTrail logs"
    hint = f"Name a location at or above {LOGS_ROOT}"
    if odd := _misspelt(source):
        hint = f"Rename {odd} to {LOGS_ROOT}, as CloudTrail writes it"
    elif unplaced.files:
        files, example = counted(unplaced.files, "log file"), unplaced.folders[0].example
        what += f", but {files} elsewhere, such as {example}"
        hint += ", or convert them on the command line, which reads them where they lie"
    return NoLogsError(what, source.uri, hint)


def _misspelt(source: ReadStore) -> str | None:
    """A folder that differs from ``AWSLogs`` in capitals only, as copies on some disks do."""
    names = [source.uri, *(name for top in source.tops for name in source.level(top).folders)]
    near = (name for name in names if _name(name).lower() == LOGS_ROOT.lower())
    return next((name for name in near if _name(name) != LOGS_ROOT), None)


def account_roots(source: ReadStore) -> dict[str, list[str]]:
    """The prefixes directly above accounts: ``AWSLogs`` and organization ids in it.

    For callers that know the account and region already: it takes a few listings, however many
    accounts there are.

    Returns:
        The names of the folders in each prefix: accounts, and whatever else there is.
    """
    unplaced = Unplaced()  # reported by `discover`
    roots, names_by_root = _topmost(source, unplaced), dict[str, list[str]]()
    while roots:
        names_of = dict(_below(source, roots, unplaced))
        names_by_root |= names_of
        below = [f"{root}{name}/" for root, names in names_of.items() for name in names]
        others = [prefix for prefix in below if not _name(prefix).isdigit()]
        deeper = [prefix for prefix in others if _is_above_accounts(prefix)]
        odd = [prefix for prefix in others if prefix not in deeper]
        deeper += [prefix for prefix, names in _below(source, odd, unplaced) if _has_account(names)]
        rest = [prefix for prefix in others if prefix not in deeper]
        roots = deeper + _roots(source, rest, unplaced)
    return names_by_root


def _is_above_accounts(prefix: str) -> bool:
    """Whether accounts lie directly below a folder, by its name alone."""
    name = _name(prefix)
    return ORGANIZATION.fullmatch(name) is not None or name == LOGS_ROOT


def _has_account(names: Iterable[str]) -> bool:
    return any(map(ACCOUNT.fullmatch, names))


def _below(
    source: ReadStore, prefixes: Iterable[str], unplaced: Unplaced
) -> Iterator[tuple[str, list[str]]]:
    """Prefixes, each with the names of the folders directly below it."""
    prefixes = list(prefixes)
    for prefix, level in zip(prefixes, each(source, source.level, prefixes), strict=True):
        unplaced.add_level(prefix, level.files)
        yield prefix, level.folders


def _below_accounts(
    source: ReadStore, accounts: Mapping[str, str], discovery: Discovery
) -> Iterator[tuple[str, str, list[str]]]:
    """Prefixes of accounts, each with the account and the names of the folders directly below it.

    An account that may not be listed goes to ``discovery.refused`` instead.
    """

    def ask(prefix: str) -> Level | RefusedError:
        try:
            return source.level(prefix)
        except RefusedError as error:
            return error

    for (prefix, account), level in zip(accounts.items(), each(source, ask, accounts), strict=True):
        if not isinstance(level, RefusedError):
            discovery.unplaced.add_level(prefix, level.files)
            yield prefix, account, level.folders
        elif account.isdigit():
            discovery.refused.setdefault(account, level)
        else:  # maybe a trail's prefix, with any accounts in it
            raise level


def _topmost(source: ReadStore, unplaced: Unplaced) -> list[str]:
    """The prefixes of the topmost ``AWSLogs`` folders; a location may itself be one."""
    at_root = [top for top in source.tops if _AT_ROOT.search(f"{source.uri}/{top}")]
    return at_root + _roots(source, [top for top in source.tops if top not in at_root], unplaced)


def _roots(source: ReadStore, prefixes: list[str], unplaced: Unplaced) -> list[str]:
    """The prefixes of the topmost ``AWSLogs`` folders below other folders."""
    roots: list[str] = []
    seen = 0
    for _ in range(_MAX_DEPTH + 1):
        seen += len(prefixes)
        if seen > _MAX_FOLDERS:
            what = f"more than {_MAX_FOLDERS:,} folders to search for {LOGS_ROOT}"
            hint = f"Name the folder that {LOGS_ROOT} is in"
            raise TooManyFoldersError(what, source.uri, hint)
        below = _below(source, prefixes, unplaced)
        inside = [f"{prefix}{name}/" for prefix, names in below for name in names]
        roots += [prefix for prefix in inside if _name(prefix) == LOGS_ROOT]
        prefixes = [prefix for prefix in inside if _name(prefix) != LOGS_ROOT]
    return roots


def _name(prefix: str) -> str:
    return prefix.rstrip("/").rpartition("/")[2]


def _read_roots(
    source: ReadStore, roots: Iterable[str], folders: frozenset[str], discovery: Discovery
) -> list[str]:
    """Read the accounts below some ``AWSLogs``, or below organization ids in them.

    Returns:
        Further prefixes to be read in the same way.
    """
    below = _below(source, roots, discovery.unplaced)
    inside = [f"{root}{name}/" for root, names in below for name in names]
    deeper = [prefix for prefix in inside if _is_above_accounts(prefix)]
    accounts = {prefix: _name(prefix) for prefix in inside if prefix not in deeper}
    nameless, logs, siblings = list[str](), dict[str, str](), list[str]()
    for prefix, account, inner in _below_accounts(source, accounts, discovery):
        if not account.isdigit() and folders.isdisjoint(inner):
            if _has_account(inner):
                deeper.append(prefix)
                continue
            nameless.append(prefix)  # a trail's prefix may itself hold AWSLogs
        logs |= {f"{prefix}{folder}/": account for folder in inner if folder in folders}
        siblings += [f"{prefix}{folder}/" for folder in inner if folder not in folders]
    for prefix, account, regions in _below_accounts(source, logs, discovery):
        for region in regions:
            trail = f"{prefix}{region}/"
            if is_writable(f"{account}{region}"):
                discovery.trails.setdefault((account, region), []).append(trail)
            else:
                discovery.unplaced.merge(look_into(source, trail)[1])
    further = _roots(source, nameless, discovery.unplaced) if nameless else []
    for sibling in siblings:
        if not any(root.startswith(sibling) for root in further):
            discovery.siblings.setdefault(_name(sibling), []).append(sibling)
    return deeper + further


def units(  # noqa: PLR0913, PLR0917
    source: ReadStore,
    discovery: Discovery,
    window: Window,
    first: date | None = None,
    last: date | None = None,
    holds: Callable[[str, str], bool] = lambda _account, _region: True,
) -> list[Unit]:
    """The units of a source, sorted: every day whose window touches a delivery day.

    That is one day more at each end than there are folders: the first minutes of a folder hold
    events of the evening before. Log files beside the folders of days, or in folders that are not
    days, are unplaced.

    Args:
        source: The source of the logs.
        discovery: What `discover` found in it; receives unplaced log files.
        window: The window of a day.
        first: Only this day and later ones.
        last: Only this day and earlier ones.
        holds: Whether an account and region are wanted.
    """
    first, last = first or date.min, last or date.max
    delivered_from = window.delivery_days(first)[0]
    delivered_to = window.delivery_days(last)[-1]
    places = [place for place in discovery.trails if holds(*place)]
    trails = [(place, trail) for place in places for trail in discovery.trails[place]]

    def look(trail: str) -> tuple[list[date], Unplaced]:
        unplaced = Unplaced()
        days = delivery_days(source, trail, delivered_from, delivered_to, unplaced=unplaced)
        return list(days), unplaced

    days = []
    for delivery, unplaced in each(source, look, [trail for _, trail in trails]):
        days.append(delivery)
        discovery.unplaced.merge(unplaced.found)
    return sorted(
        {
            Unit(account, region, day)
            for ((account, region), _), delivery in zip(trails, days, strict=True)
            for delivered in delivery
            for day in window.event_days(delivered)
            if first <= day <= last
        }
    )
