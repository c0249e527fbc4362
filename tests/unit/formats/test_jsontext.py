import json
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.formats.jsontext import (
    as_utf8,
    canonical,
    compose,
    end_of_value,
    has_surrogates,
    items,
    members,
    quote,
    split,
    split_loosely,
    string,
    text_within,
)
from tests.builders import broken, exact, json_strings, json_values, odd_records

Pairs = list[tuple[str, Any]]

INVALID = [
    *(
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[1}",
        "{]",
    ),
    *("{1:2}", '{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', '{"a" 1}', '{"a":1 "b":2}', '{"a",1}'),
    *('{"a"::1}', '{"a":1:2}', "{[]:1}", "{null:1}", "[{]}", '[{"a":[}]]', '["a":1]', "[:]"),
    *(
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[nan]",
        "[undefined]",
        "[tru]",
        "[nulll]",
        "[truefalse]",
    ),
    *(
        "[01]",
        "[-01]",
        "[+1]",
        "[1.]",
        "[.5]",
        "[-]",
        "[1e]",
        "[1e+]",
        "[0x1]",
        "[1_0]",
        "[--1]",
        "[\u0661]",
    ),
    *(
        '["\x01"]',
        '["\n"]',
        '["\t"]',
        '["\x1f"]',
        '["]',
        '["\\"]',
        '["\\x"]',
        '["\\u12"]',
        '["\\u12g4"]',
    ),
    *(
        "['a']",
        "[a]",
        "[//c\n]",
        "[1]//",
        "[1][2]",
        "[1] 2",
        "{}{}",
        "[1]\x00",
        "[1]\x0b",
        "[\x0c1]",
    ),
    *("[\xa01]", "\ufeff[1]"),
]
SCALARS = ["1", '"a"', "null", "true", " 1.5 ", '""']


def python_pairs(text: str) -> Pairs:
    """The members, or elements, of the outermost value as Python's parser sees them."""
    value = json.loads(text, object_pairs_hook=_Pairs, parse_int=_digits, parse_float=_digits)
    return list(value) if isinstance(value, _Pairs) else [("", item) for item in value]


class _Pairs(list[tuple[str, Any]]):
    pass


def _digits(text: str) -> tuple[str]:
    return (text,)


def pairs_of(text: str) -> Pairs:
    parsed: Pairs = []
    for name, value in split(text.encode()):
        whole = json.loads(
            b"[" + value + b"]", object_pairs_hook=_Pairs, parse_int=_digits, parse_float=_digits
        )
        parsed.append((json.loads(name) if name else "", whole[0]))
    return parsed


@given(
    st.one_of(
        json_values.map("[{}]".format), odd_records, json_values.filter(lambda t: t[0] in "[{")
    )
)
def test_split_finds_the_members_that_python_finds_repeated_ones_too(text: str) -> None:
    assert pairs_of(text) == python_pairs(text)


@given(st.one_of(json_values.map("[{}]".format), odd_records))
def test_the_values_of_a_split_are_slices_without_white_space_around_them(text: str) -> None:
    for name, value in split(text.encode()):
        assert value in text.encode()
        assert name in text.encode()
        assert value == value.strip()


@given(
    st.one_of(json_values.map("[{}]".format), odd_records).flatmap(
        lambda text: broken(text.encode())
    )
)
def test_split_refuses_what_python_refuses(text: bytes) -> None:
    try:
        valid = isinstance(json.loads(text.decode(), parse_constant=_refuse), list | dict)
    except UnicodeDecodeError:
        return
    except ValueError:
        valid = False

    if valid:
        split(text)
    else:
        with pytest.raises(ValueError, match=r"invalid JSON|not a JSON|closing bracket"):
            split(text)


@given(
    st.one_of(
        json_values.map("[{}]".format), odd_records, json_values.filter(lambda t: t[0] in "[{")
    )
)
def test_valid_text_is_split_loosely_as_it_is_split(text: str) -> None:
    loosely = [(name, bytes(value)) for name, value in split_loosely(text.encode())]

    assert loosely == split(text.encode())


@given(json_values.map("[[{}],{{}}]".format).flatmap(lambda text: broken(text.encode())))
def test_what_is_split_loosely_stands_in_the_text_in_order(text: bytes) -> None:
    try:
        parts = split_loosely(text)
    except ValueError:
        return
    at = 0
    for _, value in parts:
        at = text.index(bytes(value), at) + len(value)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize("text", INVALID)
def test_invalid_json_is_refused(text: str) -> None:
    for take in (split, members, items):
        with pytest.raises(ValueError, match=r"JSON|bytes after"):
            take(text.encode())


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_has_no_members(text: str) -> None:
    for take in (split, members, items):
        with pytest.raises(ValueError, match="not a JSON"):
            take(text.encode())


def test_an_object_has_no_items_and_a_list_no_members() -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        members(b"[]")
    with pytest.raises(ValueError, match="not a JSON array"):
        items(b"{}")


def test_an_empty_container_has_no_members() -> None:
    assert split(b" { } ") == split(b"[\n]") == []
    assert members(b"{}") == {}
    assert items(b"[ ]") == []


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_nesting_of_any_depth_is_split(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    named = b'{"a":' * depth + b"1" + b"}" * depth

    assert split(b'{"a":' + deep + b',"b":' + named + b"}") == [(b'"a"', deep), (b'"b"', named)]
    assert members(b'{"a":' + deep + b"}") == {"a": deep}
    assert items(b"[" + deep + b",1]") == [deep, b"1"]


@pytest.mark.parametrize("ending", [b"", b"}", b"]]", b"]x", b",]"])
def test_a_deep_text_that_does_not_close_is_refused(ending: bytes) -> None:
    with pytest.raises(ValueError, match=r"invalid JSON|closing bracket"):
        split(b"[" * 50_000 + b"]" * 49_999 + ending)


@pytest.mark.parametrize(
    "text", [b'"' + rb"\u0041" * 200_000 + b'"', b'"' + b"a" * 1_000_000 + b'"']
)
def test_a_very_long_string_is_split(text: bytes) -> None:
    assert split(b"[" + text + b"]") == [(b"", text)]


@given(odd_records)
def test_members_are_those_of_python_the_last_of_a_name(text: str) -> None:
    found = {name: exact(value.decode()) for name, value in members(text.encode()).items()}

    assert found == exact(text)


@given(st.lists(json_values, max_size=4))
def test_items_are_the_texts_of_the_elements(texts: list[str]) -> None:
    assert items(("[ " + " ,\n".join(texts) + " ]").encode()) == [text.encode() for text in texts]


@given(json_strings)
def test_a_string_is_read_whole_or_with_marks_for_lone_surrogates(token: str) -> None:
    text, whole = string(token.encode())

    value = json.loads(token)
    assert whole is not has_surrogates(value)
    assert text == "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in value)


@pytest.mark.parametrize("raw", [b"1", b"null", b"true", b"{}", b"[]", b"[1]"])
def test_what_is_no_string_is_none(raw: bytes) -> None:
    assert string(raw) == (None, False)


@given(st.text(st.characters(exclude_categories=[])))
def test_a_quoted_text_is_ascii_and_reads_back(text: str) -> None:
    assert quote(text).isascii()
    assert json.loads(quote(text)) == text


@given(st.dictionaries(st.text(st.characters(exclude_categories=[])), json_values))
def test_a_composed_object_has_the_members_it_was_given(parts: dict[str, str]) -> None:
    texts = {name: value.encode() for name, value in parts.items()}

    assert members(compose(list(texts.items()))) == texts


# Comparing.


def with_repeats(text: str) -> Any:  # noqa: ANN401  any JSON value
    """As `exact`, but a member that stands twice is there twice."""
    return json.loads(
        text,
        parse_int=lambda digits: (digits,),
        parse_float=lambda digits: (digits,),
        object_pairs_hook=lambda pairs: ("members", sorted(pairs, key=itemgetter(0))),
    )


@given(json_values, json_values)
def test_texts_are_canonically_equal_when_their_values_are_number_by_number(
    one: str, other: str
) -> None:
    same = with_repeats(one) == with_repeats(other)

    assert (canonical(one.encode()) == canonical(other.encode())) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":2}', b'{ "b" : 2,\n"a":1}'),
        (b'{"a":{"c":null,"d":[]}}', b'{"a":{"d":[],"c":null}}'),
        (rb'"\u00e9\/"', '"é/"'.encode()),
    ],
)
def test_order_white_space_and_escapes_do_not_matter(one: bytes, other: bytes) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            (b"1.10", b"1.1"),
            (b"1.10", b'"1.10"'),
            (b"1", b"1.0"),
            (b"1e2", b"100"),
            (b"1", b"true"),
        ),
        *(
            (b"[1,2]", b"[2,1]"),
            (b'{"a":null}', b"{}"),
            (b'""', b"null"),
            (rb'"\ud800"', rb'"\udbff"'),
        ),
        (b"12345678901234567890", b"12345678901234567891"),
    ],
)
def test_values_that_differ_are_told_apart(one: bytes, other: bytes) -> None:
    assert canonical(one) != canonical(other)


def test_very_deep_texts_are_compared_as_they_stand() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert canonical(deep) == canonical(deep)
    assert canonical(deep) != canonical(b"[" + deep + b"]")


def test_numbers_of_very_many_digits_are_compared() -> None:
    assert canonical(b"1" * 10_000) != canonical(b"1" * 10_001)


def test_a_marked_number_is_not_an_object_that_looks_like_it() -> None:
    assert canonical(b"1.10") != canonical(rb'{"\ud800":"1.10"}')


def test_bytes_that_are_no_utf8_are_told_apart() -> None:
    assert canonical(b'"\xff"') != canonical(b'"\xfe"')


def test_an_object_with_a_repeated_name_is_told_apart_from_one_without() -> None:
    assert canonical(b'{"a":{"b":1,"b":2}}') != canonical(b'{"a":{"b":2}}')


@pytest.mark.parametrize(
    ("text", "at", "end"),
    [
        (b"{}", 0, 2),
        (b" [1] {", 0, 4),
        (b'{"a":"}"}{"b":1}', 0, 9),
        (b'{"a":"}"}{"b":1}', 9, 16),
        (b'{"a":[NaN,{}]},', 0, 14),
        (b'{"a":"\\"}"}', 0, 11),
        (b"[" * 90_000 + b"]" * 90_001, 0, 180_000),
    ],
)
def test_the_end_of_one_of_several_values_is_found(text: bytes, at: int, end: int) -> None:
    assert end_of_value(text, at) == end


@pytest.mark.parametrize("text", [b"", b"1", b'"a"', b"{", b"[}", b'{"a":"', b"]", b"x{}"])
def test_a_value_without_an_end_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        end_of_value(text, 0)


@given(st.text(st.characters(codec=None)), st.booleans())
def test_a_text_in_a_string_is_unescaped_once(text: str, ascii_only: bool) -> None:  # noqa: FBT001
    try:
        token = json.dumps(text, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return

    inner = text_within(token)

    assert inner == as_utf8(text)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (rb'"\ud83d"', rb"\ud83d"),
        (rb'"\ud83d\ude00\ud83d"', "😀".encode() + rb"\ud83d"),
        (rb'"\\ud83d"', rb"\ud83d"),
        (b'"\xff\\u00e9\\n"', b"\xff\xc3\xa9\n"),
        (b'"\xff\\\\\\"\\/\\ud83d"', b'\xff\\"/\\ud83d'),
    ],
)
def test_what_no_text_can_hold_stays_as_it_is(token: bytes, text: bytes) -> None:
    assert text_within(token) == text


@pytest.mark.parametrize("token", [b"", b"1", b"a", b'"', b'"a', b'"\0"', rb'"\x"', b'"a"b'])
def test_what_is_no_string_has_no_text(token: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON string"):
        text_within(token)
