"""What a contradiction among fields is."""

from typing import NamedTuple


class Conflict(NamedTuple):
    """A contradiction.

    Attributes:
        text: The field that is to be changed, and what is wrong with it.
        fields: All fields that it follows from; it is none while one of them is not legal itself.
    """

    text: str
    fields: tuple[str, ...]
