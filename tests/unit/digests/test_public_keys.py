"""Public keys as the AWS CLI prints them."""

import base64
import json
from datetime import UTC, datetime

import pytest

from cloudtrail_parquet.digests.public_keys import PublicKey, PublicKeys, keys_in
from cloudtrail_parquet.errors import UsageError
from tests.unit.digests.signed_tree import signing_key

VALUE = base64.b64encode(signing_key().public).decode()
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def answer(**changes: object) -> bytes:
    entry = {"Fingerprint": "ab", "Value": VALUE, **changes}
    return json.dumps({"PublicKeyList": [entry]}).encode()


@pytest.mark.parametrize(
    "start", ["2026-01-10T12:00:00+00:00", "2026-01-10T12:00:00", 1768046400.0]
)
def test_times_are_read_as_either_version_of_the_aws_cli_prints_them(start: object) -> None:
    (key,) = keys_in(answer(ValidityStartTime=start), "keys.json")

    assert key == PublicKey("ab", VALUE, NOON, None)


def test_keys_may_be_valid_for_all_time() -> None:
    times = {"ValidityStartTime": "0001-01-01T00:00:00Z", "ValidityEndTime": "9999-12-31T23:59:59Z"}
    keys = PublicKeys(keys_in(answer(**times), "keys.json"))

    for when in (datetime(1, 1, 1, tzinfo=UTC), NOON, datetime(9999, 12, 31, 23, tzinfo=UTC)):
        assert isinstance(keys.fitting("ab", "us-east-1", when), PublicKey)


def test_keys_of_several_regions_are_told_apart() -> None:
    here, there = answer(), answer(Fingerprint="cd")
    keys = PublicKeys([*keys_in(here, "a", "us-east-1"), *keys_in(there, "b", "eu-west-1")])

    assert isinstance(keys.fitting("ab", "us-east-1", NOON), PublicKey)
    assert keys.fitting("cd", "us-east-1", NOON) == (
        "key elsewhere",
        "the public key cd is that of eu-west-1, not of us-east-1",
    )


def test_what_is_written_is_read_again() -> None:
    (key,) = keys_in(answer(ValidityStartTime=NOON.isoformat()), "keys.json", "us-east-1")

    assert keys_in(json.dumps([key.to_json()]).encode(), "again") == [key]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"PublicKeyList": [{"Fingerprint": "ab"}]}',
        answer(Value="AAAA"),
        answer(Value="*"),
        answer(ValidityStartTime="yesterday"),
        answer(ValidityStartTime=1e300),
    ],
)
def test_anything_else_is_refused_with_its_name(text: bytes) -> None:
    with pytest.raises(UsageError, match=r"^keys\.json: it does not hold public keys"):
        keys_in(text, "keys.json")
