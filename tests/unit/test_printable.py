"""What somebody else has named is shown on one line and commands no terminal."""

import json
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtrail_parquet.errors import MistakesError, StorageError, UsageError
from cloudtrail_parquet.printable import printable, shortened, writable

any_text = st.text(st.characters(), max_size=20)  # lone surrogates, too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("AWSLogs/Zoë/漢 a.json.gz", "AWSLogs/Zoë/漢 a.json.gz"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nerror: forged", r"a\nerror: forged"),
        ("a\r\u2028\u2029\x85b", r"a\r\u2028\u2029\x85b"),
        ("a\u202egz.exe", r"a\u202egz.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("caf\udce9.json.gz", r"caf\xe9.json.gz"),
        ("\ud83d", r"\ud83d"),
        ("\x00\x7f\x9b31m", r"\x00\x7f\x9b31m"),
    ],
)
def test_what_is_not_to_be_seen_is_shown_by_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@example("\udce9\n\x1b")
@given(any_text)
def test_any_text_becomes_one_line_that_can_be_written_anywhere(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


@given(any_text)
def test_only_what_utf8_cannot_write_is_changed_in_a_name_that_is_kept(text: str) -> None:
    name = writable(text)

    assert json.loads(json.dumps(name).encode()) == name
    name.encode()
    assert name == text or any("\ud800" <= one <= "\udfff" for one in text)


def test_a_long_text_is_cut() -> None:
    assert shortened("a" * 300) == "a" * 300
    assert shortened("a" * 10_000) == "a" * 300 + "..."


def test_an_error_is_one_line_whatever_it_speaks_of() -> None:
    error = StorageError("no\nway", "logs/a\x1b[31m\nerror: forged", "Wait\u2028a bit")

    assert str(error) == r"logs/a\x1b[31m\nerror: forged: no\nway. Wait\u2028a bit"
    assert error.what == "no\nway"


def test_several_mistakes_are_a_line_each() -> None:
    error = MistakesError.of(["one", "two \x1b\n"], "settings", "Mend them")

    assert isinstance(error, UsageError)
    assert error.lines == ["settings: ", "  one", r"  two \x1b\n. Mend them"]
    assert error.problems == ["one", r"two \x1b\n"]
    assert pickle.loads(pickle.dumps(error)).lines == error.lines  # noqa: S301 - our own


def test_a_single_mistake_is_one_line() -> None:
    error = MistakesError.of(["one\x1b"], "settings", "Mend it")

    assert error.lines == [r"settings: one\x1b. Mend it"]
    assert error.problems == [r"one\x1b"]
