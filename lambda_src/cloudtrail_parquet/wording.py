"""Numbers in sentences: counts with their nouns, sizes and durations, the same wherever they are.

Sizes are in powers of a thousand, as in AWS's prices.
"""

_SIZES = ("bytes", "kB", "MB", "GB", "TB")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A count in words: ``1 object``, ``1,200 objects``, ``2 queries``.

    Args:
        number: The count.
        noun: In the singular, such as ``log file``; of several words the last one is inflected.
        plural: Its plural, if that is not the noun with an s.
    """
    return f"{number:,} {plural_of(number, noun, plural)}"


def plural_of(number: int, noun: str, plural: str = "") -> str:
    """The noun alone, as it stands after a number; also ``is`` and ``are``, ``it`` and ``them``."""
    return noun if number == 1 else plural or f"{noun}s"


def size_of(size: float) -> str:
    """A size in words, to two digits or more: ``812 bytes``, ``1 byte``, ``6.1 MB``, ``34 GB``."""
    if round(size) == 1:
        return "1 byte"
    power = 0
    while power < len(_SIZES) - 1 and round(size) >= 1000:  # noqa: PLR2004 - kilo
        size /= 1000
        power += 1
    is_short = power and size < 9.95  # noqa: PLR2004 - else it has two digits before the point
    text = f"{size:.1f}".removesuffix(".0") if is_short else f"{size:,.0f}"
    return f"{text} {_SIZES[power]}"


def duration_of(seconds: float) -> str:
    """A duration as clocks have it: ``0:42``, ``1:05:09``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
