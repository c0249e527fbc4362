"""Options of the commands that ask AWS itself, not only its stores."""

import os
from typing import Annotated

import typer

_OF_ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _use(profile: str | None) -> None:
    """Use a profile for all that this process and its workers ask, as AWS's command line does."""
    if profile is None:
        return
    os.environ["AWS_PROFILE"] = profile
    for name in _OF_ENVIRONMENT:  # which would take precedence over it
        os.environ.pop(name, None)


Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        callback=_use,
        help="Profile of the AWS configuration; single sign-on works, too.",
    ),
]


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
