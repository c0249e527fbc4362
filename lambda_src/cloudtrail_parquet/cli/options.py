"""The knobs as options of a command: ``--row-group-rows 65536`` and so on, made from `config`."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudtrail_parquet.settings.settings import (
    Settings,
    SettingSource,
    settings_environment,
    settings_file,
    settings_of,
)
from cloudtrail_parquet.settings.types import Flag

_PANEL = "Settings (docs/settings.md)"
_FILE = "settings_file"


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each knob; it receives all together as ``settings``."""
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "settings"]
    knobs = [_option(one) for one in fields(Settings)]
    parameters = [*(one.replace(kind=one.KEYWORD_ONLY) for one in own), _settings_file(), *knobs]

    @functools.wraps(command)
    def run(**options: Any) -> None:  # noqa: ANN401
        said = {one.name: options.pop(one.name) for one in knobs}
        path = options.pop(_FILE)
        command(**options, settings=_settings(path, said))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _settings(path: Path | None, said: dict[str, Any]) -> Settings:
    options = SettingSource(
        "option", {name: value for name, value in said.items() if value is not None}
    )
    file = [settings_file(path)] if path else []
    return settings_of(*file, *settings_environment(os.environ), options)


def _option(knob: Any) -> inspect.Parameter:  # noqa: ANN401 - a dataclasses.Field
    name = f"--{knob.name.replace('_', '-')}"
    kind = knob.metadata["type"]
    of, names = (bool, f"{name}/--no-{name[2:]}") if isinstance(kind, Flag) else (str, name)
    about = f"{knob.metadata['about'].capitalize()}: {kind.legal}."
    option = typer.Option(names, help=about, rich_help_panel=_PANEL, metavar="VALUE")
    return _parameter(knob.name, Annotated[of | None, option])


def _settings_file() -> inspect.Parameter:
    help_ = "TOML file with settings; the environment and options decide over it."
    option = typer.Option("--settings", help=help_, rich_help_panel=_PANEL, metavar="FILE")
    return _parameter(_FILE, Annotated[Path | None, option])


def _parameter(name: str, annotation: Any) -> inspect.Parameter:  # noqa: ANN401
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
