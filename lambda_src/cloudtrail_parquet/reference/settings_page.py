"""The page of the docs about settings, made from `Settings`.

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

A setting has the same name in three places. An option takes precedence over the environment, and
the environment over the file:

| where | how it looks |
|---|---|
| a settings file, named by `--settings FILE` or `{PREFIX}SETTINGS` | `row_group_rows = 65536` |
| the environment | `{PREFIX}ROW_GROUP_ROWS=65536` |
| an option of `convert`, `plan`, `backfill`, `status`, `report`, `rewrite`, `inspect` or `schema` \
| `--row-group-rows 65536` |

A settings file is TOML. Lists and values by column can be written as text, too:

```toml
sort_by = ["eventSource", "eventName", "userIdentity.arn", "eventTime"]

[column_compression]
requestParameters = "zstd:9"
eventID = "none"
```

    --sort-by eventSource,eventName,userIdentity.arn,eventTime
    --column-compression requestParameters=zstd:9,eventID=none

A list replaces the default; values by column are merged into it, column by column. The name of a
struct stands for all columns below it (`userIdentity`, `resources`); where two names cover a
column, the longer one decides. A name that is not a column, a value out of range and a setting
that does not exist are errors, all reported at once; of a rule, the first.

Settings marked † shape the files. They are kept in the footer of every part, and `inspect`
compares them with the current ones; a day that is converted again gets the current ones. Those
marked ‡ are the same for all of a dataset: another value is refused.

"""
_FOR_ALL = set(DatasetProperties.__struct_fields__)


def settings_page() -> str:
    """The page as Markdown, with a row for each setting."""
    return _PAGE + table(("setting", "default", "what it does", "it has to be"), _rows()) + "\n"


def _rows() -> Iterator[tuple[str, ...]]:
    defaults = Settings()
    for field in fields(Settings):
        mark = "‡" if field.name in _FOR_ALL else "†" if field.metadata["shapes"] else ""
        yield (
            f"`{field.name}` {mark}".rstrip(),
            _default(getattr(defaults, field.name)),
            field.metadata["about"],
            field.metadata["type"].legal,
        )


def _default(value: object) -> str:
    """A default as a settings file would have it."""
    if isinstance(value, dict):
        return (
            "<br>".join(f"`{column} = {json.dumps(text)}`" for column, text in value.items())
            or "none"
        )
    if isinstance(value, tuple):
        return "<br>".join(f"`{item}`" for item in value) or "none"
    return "none" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
