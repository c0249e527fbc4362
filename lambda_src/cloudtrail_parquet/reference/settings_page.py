"""The page of the docs about settings, made from `config`.

python -m cloudtrail_parquet.reference.settings_page > docs/settings.md
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import fields

from cloudtrail_parquet.contract import PREFIX
from cloudtrail_parquet.dataset.properties import DatasetProperties
from cloudtrail_parquet.reference.markdown import table
from cloudtrail_parquet.settings.settings import Settings

_PAGE = f"""\
# Settings

Made from `lambda_src/cloudtrail_parquet/settings/settings.py`; change that, then run
`python -m cloudtrail_parquet.reference.settings_page > docs/settings.md`.

A setting has one name in three places. An option decides over the environment, the environment
over the file:

| where | how it looks |
|---|---|
| a settings file, named by `--settings FILE` or `{PREFIX}SETTINGS` | `row_group_rows = 65536` |
| the environment | `{PREFIX}ROW_GROUP_ROWS=65536` |
| an option of `convert`, `inspect` or `schema` | `--row-group-rows 65536` |

A file is TOML. Lists and values by column have a form as text, too:

```toml
sort_by = ["eventSource", "eventName", "userIdentity.arn", "eventTime"]

[column_compression]
requestParameters = "zstd:9"
eventID = "none"
```

    --sort-by eventSource,eventName,userIdentity.arn,eventTime
    --column-compression requestParameters=zstd:9,eventID=none

A list takes the place of the default; values by column are added to it, column by column. The
name of a struct stands for all columns below it (`userIdentity`, `resources`); where two names
cover a column, the longer one decides. A name that is no column, a value out of range and a
setting that does not exist are errors, all reported at once.

Settings marked † shape the files. They are kept in the footer of every part, and `inspect`
compares them with those of today; a day that is converted again takes those of today. Those
marked ‡ are the same for all of a dataset: another value is refused.

"""
_FOR_ALL = set(DatasetProperties.__struct_fields__)


def settings_page() -> str:
    """The page: Markdown, a row for each setting."""
    return _PAGE + table(("setting", "default", "what it does", "it has to be"), _rows()) + "\n"


def _rows() -> Iterator[tuple[str, ...]]:
    defaults = Settings()
    for one in fields(Settings):
        mark = "‡" if one.name in _FOR_ALL else "†" if one.metadata["shapes"] else ""
        yield (
            f"`{one.name}` {mark}".rstrip(),
            _default(getattr(defaults, one.name)),
            one.metadata["about"],
            one.metadata["type"].legal,
        )


def _default(value: object) -> str:
    """A default as a settings file would have it."""
    if isinstance(value, dict):
        return (
            "<br>".join(f"`{column} = {json.dumps(one)}`" for column, one in value.items())
            or "none"
        )
    if isinstance(value, tuple):
        return "<br>".join(f"`{one}`" for one in value) or "none"
    return "none" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
