r"""Names and texts from outside, made safe to print and to log.

Keys, folder names and the like are chosen by others: they may hold escape sequences, marks that
reverse the direction of text, line breaks and, on a Linux disk, bytes that are not UTF-8. All text
for a terminal or a log goes through `printable`.
"""

_MAX_CHARACTERS = 300
"""Enough of a text from outside to tell what it is about."""


def printable(text: str) -> str:
    r"""The text on one line, with escapes (``\x1b``, ``\u202e``) for what cannot be seen.

    A byte of a file name that is not UTF-8 becomes ``\xe9``.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def writable(text: str) -> str:
    """The text with escapes for what UTF-8, and so JSON, cannot hold; nothing else changes."""
    if text.isascii():
        return text
    return "".join(
        _escape(character) if "\ud800" <= character <= "\udfff" else character for character in text
    )


def is_writable(text: str) -> bool:
    """Whether UTF-8 can hold the text; not so for a file name on a disk that is not UTF-8."""
    return writable(text) == text


def shortened(text: str) -> str:
    """The beginning of a text that may be of any length."""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python represents such a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
