"""The door of the command: whatever goes wrong behind it becomes a line and an exit status."""

import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TextIO

import typer
from typer.exceptions import TyperException

from cloudtrail_parquet.cli.output import FAILED, note, note_error, status_of
from cloudtrail_parquet.errors import CloudTrailParquetError, LocationError, UsageError, of_system

_PROGRAM = "cloudtrail-parquet"
_EXTRA = re.compile(r"got unexpected extra argument\(s\) \((.*)\)")
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def enter(app: Callable[..., Any]) -> NoReturn:
    """Run a command and exit with its status; errors raised on purpose are a line each.

    Args:
        app: Parses the command line and runs the command.
    """
    try:
        _prepare_streams()
        status = _status(app)
        sys.stdout.flush()  # while an error can still be told
    except CloudTrailParquetError as error:
        status = _told(error)
    except BrokenPipeError:  # whoever read it has gone
        status = FAILED
    except OSError as error:
        status = _told(_of_path(error) if error.filename else _of_stdout(error))
    _close(sys.stdout)
    _close(sys.stderr)
    sys.exit(status)


def _told(error: CloudTrailParquetError) -> int:
    with suppress(OSError):  # nobody reads it
        note_error(error)
    return status_of(error)


def _status(app: Callable[..., Any]) -> int:
    try:
        return app(prog_name=_PROGRAM, standalone_mode=False) or 0
    except typer.Abort:
        note("aborted: nothing was done")
        return FAILED
    except TyperException as error:
        if not hasattr(error, "ctx") or type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error.format_message()}\n")  # a command's help
            return int(error.exit_code)
        raise _usage_error(error) from error


def _usage_error(error: Any) -> UsageError:  # noqa: ANN401 - a class of typer that is its own
    """A command line that is not one of ours, in our words."""
    where = error.ctx.command_path if error.ctx else _PROGRAM
    hint = f"{where} --help lists what there is"
    options = getattr(error, "possibilities", None)
    if option := getattr(error, "option_name", ""):
        if options:
            hint = f"Did you mean {' or '.join(sorted(options))}?"
        if options is not None or error.message.startswith("No such option"):
            return UsageError(f"there is no option {option}", where, hint)
    parameter = getattr(error, "param", None)
    if parameter is None:
        what, _, meant = error.message.partition(" Did you mean ")
        return UsageError(_plain(what), where, f"Did you mean {meant}" if meant else hint)
    is_option = parameter.opts[0].startswith("-")
    name = parameter.opts[0] if is_option else parameter.name.upper()
    if not error.message:
        return UsageError(f"{name} is missing", where, f"{where} --help explains it")
    return UsageError(_plain(error.message), f"{where} {name}", f"{where} --help explains it")


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ").partition(", unable to parse")[0].rstrip(".")
    message = message[:1].lower() + message[1:]
    return _EXTRA.sub(r"not expected: \1", message)


def _of_path(error: OSError) -> CloudTrailParquetError:
    return of_system("used", os.fsdecode(error.filename), error)


def _of_stdout(error: OSError) -> CloudTrailParquetError:
    what = f"cannot be written ({error.strerror or error})"
    return LocationError(what, "stdout", "Make room where it goes, or send it elsewhere")


def _prepare_streams() -> None:
    """Make sure that results and messages can be written, whatever characters they have.

    Raises:
        UsageError: Standard output is closed.
    """
    if sys.stdin is None:
        _open_null(_STDIN)
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        _open_null(_STDERR)
        sys.stderr = open(_STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        _open_null(_STDOUT)  # else the next file that is opened would be it
        sys.stdout = open(_STDOUT, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        hint = "Send it to a file, or to /dev/null"
        raise UsageError("is closed, so there is nowhere for results", "stdout", hint)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _open_null(descriptor: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)


def _close(stream: TextIO) -> None:
    """Let nothing more be written, which Python would try at its end, if that cannot be."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError):  # not a file
            _open_null(stream.fileno())
