from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.schema.columns import JSON_COLUMNS
from cloudtrail_parquet.settings import rules
from cloudtrail_parquet.settings.rules import (
    Discard,
    Discarder,
    Redact,
    check,
    keys_by_column,
)

KMS = Discard(
    name="kms",
    eventSource=("kms.amazonaws.com",),
    eventName=("Decrypt", "GenerateDataKey*"),
    sourceIPAddress=("*.amazonaws.com", "AWS Internal"),
)
TOKENS = Redact(name="tokens", keys=("sessionToken", "x-amz-id-2"))


def discards(pattern: str, value: str | None) -> bool:
    """Whether a rule with one pattern, for the event name, discards a record with this one."""
    rule = Discard(name="rule", eventName=(pattern,))
    return Discarder([rule]).discarded(["s3"], [value], [None]) == {0: "rule"}


def globs(pattern: str, value: str) -> bool:
    """What a pattern means, in as few words as there are."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return globs(pattern[1:], value) or (value != "" and globs(pattern, value[1:]))
    return value != "" and pattern[0] in {"?", value[0]} and globs(pattern[1:], value[1:])


# Discarding.


def test_calls_that_services_make_for_themselves_are_discarded_and_others_are_not() -> None:
    sources = ["kms.amazonaws.com"] * 5 + ["s3.amazonaws.com"]
    names = ["Decrypt", "Decrypt", "GenerateDataKeyPair", "CreateKey", "decrypt", "Decrypt"]
    addresses: list[str | None] = ["rds.amazonaws.com", "203.0.113.7", *["AWS Internal"] * 4]

    assert Discarder([KMS]).discarded(sources, names, addresses) == {0: "kms", 2: "kms"}


def test_a_record_goes_to_the_first_rule_that_matches_it() -> None:
    every = Discard(name="every", sourceIPAddress=("*",))
    calls: tuple[list[str | None], ...] = (
        ["kms.amazonaws.com", "kms.amazonaws.com"],
        ["Decrypt", "CreateKey"],
        ["AWS Internal", "AWS Internal"],
    )

    assert Discarder([KMS, every]).discarded(*calls) == {0: "kms", 1: "every"}
    assert Discarder([every, KMS]).discarded(*calls) == {0: "every", 1: "every"}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_record_without_a_field_never_matches_a_list_for_it(missing: int) -> None:
    any_of_all = Discard(name="all", eventSource=("*",), eventName=("*",), sourceIPAddress=("*",))
    values: list[list[str | None]] = [["s3.amazonaws.com"], ["GetObject"], ["203.0.113.7"]]
    assert Discarder([any_of_all]).discarded(*values) == {0: "all"}

    values[missing] = [None]

    assert Discarder([any_of_all]).discarded(*values) == {}


def test_an_empty_list_matches_whatever_the_field_holds() -> None:
    rule = Discard(name="reads", eventName=("Get*",))

    assert Discarder([rule]).discarded([None, "s3"], ["GetObject"] * 2, [None, ""]) == {
        0: "reads",
        1: "reads",
    }


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("Decrypt", "Decrypt", True),
        ("Decrypt", "decrypt", False),
        ("Decrypt", "DecryptMore", False),
        ("Decrypt", "ReDecrypt", False),
        ("*", "", True),
        ("a*", "a\nb", True),
        ("a?b", "a\nb", True),
        ("a", "a\n", False),
        ("?", "😀", True),
        ("?", "", False),
        ("[ab]", "[ab]", True),
        ("[ab]", "a", False),
        ("[!a]*", "[!a]b", True),
        ("[", "[", True),
        ("a.b", "axb", False),
        (r"a\*", r"a\b", True),
        (r"a\?", "a?", False),
        ("a|b", "a", False),
        ("(a)", "a", False),
    ],
)
def test_only_stars_and_question_marks_are_special(
    pattern: str, value: str, *, matches: bool
) -> None:
    assert discards(pattern, value) is matches


@given(st.text("ab*?[]!-.\\|", max_size=6), st.text("ab*[]!-.\\|\n", max_size=6))
def test_a_pattern_matches_what_its_stars_and_question_marks_allow(
    pattern: str, value: str
) -> None:
    assert discards(pattern, value) is globs(pattern, value)


def test_a_value_made_to_confuse_a_pattern_of_many_stars_is_judged_at_once() -> None:
    assert not discards("*a" * 30 + "*b", "a" * 50_000)


_VALUES = st.sampled_from([None, "", "a", "b", "ab"])
_PATTERNS = st.lists(st.sampled_from(["a", "b", "a*", "?", "*b"]), max_size=2).map(tuple)
_RULES = st.lists(
    st.builds(
        Discard,
        name=st.uuids().map(str),
        eventSource=_PATTERNS,
        eventName=_PATTERNS,
        sourceIPAddress=_PATTERNS,
    ),
    max_size=3,
)


def first_match(among: list[Discard], record: tuple[str | None, ...]) -> str | None:
    for rule in among:
        lists = (rule.eventSource, rule.eventName, rule.sourceIPAddress)
        if all(
            not patterns or (value is not None and any(globs(one, value) for one in patterns))
            for patterns, value in zip(lists, record, strict=True)
        ):
            return rule.name
    return None


@given(_RULES, st.lists(st.lists(st.tuples(_VALUES, _VALUES, _VALUES), max_size=5), max_size=3))
def test_every_record_of_every_batch_is_judged_alone(
    among: list[Discard], batches: list[list[tuple[str | None, ...]]]
) -> None:
    discarder = Discarder(among)

    for batch in batches:
        found = discarder.discarded(*([one[field] for one in batch] for field in range(3)))

        expected = {row: first_match(among, record) for row, record in enumerate(batch)}
        assert found == {row: name for row, name in expected.items() if name is not None}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_MAX_REMEMBERED", 3)
    discarder = Discarder([KMS])

    for number in range(10):
        discarder.discarded(["s3"], [f"Get{number}"], [None])

    remembered: Any = discarder._rule_of  # noqa: SLF001
    assert remembered.cache_info().currsize == 3


# Checking.


def test_the_rules_of_the_manual_are_right() -> None:
    limited = Redact(name="A.b_c-9", keys=("é",), columns=("unmapped", "eventContext.tagContext"))

    assert check([KMS], [TOKENS, limited]) == []
    assert check([], []) == []


def test_a_rule_without_values_is_an_error_since_it_would_discard_every_record() -> None:
    assert check([KMS, Discard(name="all")], []) == [
        (
            "discard rule 2 ('all'): without values it would discard every record; give some for"
            " one of eventSource, eventName, sourceIPAddress"
        )
    ]


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "é", "a\n", "a/b", "\u0661"])
def test_a_name_that_is_none_is_an_error(name: str) -> None:
    (problem,) = check([msgspec.structs.replace(KMS, name=name)], [])

    assert problem == (
        f"discard rule 1 ({name!r}): a name has 1 to 64 characters of A-Z, a-z, 0-9, '_', '.'"
        " and '-'"
    )


def test_names_of_all_rules_are_unique() -> None:
    also_kms = msgspec.structs.replace(TOKENS, name="kms")

    assert check([KMS, KMS], [TOKENS, also_kms]) == [
        "discard rule 2 ('kms'): the name is taken by a rule above; give each rule its own",
        "redact rule 2 ('kms'): the name is taken by a rule above; give each rule its own",
    ]


def test_an_unknown_column_is_an_error_that_lists_the_known_ones() -> None:
    rule = msgspec.structs.replace(TOKENS, columns=("requestParameters", "userAgent"))

    assert check([], [rule]) == [
        "redact rule 1 ('tokens'): columns holds 'userAgent'; give some of "
        + ", ".join(JSON_COLUMNS)
    ]


def test_empty_values_are_errors() -> None:
    assert check(
        [Discard(name="a", eventName=("Get*", ""))],
        [Redact(name="b", keys=()), Redact(name="c", keys=("",))],
    ) == [
        "discard rule 1 ('a'): eventName holds ''; give exact values or patterns with '*' and '?'",
        "redact rule 1 ('b'): keys is empty; give at least one member name",
        "redact rule 2 ('c'): keys holds ''; give member names, as they are in the records",
    ]


def test_all_mistakes_are_reported_at_once() -> None:
    wrong = [Discard(name="", eventSource=("",)), Discard(name="")]

    assert len(check(wrong, [Redact(name="", keys=(), columns=("a", "b"))])) == 2 + 3 + 5


@pytest.mark.parametrize(
    ("kind", "setting"), [(Discard, "eventsource"), (Discard, "keys"), (Redact, "column")]
)
def test_a_setting_that_a_rule_does_not_have_is_refused(
    kind: type[Discard | Redact], setting: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"unknown field `{setting}`"):
        msgspec.convert({"name": "a", setting: ["b"]}, kind)


# Redaction, by column.


def test_keys_can_be_redacted_in_all_free_form_columns() -> None:
    assert JSON_COLUMNS == (
        "requestParameters",
        "responseElements",
        "additionalEventData",
        "serviceEventDetails",
        "edgeDeviceDetails",
        "eventContext.requestContext",
        "eventContext.tagContext",
        "insightDetails",
        "unmapped",
    )
    assert keys_by_column([TOKENS]) == {
        column: {"sessionToken": "tokens", "x-amz-id-2": "tokens"} for column in JSON_COLUMNS
    }


def test_a_key_counts_for_the_first_rule_that_names_it_for_a_column() -> None:
    first = Redact(name="first", keys=("a",), columns=("unmapped",))
    second = Redact(name="second", keys=("a", "b"), columns=("unmapped", "insightDetails"))

    assert keys_by_column([first, second]) == {
        "unmapped": {"a": "first", "b": "second"},
        "insightDetails": {"a": "second", "b": "second"},
    }
    assert keys_by_column([]) == {}
