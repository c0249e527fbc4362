"""How `evaluation` reads requests and policies, which the tests of statements rely on."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.environment.fields import Environment
from stacks.environment.load import load
from tests.s3.faults import Request
from tests.stacks.conftest import ENVIRONMENTS
from tests.stacks.iam.evaluation import Call, Condition, Policy, Reader, Statement, unused


@pytest.fixture(scope="session")
def environment() -> Environment:
    return load(ENVIRONMENTS / "permissions.toml")["permissions"]


@pytest.fixture(scope="session")
def reader(environment: Environment) -> Reader:
    return Reader(environment)


def said(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, **query: str
) -> Request:
    own = {name.replace("_", "-"): value for name, value in query.items()}
    return Request(method, path, own, {"authorization": "AWS4", **(headers or {})}, body)


KEY = "arn:aws:kms:eu-central-1:123456789012:key/33333333-0000-4000-8000-000000000000"
LAKE, OLD = "/permissions-lake/cloudtrail/a", "/permissions-old-logs/a"
IF_MATCH = {"if-match": '"1"'}
WITH_KEY = {"x-amz-server-side-encryption-aws-kms-key-id": KEY}


@pytest.mark.parametrize(
    ("request_", "actions"),
    [
        (said("GET", "/permissions-lake", list_type="2"), ["s3:ListBucket"]),
        (said("HEAD", "/permissions-lake"), ["s3:ListBucket"]),
        (said("GET", LAKE), ["s3:GetObject", "kms:Decrypt"]),
        (said("HEAD", LAKE), ["s3:GetObject"]),
        (said("GET", OLD), ["s3:GetObject"]),
        (said("PUT", LAKE, headers=WITH_KEY), ["s3:PutObject", "kms:GenerateDataKey"]),
        (said("PUT", OLD), ["s3:PutObject"]),
        (said("PUT", OLD, headers=IF_MATCH), ["s3:PutObject", "s3:GetObject"]),
        (said("PUT", OLD, headers={"if-none-match": "*"}), ["s3:PutObject"]),
        (said("DELETE", LAKE), ["s3:DeleteObject"]),
        (said("DELETE", LAKE, headers=IF_MATCH), ["s3:DeleteObject", "s3:GetObject"]),
        (said("POST", LAKE, headers=WITH_KEY, uploads=""), ["s3:unknown", "kms:GenerateDataKey"]),
        (said("PUT", LAKE, uploadId="u", partNumber="1"), ["s3:unknown"]),
        (said("PATCH", LAKE), ["s3:unknown"]),
        (said("GET", "/elsewhere/a"), ["unknown:GET"]),
        (said("PUT", "/permissions-lake", acl=""), ["unknown:PUT"]),
    ],
    ids=lambda one: (
        " ".join([one.method, one.path, *one.query]) if isinstance(one, Request) else ""
    ),
)
def test_a_request_asks_for(reader: Reader, request_: Request, actions: list[str]) -> None:
    assert [one.action for one in reader.calls(request_)] == actions


def test_a_removal_asks_for_each_object(reader: Reader) -> None:
    keys = "".join(f"<Object><Key>x/{one}</Key></Object>" for one in "ab")
    body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{keys}</Delete>'.encode()

    calls = reader.calls(said("POST", "/permissions-lake", body, delete=""))

    assert [(one.action, one.resource) for one in calls] == [
        ("s3:DeleteObject", f"arn:aws:s3:::permissions-lake/x/{one}") for one in "ab"
    ]


def test_a_listing_says_its_prefix_and_whose_the_bucket_is(reader: Reader) -> None:
    request = said("GET", "/permissions-org-logs", list_type="2", prefix="trails/", delimiter="/")

    (call,) = reader.calls(request)

    assert dict(call.context) == {
        "aws:ResourceAccount": "210987654321",
        "aws:SecureTransport": "true",
        "s3:delimiter": "/",
        "s3:prefix": "trails/",
    }


def test_who_does_not_sign_asks_for_nothing_in_a_roles_name(reader: Reader) -> None:
    assert reader.calls(Request("HEAD", "/permissions-lake", {}, {})) == []


def test_who_signs_the_url_asks_in_the_name_of_the_role(reader: Reader) -> None:
    signed = {"X-Amz-Credential": "a/20260110/eu-central-1/s3/aws4_request", "X-Amz-Signature": "0"}

    calls = reader.calls(Request("DELETE", LAKE, signed, IF_MATCH))

    assert [(one.action, one.resource) for one in calls] == [
        (f"s3:{action}", f"arn:aws:s3:::{LAKE[1:]}") for action in ("DeleteObject", "GetObject")
    ]


def test_messages_and_events_ask_for_their_queue_and_bus(reader: Reader) -> None:
    url = "http://127.0.0.1/123456789012/q"
    send = said(
        "POST",
        "/",
        json.dumps({"QueueUrl": url}).encode(),
        {"x-amz-target": "AmazonSQS.SendMessageBatch"},
    )
    put = said(
        "POST",
        "/",
        json.dumps({"Entries": [{"EventBusName": "b"}, {"EventBusName": "b"}]}).encode(),
        {"x-amz-target": "AWSEvents.PutEvents"},
    )

    assert [(one.action, one.resource.rpartition(":")[2]) for one in reader.calls(send)] == [
        ("sqs:SendMessage", "q"),
        ("kms:Decrypt", "key/11111111-0000-4000-8000-000000000000"),
        ("kms:GenerateDataKey", "key/11111111-0000-4000-8000-000000000000"),
    ]
    assert [(one.action, one.resource.rpartition(":")[2]) for one in reader.calls(put)] == [
        ("events:PutEvents", "event-bus/b")
    ]


def statement(**changes: Any) -> Statement:  # noqa: ANN401 - a statement's fields
    """Allows to read a bucket; a test changes one thing."""
    own: dict[str, Any] = {
        "sid": "Read",
        "effect": "Allow",
        "actions": ("s3:GetObject",),
        "resources": ("arn:aws:s3:::b/*",),
        "conditions": (),
    }
    return Statement(**{**own, **changes})


GET = Call.of("s3:GetObject", "arn:aws:s3:::b/k", {"s3:prefix": "logs/a", "aws:SourceArn": "a:b"})


@pytest.mark.parametrize(
    ("changes", "allows"),
    [
        ({}, True),
        ({"actions": ("S3:getobject",)}, True),
        ({"actions": ("s3:Get*",)}, True),
        ({"actions": ("s3:PutObject", "s3:GetObjectVersion")}, False),
        ({"resources": ("*",)}, True),
        ({"resources": ("arn:aws:s3:::b/?",)}, True),
        ({"resources": ("arn:aws:s3:::B/k", "arn:aws:s3:::b")}, False),
        ({"resources": ("arn:*:b/k",)}, False),
        ({"resources": ("arn:aws:s3:::b.k",)}, False),
        ({"conditions": (Condition("StringLike", "s3:prefix", ("x", "logs/*")),)}, True),
        ({"conditions": (Condition("StringEquals", "s3:prefix", ("logs/*",)),)}, False),
        ({"conditions": (Condition("StringLike", "s3:delimiter", ("*",)),)}, False),
        ({"conditions": (Condition("StringLikeIfExists", "s3:delimiter", ("/",)),)}, True),
        ({"conditions": (Condition("StringLikeIfExists", "s3:prefix", ("/",)),)}, False),
        ({"conditions": (Condition("ArnEquals", "aws:SourceArn", ("a:*",)),)}, True),
        ({"effect": "Deny"}, False),
    ],
)
def test_a_statement_allows(changes: dict[str, Any], *, allows: bool) -> None:
    assert Policy((statement(**changes),)).allows(GET) is allows


def test_a_test_that_is_not_known_is_an_error() -> None:
    numeric = Condition("NumericLessThan", "s3:prefix", ("1",))

    with pytest.raises(KeyError):
        Policy((statement(conditions=(numeric,)),)).allows(GET)


_TEXTS = st.text("ab*?/", min_size=1, max_size=4)
_STATEMENTS = st.builds(
    statement,
    effect=st.sampled_from(["Allow", "Deny"]),
    actions=st.lists(st.sampled_from(["s3:*", "s3:a", "s3:b"]), min_size=1).map(tuple),
    resources=st.lists(_TEXTS.map("arn:aws:s3:::{}".format), min_size=1, max_size=2).map(tuple),
    conditions=st.lists(
        st.builds(
            Condition,
            st.sampled_from(["StringEquals", "StringLike", "StringLikeIfExists"]),
            st.sampled_from(["x", "y"]),
            st.lists(_TEXTS, min_size=1, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)


_CALLS = st.builds(
    Call.of,
    st.sampled_from(["s3:a", "s3:b"]),
    _TEXTS.map("arn:aws:s3:::{}".format),
    st.dictionaries(st.sampled_from(["x", "y"]), _TEXTS),
)


@given(st.lists(_STATEMENTS, max_size=4), _STATEMENTS, _CALLS)
def test_a_further_statement_changes_an_answer_only_as_it_says(
    statements: list[Statement], further: Statement, call: Call
) -> None:
    before, after = (Policy(tuple(some)) for some in (statements, [*statements, further]))

    if further.effect == "Allow":
        assert after.allows(call) is (
            before.allows(call) or (further.is_about(call) and not before.denies(call))
        )
    else:
        assert after.allows(call) is (before.allows(call) and not further.is_about(call))


def test_what_nothing_uses_is_found() -> None:
    wide = statement(
        actions=("s3:GetObject", "s3:PutObject"), resources=("arn:aws:s3:::b/*", "arn:aws:s3:::c")
    )

    assert unused(Policy((wide,)), [GET]) == [
        "Read: s3:GetObject on arn:aws:s3:::c",
        "Read: s3:PutObject on arn:aws:s3:::b/*",
        "Read: s3:PutObject on arn:aws:s3:::c",
    ]


def test_of_two_statements_that_allow_the_same_either_is_unused() -> None:
    policy = Policy((statement(), statement(sid="Again", actions=("s3:*",))))

    assert unused(policy, [GET]) == [
        "Read: s3:GetObject on arn:aws:s3:::b/*",
        "Again: s3:* on arn:aws:s3:::b/*",
    ]
