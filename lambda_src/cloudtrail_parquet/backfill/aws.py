"""Clients of AWS services other than S3, by boto3: its profiles, SSO, roles, retries and errors."""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from cloudtrail_parquet.errors import RefusedError, StorageError, UsageError

_REGION = re.compile(r"https?://(?:[^/]*\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.")
_SIGN_IN = "Sign in, for example with aws sso login, or name another profile with --profile"
_ALLOW = "Allow it to these credentials, in their policy and in that of the KMS key"
_ABSENT = {
    "AWS.SimpleQueueService.NonExistentQueue": "there is no such queue",
    "QueueDoesNotExist": "there is no such queue",
    "ResourceNotFoundException": "there is no such log group or bus",
}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


def region_in(url: str) -> str | None:
    """The region that the URL of a queue names; None if it names none."""
    found = _REGION.match(url)
    return found[1] if found else None


@contextmanager
def client_of(service: Any, where: str, region: str | None = None) -> Iterator[Any]:  # noqa: ANN401
    """A client of a service for as long as the context lasts; it makes no request yet.

    Args:
        service: As boto3 names it.
        where: Names what is asked of it in errors.
        region: By default that of the environment or the profile.

    Raises:
        UsageError: There is no region, or no such profile.
    """
    import boto3  # noqa: PLC0415 - a quarter of a second
    from botocore.config import Config  # noqa: PLC0415

    with explained(where):
        retries = Config(retries={"mode": "standard", "total_max_attempts": 5})
        region = region or os.environ.get("AWS_REGION")  # which boto3 does not read
        client = boto3.Session().client(service, region_name=region, config=retries)
    with closing(client):
        yield client


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn errors of boto3 into ours.

    Raises:
        UsageError: There are no credentials, they have expired, or there is nothing of that name.
        RefusedError: The service denies it to these credentials.
        StorageError: Anything else: another attempt may help.
    """
    from botocore import exceptions  # noqa: PLC0415 - comes with boto3

    try:
        yield
    except exceptions.ClientError as error:
        raise _of_answer(error, where) from error
    except exceptions.NoRegionError as error:
        what, hint = "there is no AWS region", "Set AWS_REGION, or name one in the profile"
        raise UsageError(what, where, hint) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        what, hint = f"does not answer ({error})", "Check its address and the network"
        raise StorageError(what, where, hint) from error
    except (
        exceptions.BotoCoreError
    ) as error:  # no profile, no credentials, or an SSO session that has ended
        raise UsageError(f"there are no AWS credentials ({error})", where, _SIGN_IN) from error


def _of_answer(error: Any, where: str) -> UsageError | StorageError:  # noqa: ANN401 - a ClientError
    answer = error.response.get("Error", {})
    code = str(answer.get("Code", ""))
    text = f"{code}: {answer.get('Message') or error}"
    if code in _ABSENT:
        return UsageError(_ABSENT[code], where, "Check its name, the account and the region")
    if code in _CREDENTIALS:
        return UsageError(f"the credentials are not accepted ({text})", where, _SIGN_IN)
    if "AccessDenied" in code or code in {"AuthorizationError", "KMS.AccessDeniedException"}:
        return RefusedError(f"is denied ({text})", where, _ALLOW)
    return StorageError(f"failed ({text})", where, "Run it again")
