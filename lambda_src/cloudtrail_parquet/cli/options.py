"""The settings as options of a command, such as ``--row-group-rows 65536``."""

import functools
import inspect
import os
from collections.abc import Callable
from copy import copy
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
_HELP = "help_settings"


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting; it receives all of them as ``settings``."""
    signature = inspect.signature(command)
    own = [
        parameter.replace(kind=parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "settings"
    ]
    ours = [_option(field) for field in fields(Settings)]
    parameters = [*own, _settings_file(), _help_settings(), *ours]

    @functools.wraps(command)
    def run(**arguments: Any) -> None:  # noqa: ANN401
        values = {parameter.name: arguments.pop(parameter.name) for parameter in ours}
        path = arguments.pop(_FILE)
        del arguments[_HELP]
        command(**arguments, settings=_settings(path, values))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _settings(path: Path | None, values: dict[str, Any]) -> Settings:
    options = SettingSource(
        "option", {name: value for name, value in values.items() if value is not None}
    )
    file = [settings_file(path)] if path else []
    return settings_of(*file, *settings_environment(os.environ), options)


def _option(field: Any) -> inspect.Parameter:  # noqa: ANN401 - a dataclasses.Field
    name, setting_type = f"--{field.name.replace('_', '-')}", field.metadata["type"]
    is_flag = isinstance(setting_type, Flag)
    annotation, names = (bool, f"{name}/--no-{name[2:]}") if is_flag else (str, name)
    about = field.metadata["about"]
    help_ = f"{about[0].upper()}{about[1:]}: {setting_type.legal}."
    option = typer.Option(names, help=help_, rich_help_panel=_PANEL, metavar="VALUE", hidden=True)
    return _parameter(field.name, Annotated[annotation | None, option])


def _settings_file() -> inspect.Parameter:
    help_ = "TOML file with settings; the environment and options take precedence over it."
    option = typer.Option("--settings", help=help_, rich_help_panel=_PANEL, metavar="FILE")
    return _parameter(_FILE, Annotated[Path | None, option])


def _help_settings() -> inspect.Parameter:
    count = len(fields(Settings))
    help_ = f"Show all {count} settings: each is an option here, too."
    option = typer.Option(
        "--help-settings",
        help=help_,
        rich_help_panel=_PANEL,
        is_eager=True,
        callback=_show_settings,
    )
    return _parameter(_HELP, Annotated[bool | None, option])


def _show_settings(context: typer.Context, wanted: bool | None) -> None:  # noqa: FBT001
    """Print the help of a command with nothing but its settings, and end."""
    if not wanted:
        return
    ours, everything = {field.name for field in fields(Settings)}, context.command.params
    settings = [parameter for parameter in everything if parameter.name in ours]
    page = copy(context.command)
    page.params = list(map(copy, settings))
    for parameter in page.params:
        vars(parameter)["hidden"] = False
    page.help = "Each setting is also an environment variable and a line of a settings file."
    print(page.get_help(context))
    raise typer.Exit


def _parameter(name: str, annotation: Any) -> inspect.Parameter:  # noqa: ANN401
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
