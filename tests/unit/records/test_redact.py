import json
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.records.redact import REDACTED, redact, redact_text_column
from tests.builders import broken, json_strings, json_values

TOKEN = frozenset({"sessionToken"})
DEPTH = 100_000
LONG = 1 << 19


class Members(list[tuple[str, Any]]):
    """The members of an object in order, those that stand twice too."""


def parsed(text: bytes) -> Any:  # noqa: ANN401  any JSON value
    return json.loads(text, parse_int=_digits, parse_float=_digits, object_pairs_hook=Members)


def _digits(text: str) -> tuple[str]:
    return (text,)


def redacted(value: Any, keys: frozenset[str], counts: dict[str, int]) -> Any:  # noqa: ANN401
    """The reference: what redaction makes of a parsed value."""
    if isinstance(value, Members):
        return Members((name, _member(name, one, keys, counts)) for name, one in value)
    return [redacted(one, keys, counts) for one in value] if isinstance(value, list) else value


def _member(name: str, value: Any, keys: frozenset[str], counts: dict[str, int]) -> Any:  # noqa: ANN401
    if name not in keys:
        return redacted(value, keys, counts)
    if value is None or value == "[redacted]":
        return value
    counts[name] = counts.get(name, 0) + 1
    return "[redacted]"


def names_in(value: Any) -> set[str]:  # noqa: ANN401
    if isinstance(value, Members):
        return {name for name, _ in value}.union(*(names_in(one) for _, one in value))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


_TEXTS = st.one_of(
    json_values,
    json_values.map(' {{"a" : {} ,"b":null,"a":["b"]}}\n'.format),
    st.tuples(json_values, json_values).map(
        lambda two: f'[{{"a":{{"\\u0062":{two[0]}}}}},{{"\\"":{two[1]}}}]'
    ),
)


@st.composite
def texts_with_keys(draw: st.DrawFn) -> tuple[bytes, frozenset[str]]:
    """A JSON text and some keys, most of which it holds."""
    text: bytes = draw(_TEXTS).encode()
    names = sorted(names_in(parsed(text)))
    return text, frozenset(draw(st.sets(st.sampled_from([*names, "b", "other"]), max_size=3)))


# Properties.


@given(texts_with_keys())
def test_members_of_the_names_are_redacted_and_no_others(
    case: tuple[bytes, frozenset[str]],
) -> None:
    text, keys = case
    counts: dict[str, int] = {}
    expected = redacted(parsed(text), keys, counts)

    after, found = redact(text, keys)

    assert parsed(after) == expected
    assert found == counts


@given(texts_with_keys())
def test_all_bytes_around_the_redacted_values_stay(case: tuple[bytes, frozenset[str]]) -> None:
    text, keys = case
    after, found = redact(text, keys)

    around = [re.escape(piece) for piece in after.split(REDACTED)]
    assert re.fullmatch(b".+".join(around), text, re.DOTALL)
    assert len(around) == sum(found.values()) + text.count(REDACTED) + 1


@given(texts_with_keys())
def test_redacting_again_changes_nothing_and_counts_nothing(
    case: tuple[bytes, frozenset[str]],
) -> None:
    text, keys = case
    after, _ = redact(text, keys)

    assert redact(after, keys) == (after, {})


@given(texts_with_keys().flatmap(lambda case: st.tuples(broken(case[0]), st.just(case[1]))))
def test_a_broken_text_is_refused_or_comes_back(case: tuple[bytes, frozenset[str]]) -> None:
    text, keys = case
    try:
        json.loads(text.decode(), parse_constant=_refuse)
    except ValueError:
        valid = False
    else:
        valid = True

    try:
        after, counts = redact(text, keys)
    except ValueError:
        assert not valid
    else:
        assert valid or (after, counts) == (text, {})


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _spellings(key: str) -> st.SearchStrategy[str]:
    """Ways to write a key as a JSON string."""
    return st.tuples(*map(_ways, key)).map(lambda parts: '"' + "".join(parts) + '"')


def _ways(character: str) -> st.SearchStrategy[str]:
    ways = [json.dumps(character)[1:-1]]
    if not "\ud800" <= character <= "\udfff":
        ways.append(json.dumps(character, ensure_ascii=False)[1:-1])
    if character <= "\uffff":
        ways.append(f"\\u{ord(character):04X}")
    return st.sampled_from([*ways, r"\/"] if character == "/" else ways)


_KEYS = st.text(
    st.one_of(
        st.sampled_from('aé"\\/\n\0😀\ud800\x7f[,:} .*'), st.characters(exclude_categories=[])
    ),
    max_size=4,
).map(lambda key: json.loads(json.dumps(key)))  # two halves of a surrogate pair are one character


@given(_KEYS.flatmap(lambda key: st.tuples(st.just(key), _spellings(key))), json_strings)
def test_a_name_is_found_however_it_is_escaped(case: tuple[str, str], value: str) -> None:
    key, spelling = case
    text = f'{{"other":{value},{spelling}:{value}}}'.encode()
    after = f'{{"other":{value},{spelling}:"[redacted]"}}'.encode()

    assert redact(text, frozenset({key})) == (after, {key: 1})
    column, counts = redact_text_column(pa.array([text], pa.string()), frozenset({key}))
    assert (column.to_pylist(), counts) == ([after.decode()], {key: 1})


# Case by case.


@pytest.mark.parametrize(
    "value",
    ['"secret"', '""', "1.10", "true", "[]", '{"a":[1,{"b":"}"}]}', r'"a\"b\\"', '"[REDACTED]"'],
)
def test_a_value_of_any_kind_is_replaced(value: str) -> None:
    text = f'{{ "a":1 ,"sessionToken" :\n{value} , "b": "é" }}'

    after, counts = redact(text.encode(), TOKEN)

    assert after.decode() == '{ "a":1 ,"sessionToken" :\n"[redacted]" , "b": "é" }'
    assert counts == {"sessionToken": 1}


@pytest.mark.parametrize("value", ["null", '"[redacted]"'])
def test_a_value_that_tells_nothing_is_left_and_not_counted(value: str) -> None:
    text = f'{{"sessionToken":{value}}}'.encode()

    assert redact(text, TOKEN) == (text, {})


def test_a_member_is_found_at_any_depth() -> None:
    text = b'[{"a":[[{"sessionToken":1}],{"sessionToken":{"b":2}}]}]'
    after = b'[{"a":[[{"sessionToken":"[redacted]"}],{"sessionToken":"[redacted]"}]}]'

    assert redact(text, TOKEN) == (after, {"sessionToken": 2})


def test_a_name_that_stands_twice_is_redacted_twice() -> None:
    text = b'{"sessionToken":1,"sessionToken":[2],"sessionToken":null}'
    after = b'{"sessionToken":"[redacted]","sessionToken":"[redacted]","sessionToken":null}'

    assert redact(text, TOKEN) == (after, {"sessionToken": 2})


def test_keys_inside_a_redacted_value_are_not_counted() -> None:
    text = b'{"a":{"b":1,"a":2},"b":3}'

    assert redact(text, frozenset({"a", "b"})) == (
        b'{"a":"[redacted]","b":"[redacted]"}',
        {"a": 1, "b": 1},
    )


def test_each_key_is_counted_by_itself() -> None:
    text = b'[{"a":1},{"b":1},{"a":1},{"c":1}]'

    assert redact(text, frozenset("abd"))[1] == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "text",
    [
        b'["sessionToken", ":", "sessionToken"]',
        b'{"a":"sessionToken","b":":sessionToken:"}',
        b'{"SessionToken":1,"sessionToken ":1,"asessionToken":1,"sessionTokens":1}',
        rb'{"a":"\"sessionToken\":1"}',
        rb'{"a\"sessionToken":1,"sessionToken\u0000":1,"\\u0073essionToken":1}',
        b'"sessionToken"',
        b" 1 ",
        b"{}",
    ],
)
def test_what_is_no_member_of_that_name_stays(text: bytes) -> None:
    assert redact(text, TOKEN) == (text, {})
    column = pa.array([text], pa.string())
    assert redact_text_column(column, TOKEN) == (column, {})


@pytest.mark.parametrize("key", [",", ":", "},{", "][", " ", ""])
def test_a_key_of_punctuation_is_a_name_too(key: str) -> None:
    keys = frozenset({key})
    text = b'[{"a":"b","c":[":",",",""]},{"},{":"]["},[" ","["]]'

    assert redact(text, keys)[0] == text.replace(b'"]["', REDACTED if key == "},{" else b'"]["')
    named = json.dumps({key: 1, "a": key}).encode()
    assert redact(named, keys)[0] == json.dumps({key: "[redacted]", "a": key}).encode()


def test_json_inside_a_string_is_not_looked_into() -> None:
    text = json.dumps({"policyDocument": json.dumps({"sessionToken": "secret"})}).encode()

    assert redact(text, TOKEN) == (text, {})


def test_a_mark_of_replacement_is_not_a_lone_surrogate() -> None:
    text = '{"\\ud800":1,"\ufffd":2}'.encode()

    assert redact(text, frozenset({"\ufffd"}))[1] == {"\ufffd": 1}
    assert redact(text, frozenset({"\ud800"}))[0] == '{"\\ud800":"[redacted]","\ufffd":2}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b'{"sessionToken":1',
        b'{"sessionToken":1}}',
        b'{"sessionToken":1},{}',
        b'{"sessionToken":1} 2',
        b'{"sessionToken"}',
        b'{"sessionToken":}',
        b'{"sessionToken":[1}',
        b'{"sessionToken":"a}',
        b'"sessionToken":1',
        b'x "{"sessionToken":1}',
        b'{"sessionToken":NaN}',
        b'{"sessionToken":1,"a":"\xff"}',
        b'{"sessionToken":1,"\\ud800":}',
        b'\xef\xbb\xbf{"sessionToken":1}',
        b"\\",
    ],
)
def test_a_text_with_a_key_that_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|bytes after|can't decode"):
        redact(text, TOKEN)


def test_a_text_without_a_key_or_a_backslash_is_not_looked_at_closely() -> None:
    assert redact(b"no json", TOKEN) == (b"no json", {})


def test_without_keys_nothing_is_redacted() -> None:
    text = rb'{"":1,"a":"\u0041","\u0041":2}'

    assert redact(text, frozenset()) == (text, {})
    assert redact_text_column(pa.array([text], pa.string()), frozenset())[1] == {}


# Hostile texts: all of these would take minutes, or end the process, if the time were not linear.

HOSTILE = {
    "deep value": (b'{"sessionToken":' + b"[" * DEPTH + b"]" * DEPTH + b"}", 1),
    "deep members": (
        b'{"sessionToken":{},"a":' * (DEPTH // 4) + b"1" + b"}" * (DEPTH // 4),
        DEPTH // 4,
    ),
    "deep around": (b"[" * DEPTH + b'{"sessionToken":1}' + b"]" * DEPTH, 1),
    "backslashes": (b'{"sessionToken":"' + rb"\\" * LONG + b'"}', 1),
    "backslashes elsewhere": (b'{"sessionToken":1,"a":"' + rb"\\" * LONG + b'"}', 1),
    "backslashes in a name": (b'{"sessionToken":1,"' + rb"\\" * LONG + b'":1}', 1),
    "quotes": (b'{"a":"' + rb"\"" * LONG + b'"}', 0),
    "escapes": (b'{"a":"' + rb"\u0041" * LONG + b'"}', 0),
    "nearly names": (b"[" + b'"sessionToken",' * (LONG // 8) + b"1]", 0),
    "escaped strings": (b"[" + rb'"\u0041",' * (LONG // 8) + b"1]", 0),
    "escaped names": (b"{" + rb'"\u0073essionToken":[""],' * (LONG // 16) + b'"":1}', LONG // 16),
    "space": (b'{"sessionToken"' + b" " * LONG + b":" + b"\n" * LONG + b"1}", 1),
    "space after a string": (b'["sessionToken"' + b" " * LONG + b"]", 0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_redacted_in_linear_time(name: str) -> None:
    text, count = HOSTILE[name]
    column = pa.array([text], pa.string())

    after, counts = redact(text, TOKEN)

    assert sum(counts.values()) == count
    assert after.count(REDACTED) == count
    assert redact_text_column(column, TOKEN)[0].to_pylist() == [after.decode()]


@pytest.mark.parametrize(
    "text",
    [
        b'{"sessionToken":' + b"[" * DEPTH,
        b'{"sessionToken":1,"a":"' + rb"\"" * LONG,
        b'{"sessionToken":1,"a":"' + rb"\\" * LONG,
        b'"' * LONG + b"\\",
        b'"sessionToken' * (LONG // 8),
    ],
)
def test_a_hostile_text_that_does_not_end_is_refused_in_linear_time(text: bytes) -> None:
    with pytest.raises(ValueError, match="JSON"):
        redact(text, TOKEN)


# Columns.


@given(texts_with_keys(), st.lists(st.one_of(st.none(), _TEXTS), max_size=4), st.integers(0, 4))
def test_a_column_is_redacted_text_by_text(
    case: tuple[bytes, frozenset[str]], others: list[str | None], place: int
) -> None:
    text, keys = case
    texts = [*others[:place], text.decode(), *others[place:]]
    counts: dict[str, int] = {}
    expected = []
    for one in texts:
        after, found = (None, dict[str, int]()) if one is None else redact(one.encode(), keys)
        expected.append(None if after is None else after.decode())
        counts = {key: counts.get(key, 0) + found.get(key, 0) for key in {*counts, *found}}
    column = pa.array(['{"a":1}', *texts, None], pa.string()).slice(1, len(texts))

    after_all, found_in_all = redact_text_column(column, keys)

    assert after_all.to_pylist() == expected
    assert after_all.type == pa.string()
    assert found_in_all == counts
    assert (after_all is column) is (not counts)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [None, None],
        ['{"a":"sessionToken"}', None],
        ['{"sessionToken":null}', '{"sessionToken":"[redacted]"}', r'{"\u0061":"\u0062"}'],
    ],
)
def test_a_column_in_which_nothing_is_to_be_redacted_is_the_same_object(
    texts: list[str | None],
) -> None:
    column = pa.array(texts, pa.string())

    after, counts = redact_text_column(column, TOKEN)

    assert after is column
    assert counts == {}


def test_thousands_of_keys_are_looked_for() -> None:
    keys = frozenset(f"a-key-of-many-{number}" for number in range(3_000))
    column = pa.array(['{"a-key-of-many-2999":1}', '{"a-key-of-many-3000":1}'])

    after, counts = redact_text_column(column, keys)

    assert after.to_pylist() == ['{"a-key-of-many-2999":"[redacted]"}', '{"a-key-of-many-3000":1}']
    assert counts == {"a-key-of-many-2999": 1}
