"""Errors of an object store's client as ours: what went wrong, where, and what to do about it.

Codes and their meaning: Amazon S3 API Reference, "Error responses".
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import obstore.exceptions

from cloudtrail_parquet.errors import ArchivedError, LocationError, RefusedError, StorageError
from cloudtrail_parquet.storage.interface import RUN_AGAIN

CLIENT_ERRORS = (obstore.exceptions.BaseError, FileNotFoundError, ValueError)
"""All that a client raises: FileNotFoundError for a missing object, ValueError for an odd key."""
ABSENT = (FileNotFoundError, obstore.exceptions.NotFoundError)

_CODE = re.compile(r"<Code>([^<]+)</Code>|\(code: (\w+)\)")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>|DeleteObjects .* key .*?: (.*) \(code")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")
_REGION = re.compile(r"<Region>([a-z0-9-]+)</Region>|expecting '([a-z0-9-]+)'")
_REDIRECTED = (
    "Received redirect without LOCATION",
    "AuthorizationHeaderMalformed",
    "AuthorizationQueryParametersError",
)
_OF_CREDENTIALS = re.compile(
    r"http://169\.254\.\S+|performing POST REDACTED|authentication credentials|read token file"
)
_NO_CONNECTION = re.compile(r"kind: Connect\b")
_MAX_CHARACTERS = 300

T = TypeVar("T")

SIGN_IN = (
    "Give credentials by environment, AWS_PROFILE or a role (docs/s3.md); "
    "a public bucket wants ?anonymous=true"
)

_ALLOW = (
    "Allow it to these credentials, in their policy, the bucket's and that of its KMS key; "
    "a requester-pays bucket wants ?requester_pays=true"
)
_RENEW = "Renew the credentials and run it again; nothing was replaced"
_CHECK = "Check the credentials"
_NAME = "Check the name of the bucket"
_CLOCK = "Set the clock of this machine"
_RESTORE = "It is archived: restore it, and run it again once S3 has done so (docs/s3.md)"
_FORBIDDEN = "403 Forbidden"
_HINTS = {
    "AccessDenied": _ALLOW,
    "AllAccessDisabled": _ALLOW,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "RequestExpired": _RENEW,
    "TokenRefreshRequired": _RENEW,
    "InvalidAccessKeyId": _CHECK,
    "InvalidToken": _CHECK,
    "SignatureDoesNotMatch": _CHECK,
    "RequestTimeTooSkewed": _CLOCK,
    "NoSuchBucket": _NAME,
    "NoSuchUpload": RUN_AGAIN,
    "InvalidObjectState": _RESTORE,
    _FORBIDDEN: _ALLOW,
    "401 Unauthorized": _CHECK,
    "400 Bad Request": "Check that the credentials have not expired, and the region",
}
_TYPES: dict[str, type[StorageError]] = {
    _ALLOW: RefusedError,
    _RESTORE: ArchivedError,
    **dict.fromkeys((_RENEW, _CHECK, _NAME, _CLOCK, SIGN_IN), LocationError),
}
_PLAIN = {
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "there is no such object",
}


def explained(done: str, where: str, error: Exception) -> StorageError:
    """A client's error as one of ours; ``done`` completes "cannot be": ``"read"``, ..."""
    text = str(error)
    code = code_of(text)
    if isinstance(error, ABSENT) and code not in _PLAIN:
        code = "NoSuchKey"
    hint = _HINTS.get(code, RUN_AGAIN)
    if "<Code>" not in text and _OF_CREDENTIALS.search(text):
        hint = SIGN_IN
    if isinstance(error, obstore.exceptions.InvalidPathError | ValueError):
        hint = "Keys with empty folders, or ones named . or .., cannot be read: copy them elsewhere"
    error_type = _TYPES.get(hint, StorageError)
    return error_type(f"cannot be {done} ({_reason(code, text)})", where, hint)


def code_of(text: str) -> str:
    """The code in an error's text, or else the HTTP status in it, or else nothing."""
    if code := _CODE.search(text):
        return code[1] or code[2]
    status = _STATUS.search(text)
    return status[1].strip() if status else ""


def is_lack_of_bucket(error: Exception) -> bool:
    """Whether the bucket itself is missing, not only the object."""
    return code_of(str(error)) == "NoSuchBucket"


def may_be_absent(error: Exception) -> bool:
    """Whether a refusal may mean that there is no such object.

    S3 says no more than that to callers who may not list the bucket (GetObject, API reference). To
    be allowed to list below a prefix only does not help: a request for an object has no prefix.
    """
    return code_of(str(error)) in {"AccessDenied", _FORBIDDEN}


def is_of_region(error: Exception) -> bool:
    """Whether the store says, or may mean, that the bucket is in another region.

    The answer to a HEAD has no body that could say more than its status.
    """
    text = str(error)
    return any(sign in text for sign in _REDIRECTED) or (
        "performing HEAD" in text and code_of(text) == "400 Bad Request"
    )


def region_in(error: Exception) -> str | None:
    """The region that the store names as the bucket's own, if it names one."""
    region = _REGION.search(str(error))
    return (region[1] or region[2]) if region else None


def may_pass(error: Exception) -> bool:
    """Whether an error that the client does not retry may pass: mostly a body that broke off."""
    if not isinstance(error, obstore.exceptions.GenericError):
        return False
    text = str(error)
    return "body error" in text or "decoding response body" in text or "RequestTimeout<" in text


def may_be_done(error: Exception) -> bool:
    """Whether the connection broke before an answer came: the request may be carried out, or not.

    The client itself repeats requests where that makes no difference: not a conditional PUT, nor a
    POST. Where there was no connection at all, it repeats these, too.
    """
    text = str(error)
    broken = "error sending request" in text and _NO_CONNECTION.search(text) is None
    return broken and isinstance(error, obstore.exceptions.GenericError)


def _reason(code: str, text: str) -> str:
    if code in _PLAIN:
        return _PLAIN[code]
    message = _MESSAGE.search(text)
    if code and message:
        return f"{code}: {message[1] or message[2]}"
    if code:
        return code
    line = text.partition("\n")[0].rpartition(" - ")[2]  # before it: the URL and durations
    return re.sub(r"^Generic \w+ error: ", "", line)[:_MAX_CHARACTERS]


class EntityTags:
    """How a store spells the entity tags that it compares with those of `If-Match`.

    Amazon S3 takes a tag with its quotes, as HTTP has it, and without them. Some servers refuse the
    very version that they have unless the quotes are left out, among them Ceph 18; others know
    nothing but the quotes. So quotes are left out of what was refused without reason, and once that
    was right, of all that follows.

    Source: RFC 9110, "If-Match"; Amazon S3 User Guide, "How to prevent object overwrites with
    conditional writes" and "How to perform conditional deletes", whose examples have no quotes.
    """

    def __init__(self) -> None:
        self._are_bare = False

    def on_condition(
        self, key: str, version: str, request: Callable[[Any, str], T]
    ) -> Callable[[Any], T]:
        """A request on condition that an object has a version.

        Args:
            key: Key of the object.
            version: Its entity tag, as the store has told it.
            request: Makes the request with a client and an entity tag; what it returns is false if
                the store has refused it.
        """
        bare = version.strip('"')

        def ask(client: Any) -> T:  # noqa: ANN401
            if self._are_bare:
                return request(client, bare)
            done = request(client, version)
            if not done and bare != version and client.head(key)["e_tag"] == version:
                self._are_bare = True  # also if the answer to this is lost
                done = request(client, bare)
                self._are_bare = bool(done)
            return done

        return ask
