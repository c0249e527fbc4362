"""AWS CloudTrail log files as small, fast, typed Parquet.

A program may use the names in ``__all__``; docs/python.md shows how. They are loaded when they are
first used, so that a part of the package (the Lambda function, the command) loads no more than it
needs.
"""

from typing import TYPE_CHECKING

from cloudtrail_parquet.version import __version__

if TYPE_CHECKING:
    from cloudtrail_parquet.api import (
        CloudTrailParquetError,
        Outcome,
        Receipt,
        Settings,
        Unit,
        UsageError,
        convert,
        export,
        make_settings,
        read_schema,
    )

__all__ = [
    "CloudTrailParquetError",
    "Outcome",
    "Receipt",
    "Settings",
    "Unit",
    "UsageError",
    "__version__",
    "convert",
    "export",
    "make_settings",
    "read_schema",
]

if not TYPE_CHECKING:  # else a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from cloudtrail_parquet import api  # noqa: PLC0415 - loads Arrow

        value = globals()[name] = getattr(api, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
