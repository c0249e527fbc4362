"""Buckets: their URIs, and clients for them.

    s3://bucket/prefix?region=eu-west-1&requester_pays=true&kms_key_id=alias/lake

Everything else about a client comes from the environment, as with the AWS command line.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, urlencode

import obstore
import obstore.exceptions
import obstore.store

from cloudtrail_parquet.errors import StorageError, UsageError
from cloudtrail_parquet.storage.s3_errors import SIGN_IN, region_in

SCHEMES = ("s3://", "s3a://")

_DEFAULT_REGION = "us-east-1"
_RETRIES = 8  # with the pauses below: up to half a minute
_PAUSES: Any = {
    "init_backoff": timedelta(milliseconds=100),
    "max_backoff": timedelta(seconds=10),
    "base": 2,
}
_RETRY_FOR = timedelta(minutes=3)  # requests are not signed anew
# For all of a request; a body goes on in another one. A timeout for each read as well would cost
# a fifth of the CPU of a small GET.
_TIMEOUTS: Any = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}
_LOOK_UP_S = 10
_CREDENTIAL_TTL = timedelta(minutes=5)  # boto3 renews them ten minutes before they expire

_TRUTH = {"true": True, "false": False}
_PARAMETERS = {
    "region": r"[a-z0-9-]+",
    "requester_pays": "true|false",
    "kms_key_id": r"[A-Za-z0-9:/_-]+",
    "endpoint": r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?",
    "profile": r".+",
    "anonymous": "true|false",
    "retries": r"1?\d|20",
}
"""The parameters of a URI by name: regular expressions of what they may be."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, a prefix and parameters, as a URI names them.

    Attributes:
        prefix: Of all keys, without slashes at its ends.
        region: The bucket's region; found out if None.
        requester_pays: Whether we pay for requests and transfer.
        kms_key_id: The key that encrypts what is written; the bucket's own default if None.
        endpoint: Where to send requests instead of AWS.
        profile: The profile of the shared AWS configuration whose credentials are used.
        anonymous: Whether requests are not signed.
        retries: How often a failed request is repeated.
    """

    name: str
    prefix: str
    region: str | None = None
    requester_pays: bool = False
    kms_key_id: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    anonymous: bool = False
    retries: int = _RETRIES

    @property
    def uri(self) -> str:
        """The URI without parameters."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @classmethod
    def of(cls, uri: str) -> "Bucket":
        """Parse a URI.

        Raises:
            UsageError: It has an unknown parameter, a wrong value, or an impossible name.
        """
        location, _, query = uri.partition("?")
        name, _, prefix = location.partition("://")[2].partition("/")
        if not _BUCKET.fullmatch(name):
            raise UsageError("names no bucket", location, "Write s3://bucket/prefix")
        prefix = prefix.rstrip("/")
        if {"", ".", ".."} & set(prefix.split("/")) and prefix:
            hint = "Name the folder above: such keys cannot be read"
            raise UsageError("has a folder without a name, or . or ..", location, hint)
        return cls(name, prefix, **_parameters(location, query))


def _parameters(location: str, query: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _PARAMETERS:
            hint = f"There are: {', '.join(sorted(_PARAMETERS))}"
            raise UsageError(f"has an unknown parameter {name}", location, hint)
        if name in parameters:
            raise UsageError(f"has the parameter {name} twice", location, "Give it once")
        if not re.fullmatch(_PARAMETERS[name], value):
            hint = f"It should look like {_PARAMETERS[name]}"
            raise UsageError(f"has a wrong value for {name}: {value!r}", location, hint)
        parameters[name] = int(value) if name == "retries" else _TRUTH.get(value, value)
    return parameters


def sibling(uri: str, ending: str) -> str:
    """The URI of the location beside another, with the same parameters.

    Raises:
        UsageError: It is a whole bucket.
    """
    location, mark, query = uri.partition("?")
    if not Bucket.of(uri).prefix:
        what = "is a whole bucket, so nothing lies beside it"
        raise UsageError(what, location, "Name the state with --state, or a prefix in the bucket")
    return location.rstrip("/") + ending + mark + query


def client_of(bucket: Bucket, env: Mapping[str, str], region: str | None = None) -> Any:  # noqa: ANN401
    """A client for a bucket, which makes no request yet.

    Args:
        bucket: The bucket with its parameters.
        env: The environment with credentials, region and endpoint; obstore reads the real one, too.
        region: Takes precedence over the region that these name.

    Raises:
        UsageError: There are no credentials.
    """
    provider = _credentials(bucket, env)
    region = region or _region(bucket, env) or _region_of(provider) or _DEFAULT_REGION
    endpoint = _endpoint(bucket, env)
    config: dict[str, Any] = {
        "region": region,
        "checksum_algorithm": "SHA256",
        "skip_signature": bucket.anonymous or _is_true(env, "AWS_SKIP_SIGNATURE"),
        **_address(bucket.name, region, endpoint),
    }
    if bucket.requester_pays:
        config["request_payer"] = True
    if bucket.kms_key_id is not None:
        config["server_side_encryption"] = "aws:kms"
        config["sse_kms_key_id"] = bucket.kms_key_id
        config["sse_bucket_key_enabled"] = True
    allow_http = (endpoint or "").startswith("http://") or _is_true(env, "AWS_ALLOW_HTTP")
    options: Any = {"allow_http": allow_http, **_TIMEOUTS}
    return obstore.store.S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        config=config,  # type: ignore[arg-type]
        client_options=options,
        retry_config={
            "max_retries": bucket.retries,
            "retry_timeout": _RETRY_FOR,
            "backoff": _PAUSES,
        },
        credential_provider=provider,
    )


def _is_true(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() in {"1", "true"}


def _region(bucket: Bucket, env: Mapping[str, str]) -> str | None:
    return bucket.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or None


def _region_of(provider: Any) -> str | None:  # noqa: ANN401
    """The region of a profile."""
    region: str | None = provider.config.get("region") if provider is not None else None
    return region


def _endpoint(bucket: Bucket, env: Mapping[str, str]) -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return bucket.endpoint or next((env[name] for name in names if env.get(name)), None)


def _address(bucket: str, region: str, endpoint: str | None) -> dict[str, Any]:
    """The endpoint of a region, with the bucket in the host name where certificates allow it."""
    if endpoint is not None:
        return {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    if "." in bucket or "_" in bucket:
        return {"endpoint": f"https://s3.{region}.{domain}"}
    return {
        "endpoint": f"https://{bucket}.s3.{region}.{domain}",
        "virtual_hosted_style_request": True,
    }


def client_elsewhere(bucket: Bucket, env: Mapping[str, str]) -> Callable[[Exception], Any]:
    """Make a function that makes a client for the region in which an error says the bucket is."""

    def move(error: Exception) -> Any:  # noqa: ANN401
        region = region_in(error) or _look_up(bucket, env)
        if region is None:
            what = "the bucket is in another region"
            raise StorageError(what, bucket.uri, "Name its region: ?region=...") from error
        if bucket.region is not None and region != bucket.region:
            what = f"the bucket is in {region}, not in {bucket.region}"
            hint = f"Name it with ?{urlencode({'region': region})}, or leave the region out"
            raise StorageError(what, bucket.uri, hint) from error
        return client_of(bucket, env, region)

    return move


def _look_up(bucket: Bucket, env: Mapping[str, str]) -> str | None:
    """The region of a bucket, which S3 tells everyone, whatever else it refuses."""
    import urllib.error  # noqa: PLC0415 - rarely needed, and slow to import
    import urllib.request  # noqa: PLC0415

    region = _region(bucket, env) or _DEFAULT_REGION
    endpoint = _address("a.path", region, _endpoint(bucket, env))["endpoint"]
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/{bucket.name}", method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_LOOK_UP_S) as answer:  # noqa: S310
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    except OSError:
        return None
    actual: str | None = headers.get("x-amz-bucket-region")
    return actual


def _credentials(bucket: Bucket, env: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Provides credentials that obstore does not find by itself: those of profiles, by boto3."""
    if bucket.anonymous or _is_true(env, "AWS_SKIP_SIGNATURE"):
        return None
    profile = bucket.profile or env.get("AWS_PROFILE")
    if bucket.profile is None and _obstore_finds(env, profile):
        return None
    if find_spec("boto3") is None:
        if profile is None:
            return None  # an instance's role
        what = f"the profile {profile} needs boto3, which is not installed"
        raise UsageError(what, bucket.uri, "Install boto3, or export the profile's credentials")
    import boto3  # noqa: PLC0415 - a quarter of a second
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    try:
        session = boto3.Session(profile_name=profile)
        return Boto3CredentialProvider(session, ttl=_CREDENTIAL_TTL)
    except (BotoCoreError, ValueError) as error:
        what = f"there are no AWS credentials ({error})"
        raise UsageError(what, bucket.uri, SIGN_IN) from error


def _obstore_finds(env: Mapping[str, str], profile: str | None) -> bool:
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return True
    if profile is not None:
        return False
    return (
        bool(env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
        or _has(env, "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
        or _has(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    )


def _has(env: Mapping[str, str], *names: str) -> bool:
    return all(env.get(name) for name in names)
