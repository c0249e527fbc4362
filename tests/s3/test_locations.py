"""What the URI of a bucket says and what the environment says, as the server sees it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.storage import is_below, location_beside, open_store
from cloudtrail_parquet.storage.s3 import Bucket, client_of
from tests.s3.conftest import CREDENTIALS
from tests.s3.faults import Answer, Fault, FaultProxy, Request, error

NOWHERE = "http://127.0.0.1:9"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"


def signer(request: Request) -> tuple[str, str]:
    """The access key and the region of a signature."""
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/s3/", request.headers["authorization"])
    assert found is not None
    return found[1], found[2]


# What URIs say.


def test_the_uri_of_a_store_has_no_parameters() -> None:
    assert open_store("s3://bucket/a/b/?region=eu-west-1&requester_pays=true").uri == (
        "s3://bucket/a/b"
    )
    assert open_store("s3://bucket/?retries=0").uri == open_store("s3a://bucket").uri


def test_an_unknown_parameter_is_refused_with_a_list_of_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown parameter reigon.*endpoint.*region, req"):
        open_store("s3://bucket/a?reigon=eu-west-1")


def test_the_page_about_s3_has_every_parameter() -> None:
    page = (Path(__file__).parents[2] / "docs" / "s3.md").read_text(encoding="utf-8")
    parameters = {field.name for field in fields(Bucket)} - {"name", "prefix"}

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == parameters


@pytest.mark.parametrize(
    "parameter",
    [
        "region=",
        "region=eu-west-1.state",
        "region=EU West",
        "requester_pays=yes",
        "requester_pays=true.state",
        "kms_key_id=a key",
        "endpoint=minio.example",
        "endpoint=ftp://minio.example",
        "endpoint=http://127.0.0.1:9000.state",
        "profile=",
        "retries=-1",
        "retries=21",
        "region=eu-west-1&region=eu-west-2",
        "Region=eu-west-1",
    ],
)
def test_a_wrong_parameter_is_refused(parameter: str) -> None:
    with pytest.raises(UsageError, match="s3://bucket/a"):
        open_store(f"s3://bucket/a?{parameter}")


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///a", "s3://b/a//b", "s3://bucket//a", "s3://bucket/a/../b", "s3://a b"]
)
def test_a_place_that_cannot_be_is_refused(uri: str) -> None:
    with pytest.raises(UsageError):
        open_store(uri)


def test_a_prefix_is_taken_as_it_is_written(bucket: str, s3: S3Client) -> None:
    open_store(f"s3://{bucket}/a%20b #c+d/é").write("k", b"x")

    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"] == "a%20b #c+d/é/k"


def test_the_place_beside_another_keeps_its_parameters(tmp_path: Path) -> None:
    assert location_beside("s3://b-1/lake/?region=eu-west-1", ".state") == (
        "s3://b-1/lake.state?region=eu-west-1"
    )
    assert location_beside(f"{tmp_path}/lake/", ".state") == f"{tmp_path}/lake.state"
    assert location_beside("memory:///lake", ".state") == "memory:///lake.state"
    with pytest.raises(UsageError, match="whole bucket"):
        location_beside("s3://lake", ".state")


@pytest.mark.parametrize(
    ("inner", "outer", "below"),
    [
        ("s3://lake/a/b?region=eu-west-1", "s3://lake/a", True),
        ("s3://lake/a", "s3a://lake/a/?retries=1", True),
        ("s3://lake/a", "s3://lake?retries=1", True),
        ("s3://lake/ab", "s3://lake/a", False),
        ("s3://lake", "s3://lake/a", False),
        ("/lake/a", "/lake", True),
        ("s3://lake/a", "/lake", False),
    ],
)
def test_whether_a_place_lies_in_another(inner: str, outer: str, *, below: bool) -> None:
    assert is_below(inner, outer) == below


# Where requests go.


def test_the_endpoint_of_the_uri_decides_over_the_environment(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", NOWHERE)

    open_store(f"s3://{bucket}?endpoint={proxy.url}").write("k", b"x")

    assert [request.path for request in proxy.requests] == [f"/{bucket}/k"]


def test_the_endpoint_for_s3_decides_over_the_one_for_all_services(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)

    open_store(f"s3://{bucket}").write("k", b"x")

    assert proxy.count("PUT") == 1


@pytest.mark.parametrize(
    ("bucket", "region", "url"),
    [
        ("logs", "eu-west-1", "https://logs.s3.eu-west-1.amazonaws.com/a/k?"),
        ("logs", "cn-north-1", "https://logs.s3.cn-north-1.amazonaws.com.cn/a/k?"),
        ("logs.example", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/logs.example/a/k?"),
    ],
)
def test_without_an_endpoint_requests_go_to_the_bucket_in_its_region(
    bucket: str, region: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")

    client = client_of(Bucket.of(f"s3://{bucket}/a?region={region}"), CREDENTIALS)

    assert obstore.sign(client, "GET", "k", timedelta(minutes=1)).startswith(url)


def test_places_may_be_in_several_regions(
    new_bucket: Callable[[], str], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")

    for parameter in ("?region=eu-west-1", "?region=us-east-2", ""):
        open_store(f"s3://{new_bucket()}/a{parameter}").write("k", b"x")

    regions = [signer(request)[1] for request in proxy.requests]
    assert regions == ["eu-west-1", "us-east-2", "eu-central-1"]


def test_a_client_is_patient_but_not_for_ever() -> None:
    client = client_of(Bucket.of("s3://logs?retries=5"), CREDENTIALS)

    assert client.retry_config["max_retries"] == 5
    assert client.retry_config["retry_timeout"] <= timedelta(minutes=5)  # a signature's life
    assert {"connect_timeout", "timeout"} <= set(client.client_options)


# Regions that are not as thought.


def elsewhere(region: str, *, says: str) -> list[Fault]:
    """A bucket that refuses what is signed for another region, as S3 does, and names its own."""

    def wrong(request: Request) -> bool:
        return "authorization" in request.headers and signer(request)[1] != region

    refusals = {
        "redirect": error(301, "PermanentRedirect", when=wrong),
        "malformed": error(
            400,
            "AuthorizationHeaderMalformed",
            f"the region 'us-east-1' is wrong; expecting '{region}'",
            when=wrong,
        ),
    }
    told = Answer(403, [("x-amz-bucket-region", region)], b"")
    return [refusals[says], Fault(method="HEAD", path=r"^/[^/]+$", answer=told)]


@pytest.mark.parametrize("says", ["redirect", "malformed"])
def test_a_bucket_in_another_region_is_found_by_the_first_head(
    bucket: str, proxy: FaultProxy, s3: S3Client, says: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    proxy.add(*elsewhere("eu-west-1", says=says))

    with open_store(f"s3://{bucket}").open("k") as file:
        assert bytes(file.read()) == b"x"


@pytest.mark.parametrize("says", ["redirect", "malformed"])
def test_a_bucket_in_another_region_than_ours_is_found(
    bucket: str, proxy: FaultProxy, says: str
) -> None:
    proxy.add(*elsewhere("eu-west-1", says=says))
    store = open_store(f"s3://{bucket}")

    store.write("a/k", b"x")
    before = len(proxy.requests)

    assert store.read("a/k") == b"x"
    assert [entry.key for entry in store.files("")] == ["a/k"]
    assert store.folders("") == ["a"]
    assert len(proxy.requests) == before + 3  # found once


def test_a_region_that_is_not_the_buckets_is_named(bucket: str, proxy: FaultProxy) -> None:
    proxy.add(*elsewhere("eu-west-1", says="redirect"))

    with pytest.raises(StorageError, match=r"is in eu-west-1, not in us-west-2.*\?region=eu-w"):
        open_store(f"s3://{bucket}?region=us-west-2").read("k")


def test_a_region_that_cannot_be_found_is_asked_for(bucket: str, proxy: FaultProxy) -> None:
    proxy.add(elsewhere("eu-west-1", says="redirect")[0], error(404, "NotFound", method="HEAD"))

    with pytest.raises(StorageError, match="Name its region"):
        open_store(f"s3://{bucket}").read("k")


# What requests say.


def test_requester_pays_is_said_with_every_request(
    bucket: str, proxy: FaultProxy, tmp_path: Path
) -> None:
    store = open_store(f"s3://{bucket}?requester_pays=true", staging=tmp_path)

    store.write("a/k", b"x")
    store.read("a/k")
    store.open("a/k").read()
    list(store.files(""))
    store.folders("")
    with store.staging() as staging:
        staging.create("l").write(bytes(17 << 20))
        staging.publish("l", None)
    store.delete(["a/k"])

    assert {request.headers.get("x-amz-request-payer") for request in proxy.requests} == {
        "requester"
    }


@pytest.mark.amazon("KMS keys")
def test_the_key_of_the_uri_encrypts_what_is_written(
    bucket: str, proxy: FaultProxy, s3: S3Client
) -> None:
    store = open_store(f"s3://{bucket}?kms_key_id={KEY_ARN}")

    store.write("small", b"x")
    with store.staging() as staging:
        staging.create("large").write(bytes(17 << 20))
        staging.publish("large", None)
    with store.lease("lease", 0, 900):
        pass

    for key in ("small", "large"):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY_ARN)
    (lease,) = proxy.seen("PUT", "lease")
    assert lease.headers["x-amz-server-side-encryption-aws-kms-key-id"] == KEY_ARN


def test_without_a_key_the_bucket_decides_on_encryption(bucket: str, proxy: FaultProxy) -> None:
    open_store(f"s3://{bucket}").write("k", b"x")

    assert not [name for name in proxy.requests[0].headers if "encryption" in name]


# Credentials.


def test_a_session_token_is_sent(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")

    open_store(f"s3://{bucket}").write("k", b"x")

    assert proxy.requests[0].headers["x-amz-security-token"] == "a-token"


@pytest.mark.amazon("buckets that everybody may write to")
@pytest.mark.parametrize("how", ["?anonymous=true", "AWS_SKIP_SIGNATURE"])
def test_anonymous_requests_are_not_signed(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    without_credentials(monkeypatch)
    if not how.startswith("?"):
        monkeypatch.setenv(how, "true")

    open_store(f"s3://{bucket}{how if how.startswith('?') else ''}").write("k", b"x")

    assert "authorization" not in proxy.requests[0].headers


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = s\n"
        "[audit]\naws_access_key_id = AUDIT\naws_secret_access_key = s\naws_session_token = t\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))


@pytest.mark.amazon("users other than the one of the tests")
@pytest.mark.usefixtures("profiles")
def test_profiles_are_read_when_the_environment_has_no_credentials(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(f"s3://{bucket}").write("k", b"x")
    monkeypatch.setenv("AWS_PROFILE", "audit")
    open_store(f"s3://{bucket}").write("k", b"x")
    open_store(f"s3://{bucket}?profile=default").write("k", b"x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    open_store(f"s3://{bucket}").write("k", b"x")
    open_store(f"s3://{bucket}?profile=default").write("k", b"x")

    names = [signer(request)[0] for request in proxy.requests]
    assert names == ["DEFAULT", "AUDIT", "DEFAULT", "ENVIRONMENT", "DEFAULT"]
    assert proxy.requests[1].headers["x-amz-security-token"] == "t"


@pytest.mark.amazon("users other than the one of the tests")
@pytest.mark.usefixtures("profiles")
def test_the_region_of_a_profile_counts_when_nothing_else_names_one(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[profile audit]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    open_store(f"s3://{bucket}?profile=audit").write("k", b"x")
    open_store(f"s3://{bucket}?profile=audit&region=eu-west-2").write("k", b"x")

    regions = [signer(request)[1] for request in proxy.requests]
    assert regions == ["eu-north-1", "eu-west-2"]


@pytest.mark.usefixtures("profiles")
def test_a_profile_without_boto3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(UsageError, match="profile audit needs boto3"):
        open_store("s3://bucket?profile=audit")


@pytest.mark.usefixtures("profiles")
def test_a_profile_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="nobody"):
        open_store("s3://bucket?profile=nobody")


def test_no_credentials_at_all_are_a_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)

    with pytest.raises(UsageError, match=r"no AWS credentials.*AWS_PROFILE"):
        open_store("s3://bucket/a")


@pytest.mark.amazon("users other than the one of the tests")
@pytest.mark.usefixtures("profiles")
def test_a_container_gives_credentials_before_the_default_profile_does(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("let me in")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{proxy.url}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    given = {
        "AccessKeyId": "CONTAINER",
        "SecretAccessKey": "s",
        "Token": "t",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    said = Answer(200, [("Content-Type", "application/json")], json.dumps(given).encode())
    proxy.add(Fault(path="^/credentials$", answer=said))

    open_store(f"s3://{bucket}").write("k", b"x")

    asked, written = proxy.requests
    assert asked.headers["authorization"] == "let me in"
    assert signer(written)[0] == "CONTAINER"


@pytest.mark.usefixtures("profiles")
def test_a_web_identity_is_asked_by_the_client_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/not/there")

    assert client_of(Bucket.of("s3://bucket"), os.environ).credential_provider is None
    with pytest.raises(StorageError, match=r"/not/there.*Give credentials"):
        open_store("s3://bucket").read("k")


def test_nothing_imports_boto3_unless_it_is_needed() -> None:
    program = (
        "import sys\n"
        "from cloudtrail_parquet.storage import open_store\n"
        "open_store('s3://bucket')\n"
        "print({'boto3', 'botocore', 'urllib.request'} & set(sys.modules))"
    )
    lambda_src = str(Path(__file__).parents[2] / "lambda_src")

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**CREDENTIALS, "PYTHONPATH": lambda_src},
        capture_output=True,
        check=True,
        text=True,
    )

    assert ran.stdout == "set()\n"
