"""Where a log file belongs in a delivered tree, by its path or by its name.

Sources of names: CloudTrail User Guide, "Getting and viewing your CloudTrail log files" and
"CloudTrail digest file structure"; for other logs, the guides of the services that write them.
"""

import re
from datetime import date
from typing import NamedTuple

from cloudtrail_parquet.contract import LOGS_ROOT
from cloudtrail_parquet.deliveries import day_folder
from cloudtrail_parquet.settings.settings import LOG_FOLDERS, OPTIONAL_LOG_FOLDERS, OTHER_FOLDERS
from cloudtrail_parquet.source.unplaced import is_log_name

_LOGS = "|".join(LOG_FOLDERS + OPTIONAL_LOG_FOLDERS)
_OTHERS = "|".join(OTHER_FOLDERS)
_IN_PATH = re.compile(
    rf"(?:.*/)?(\d{{12}})/({_LOGS}|{_OTHERS})/([^/]+)/(\d{{4}})/(\d\d)/(\d\d)/.*",
    re.ASCII | re.DOTALL,
)
_OF_LOGS = re.compile(
    r"(\d{12})_(CloudTrail[A-Za-z-]*)_([a-z0-9-]+)_(\d{4})(\d\d)(\d\d)T.*", re.ASCII | re.DOTALL
)
_OF_OTHERS = re.compile(
    rf"(\d{{12}})_({_OTHERS})_([a-z0-9-]+)_.*?(\d{{4}})(\d\d)(\d\d)T\d{{4}}.*", re.ASCII | re.DOTALL
)
_ARRANGED = re.compile(
    rf"((?:.*?/)?){LOGS_ROOT}/\d{{12}}/[^/]+/[^/]+/\d{{4}}/\d\d/\d\d/(.+)", re.ASCII | re.DOTALL
)


class Placement(NamedTuple):
    """The folder of a delivered tree that a log file belongs in.

    Attributes:
        account: Twelve digits.
        folder: ``CloudTrail``, or that of other logs, which are no event logs perhaps.
        region: A region code.
        day: The day of delivery.
    """

    account: str
    folder: str
    region: str
    day: date

    @property
    def prefix(self) -> str:
        """``AWSLogs/ACCOUNT/FOLDER/REGION/YYYY/MM/DD/``."""
        return f"{LOGS_ROOT}/{self.account}/{self.folder}/{self.region}/{day_folder(self.day)}"


def placement_of(path: str) -> Placement | None:
    """Where the path of a file says that it belongs; None if only its content can tell.

    Folders go before names, as in a delivered tree.

    Args:
        path: With all folders that are known, those above the source as well.
    """
    return _placed(_IN_PATH, path) or _by_name(path)


def _by_name(path: str) -> Placement | None:
    name = path.rpartition("/")[2]
    return _placed(_OF_LOGS if is_log_name(name) else _OF_OTHERS, name)


def _placed(pattern: re.Pattern[str], text: str) -> Placement | None:
    match = pattern.fullmatch(text)
    if match is None:
        return None
    account, folder, region, *day = match.groups()
    try:
        return Placement(account, folder, region, date(*map(int, day)))
    except ValueError:  # not a day of the calendar
        return None


def path_in_source(key: str) -> str:
    """The path in the source that an arranged key stands for; other keys stay as they are."""
    match = _ARRANGED.fullmatch(key)
    return match[1] + match[2] if match else key
