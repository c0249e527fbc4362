r"""Names and texts of others, made safe to show to people and to write down.

Keys, names of folders and the like are what somebody chose: they may hold escape sequences, marks
that turn the direction of text, line ends that begin a line of their own, and, on a Linux disk,
bytes that are no UTF-8. All text for a terminal or a log goes through `printable`.
"""

_ENOUGH = 300
"""Characters of a text made by others that tell what it is about."""


def printable(text: str) -> str:
    r"""The text on one line, with escapes (``\x1b``, ``\u202e``) for all that is not to be seen.

    A byte of a file's name that is no UTF-8 is written as ``\xe9``.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def writable(text: str) -> str:
    """The text with escapes for what UTF-8, and so JSON, cannot write; nothing else changes."""
    if text.isascii():
        return text
    return "".join(_escape(one) if "\ud800" <= one <= "\udfff" else one for one in text)


def shortened(text: str) -> str:
    """The beginning of a text that may be of any length."""
    return text if len(text) <= _ENOUGH else f"{text[:_ENOUGH]}..."


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python names such a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
