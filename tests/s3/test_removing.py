"""A removal is of one version: what somebody else has put in its place is left alone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.clock import SystemClock
from cloudtrail_parquet.errors import RefusedError, StorageError
from cloudtrail_parquet.storage import ObjectStore, open_store
from cloudtrail_parquet.storage.s3 import Bucket, client_of
from cloudtrail_parquet.storage.s3_removal import remove_if
from tests.s3.conftest import CREDENTIALS
from tests.s3.faults import Answer, Fault, FaultProxy, Request, error, only_below

PART = "account=1/region=a/year=2026/month=01/day=10/part-00000.parquet"
ODD = ["a=1/b c", "100%/%41+b", "é/漢~(1)!*'", "a&b;c:d@e,$/[f]"]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def store(bucket: str) -> ObjectStore:
    return opened(f"s3://{bucket}?retries=2")


def opened(uri: str) -> ObjectStore:
    store = open_store(uri)
    assert isinstance(store, ObjectStore)
    return store


def put(store: ObjectStore, key: str = PART, data: bytes = b"x") -> str:
    return store.swap(key, data, version_of(store, key))


def version_of(store: ObjectStore, key: str = PART) -> str | None:
    found = store.look(key)
    return found and found.version


def removals(proxy: FaultProxy) -> list[Request]:
    return proxy.seen("DELETE")


# The condition.


def test_the_version_that_was_seen_is_removed(store: ObjectStore, proxy: FaultProxy) -> None:
    version = put(store)

    store.remove(PART, version)

    assert [one.headers["if-match"] for one in removals(proxy)] == [version]
    assert list(store.files("")) == []


def test_the_version_is_the_one_of_a_listing(store: ObjectStore) -> None:
    put(store)
    (entry,) = store.files("")

    store.remove(PART, entry.version)

    assert list(store.files("")) == []


@pytest.mark.amazon("conditions for removals")
def test_another_version_is_left_alone(store: ObjectStore, proxy: FaultProxy) -> None:
    seen = put(store, data=b"old")
    put(store, data=b"newer")

    with pytest.raises(StorageError, match=f"{PART}: the lease was lost"):
        store.remove(PART, seen)

    assert [one.status for one in removals(proxy)] == [412]
    assert store.read(PART) == b"newer"


@pytest.mark.amazon("an error for what is gone")
@pytest.mark.parametrize("says", [404, 412])
def test_an_object_that_is_gone_already_is_no_error(
    store: ObjectStore, proxy: FaultProxy, says: int
) -> None:
    version = put(store)
    store.delete([PART])
    if says == 412:  # S3's own documentation has both
        proxy.add(error(412, "PreconditionFailed", method="DELETE"))

    store.remove(PART, version)

    assert [one.status for one in removals(proxy)] == [says]


@pytest.mark.amazon("an error for what is gone")
def test_an_object_that_is_gone_is_no_error_for_who_may_list_below_a_prefix_only(
    bucket: str, proxy: FaultProxy
) -> None:
    store = opened(f"s3://{bucket}/lake")
    version = put(store)
    store.delete([PART])
    proxy.add(*only_below(f"/{bucket}/lake/"))

    store.remove(PART, version)

    assert [one.status for one in removals(proxy)] == [403]


def test_a_bucket_that_is_gone_is_an_error(proxy: FaultProxy) -> None:
    with pytest.raises(StorageError, match=r"there is no such bucket.*Check the name"):
        opened("s3://not-there").remove(PART, '"1"')

    assert len(removals(proxy)) == 1


# What goes wrong on the way.


@pytest.mark.parametrize(
    "fault",
    [
        error(503, "SlowDown", times=2),
        error(500, "InternalError", times=2),
        error(429, "TooManyRequests", times=2),
        error(409, "ConditionalRequestConflict", times=2),
        Fault(lost="before", times=2),
        Fault(lost="after", times=2),
        Fault(lost="after", answer=error(503, "SlowDown").answer, times=2),
    ],
    ids=["busy", "failing", "too-many", "conflict", "broken", "answer-lost", "said-busy"],
)
def test_what_passes_is_survived(store: ObjectStore, proxy: FaultProxy, fault: Fault) -> None:
    version = put(store)
    proxy.add(Fault(**vars(fault)))

    store.remove(PART, version)

    assert len(removals(proxy)) == 3
    assert list(store.files("")) == []


def test_each_try_is_signed_anew(store: ObjectStore, proxy: FaultProxy) -> None:
    version = put(store)
    proxy.add(Fault(answer=error(503, "SlowDown").answer, delay_s=1.1, times=1))

    store.remove(PART, version)

    first, second = (one.query["X-Amz-Date"] for one in removals(proxy))
    assert first < second


@pytest.mark.amazon("conditions for removals")
def test_what_is_put_while_an_answer_is_lost_is_left_alone(
    bucket: str, store: ObjectStore, proxy: FaultProxy, s3: S3Client
) -> None:
    version = put(store)

    seen = count()

    def put_by_another(_: Request) -> bool:
        if next(seen) == 1:
            s3.put_object(Bucket=bucket, Key=PART, Body=b"theirs")
        return False

    proxy.add(
        Fault(method="DELETE", when=put_by_another), Fault(method="DELETE", lost="after", times=1)
    )

    with pytest.raises(StorageError, match="the lease was lost"):
        store.remove(PART, version)

    assert store.read(PART) == b"theirs"


def test_a_refusal_is_told_with_what_to_do_and_not_repeated(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    version = put(store)
    proxy.add(error(403, "AccessDenied", "No.", method="DELETE"))

    with pytest.raises(
        RefusedError, match=rf"{PART}: cannot be deleted \(AccessDenied: No\.\)\. Allow it"
    ):
        store.remove(PART, version)

    assert len(removals(proxy)) == 2  # it may have come since it was refused first: looked twice


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error(400, "ExpiredToken", "Old.").answer, r"\(ExpiredToken: Old\.\)\. Renew the"),
        (Answer(403, [], b""), r"\(403 Forbidden\)\. Allow it"),
        (Answer(418, [], b""), r"cannot be deleted \(418"),
    ],
)
def test_what_is_wrong_for_good_is_told_at_once(
    store: ObjectStore, proxy: FaultProxy, answer: Answer, said: str
) -> None:
    version = put(store)
    proxy.add(Fault(method="DELETE", answer=answer))

    with pytest.raises(StorageError, match=said):
        store.remove(PART, version)

    assert len(removals(proxy)) <= 2


@pytest.mark.parametrize(
    "fault",
    [Fault(method="DELETE", lost="before"), error(503, "SlowDown", "Busy.", method="DELETE")],
    ids=["broken", "busy"],
)
@pytest.mark.parametrize("retries", [0, 3])
def test_a_store_that_never_answers_is_told_without_what_was_signed(
    bucket: str, proxy: FaultProxy, fault: Fault, retries: int
) -> None:
    store = opened(f"s3://{bucket}?retries={retries}")
    version = put(store)
    proxy.add(Fault(**vars(fault)))

    with pytest.raises(StorageError, match=f"{PART}: cannot be deleted") as raised:
        store.remove(PART, version)

    assert len(removals(proxy)) == retries + 1
    causes = [raised.value, raised.value.__cause__, raised.value.__context__]
    assert not [one for one in causes if "X-Amz" in repr(one)]
    proxy.clear()
    assert store.read(PART) == b"x"


def test_pauses_are_those_of_the_client(bucket: str, proxy: FaultProxy) -> None:
    class Counted(SystemClock):
        def sleep(self, seconds: float) -> None:
            pauses.append(seconds)

        def draw(self, low: float, high: float) -> float:
            return max(low, high)

    pauses = list[float]()
    client = client_of(Bucket.of(f"s3://{bucket}?endpoint={proxy.url}"), CREDENTIALS)
    proxy.add(error(503, "SlowDown", times=8))

    assert remove_if(client, PART, '"1"', Counted())

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10])


# How it is asked for.


@pytest.mark.parametrize("prefix", ["", "/a b/é=1", "/100%+"])
@pytest.mark.parametrize("key", ODD)
def test_odd_keys_are_named_as_elsewhere(
    new_bucket: Callable[[], str], proxy: FaultProxy, prefix: str, key: str
) -> None:
    store = opened(f"s3://{new_bucket()}{prefix}")
    version = put(store, key)
    (other,) = (one.path for one in proxy.seen("PUT"))

    store.remove(key, version)

    assert [one.path for one in removals(proxy)] == [other]
    assert list(store.files("")) == []


def test_a_removal_is_signed_for_as_long_as_clocks_may_differ(
    store: ObjectStore, proxy: FaultProxy
) -> None:
    store.remove(PART, put(store))

    (request,) = removals(proxy)
    assert "authorization" not in request.headers
    assert request.query["X-Amz-Credential"].startswith(f"{CREDENTIALS['AWS_ACCESS_KEY_ID']}/")
    assert request.query["X-Amz-Expires"] == "900"
    signed_at = datetime.strptime(request.query["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    assert abs(datetime.now(UTC) - signed_at) < timedelta(minutes=1)


def test_a_session_token_is_sent(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token+/=")
    store = opened(f"s3://{bucket}")

    store.remove(PART, put(store))

    assert [one.query["X-Amz-Security-Token"] for one in removals(proxy)] == ["a-token+/="]


@pytest.mark.amazon("users other than the one of the tests")
def test_a_profile_signs_removals_too(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    path.write_text("[audit]\naws_access_key_id = AUDIT\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    store = opened(f"s3://{bucket}?profile=audit")

    store.remove(PART, put(store))

    (request,) = removals(proxy)
    assert request.query["X-Amz-Credential"].startswith("AUDIT/")


def test_requester_pays_is_said_and_signed(bucket: str, proxy: FaultProxy) -> None:
    store = opened(f"s3://{bucket}?requester_pays=true")

    store.remove(PART, put(store))

    assert [one.query["x-amz-request-payer"] for one in removals(proxy)] == ["requester"]


@pytest.mark.amazon("KMS keys")
def test_a_key_is_not_named_where_nothing_is_encrypted(bucket: str, proxy: FaultProxy) -> None:
    store = opened(f"s3://{bucket}?kms_key_id=alias/lake")

    store.remove(PART, put(store))

    (request,) = removals(proxy)
    assert not [name for name in (*request.headers, *request.query) if "encryption" in name]
    assert list(store.files("")) == []


@pytest.mark.amazon("buckets that everybody may write to")
@pytest.mark.parametrize("with_credentials", [True, False])
@pytest.mark.parametrize("how", ["?anonymous=true", "AWS_SKIP_SIGNATURE"])
def test_who_signs_nothing_signs_no_removal(
    bucket: str,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    *,
    with_credentials: bool,
) -> None:
    if not with_credentials:
        for name in CREDENTIALS:
            monkeypatch.delenv(name)
    if not how.startswith("?"):
        monkeypatch.setenv(how, "true")
    proxy.add(Fault(method="DELETE", answer=Answer(204, [], b"")))  # moto refuses them
    store = opened(f"s3://{bucket}/a b{how if how.startswith('?') else ''}")

    store.remove(PART, put(store))

    (request,) = removals(proxy)
    assert (request.path, request.query) == (f"/{bucket}/a b/{PART}", {})
    assert "authorization" not in request.headers


def test_the_endpoint_of_the_uri_decides_over_the_environment(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", NOWHERE)
    store = opened(f"s3://{bucket}?endpoint={proxy.url}/")

    store.remove(PART, put(store))

    assert list(store.files("")) == []


def test_a_removal_goes_by_the_same_proxy_as_other_requests(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", NOWHERE)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    store = opened(f"s3://{bucket}?retries=0")
    store.remove(PART, put(store))
    assert list(store.files("")) == []

    monkeypatch.delenv("no_proxy")
    store = opened(f"s3://{bucket}?retries=0")
    for act in (lambda: store.read(PART), lambda: store.remove(PART, '"1"')):
        with pytest.raises(StorageError, match=re.escape(PART)):
            act()
    assert len(removals(proxy)) == 1


def test_a_bucket_in_another_region_is_found_by_a_removal(bucket: str, proxy: FaultProxy) -> None:
    """S3 words it otherwise for a request that is signed in its URL."""
    store = opened(f"s3://{bucket}")
    version = put(store)

    def is_elsewhere(request: Request) -> bool:
        return "/eu-west-1/" not in request.query.get("X-Amz-Credential", "")

    message = "Error parsing the X-Amz-Credential parameter; the region 'us-east-1' is wrong; "
    proxy.add(
        error(
            400,
            "AuthorizationQueryParametersError",
            message + "expecting 'eu-west-1'",
            method="DELETE",
            when=is_elsewhere,
        )
    )

    store.remove(PART, version)

    proxy.clear()
    assert list(store.files("")) == []
