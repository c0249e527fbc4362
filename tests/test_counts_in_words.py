"""Counts agree with their nouns in whatever is printed: `wording.counted` makes them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("lambda_src", "stacks")
NOUNS = (
    *("account", "attempt", "bucket", "bound", "byte", "character", "column", "day", "event"),
    *("file", "folder", "group", "hour", "invocation", "key", "letter", "line", "location"),
    *("message", "minute", "object", "page", "part", "partition", "place", "query"),
    *("reader", "record", "region", "request", "row", "second", "shard", "source", "statement"),
    *("straggler", "time", "unit", "value", "week", "worker", "year"),
)
BETWEEN = ("or more", "other", "others'", "further", "log", "row", "dead", "distinct", "new")
PLURAL = re.compile(rf" (?:(?:{'|'.join(BETWEEN)}) )*(?:{'|'.join(NOUNS)})s\b")


def faults(text: str) -> Iterator[str]:
    """The places of a module where a noun is in the plural after any number.

    A number that is a constant of the module, in capitals, is known to be more than one.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.search(r"[a-z]\((?:e?s|ies)\)", node.value):
                yield f"{node.lineno}: {node.value}"
        elif isinstance(node, ast.JoinedStr):
            for number, words in zip(node.values, node.values[1:], strict=False):
                if isinstance(number, ast.FormattedValue) and isinstance(words, ast.Constant):
                    is_known = re.fullmatch(r"(\w+\.)?_?[A-Z_]+", ast.unparse(number.value))
                    is_text = number.conversion != -1
                    if PLURAL.match(str(words.value)) and not (is_known or is_text):
                        yield f"{number.lineno}: {ast.unparse(number)} {words.value!r}"


@pytest.mark.parametrize("place", PLACES)
def test_no_noun_is_in_the_plural_after_a_number_that_may_be_one(place: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in sorted((ROOT / place).rglob("*.py"))
        for fault in faults(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        'f"{count} objects"',
        'f"{count:,} other log files"',
        'f"{len(left)} events were not taken"',
        '"object(s)"',
        '"its entr(ies)"',
    ],
)
def test_a_plural_after_a_number_is_found(text: str) -> None:
    assert list(faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "f\"{counted(count, 'object')} are not read\"",
        'f"at most {MAX_READERS} characters"',
        'f"{name} holds rows"',
        'f"{name!r} days"',
    ],
)
def test_other_words_are_no_fault(text: str) -> None:
    assert not list(faults(text))
