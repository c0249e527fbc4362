"""Conditional removal from a bucket, which the client does not offer."""

from datetime import timedelta
from typing import Any, Literal

import obstore
import obstore.exceptions
import obstore.store

from cloudtrail_parquet.clock import SYSTEM_CLOCK, Clock

_REMOVE_S = 30
_SIGNED_FOR = timedelta(minutes=15)  # as long as other signatures: clocks may differ by that
_FORBIDDEN, _NOT_FOUND, _CONFLICT, _PRECONDITION_FAILED = 403, 404, 409, 412
_TOO_MANY, _SERVER_ERROR = 429, 500


def remove_if(client: Any, key: str, version: str, clock: Clock = SYSTEM_CLOCK) -> bool:  # noqa: ANN401
    """Remove an object on condition that it has a version.

    The client has no conditional removal, so it only signs the request, and what it would retry is
    retried here, as often. Stores that do not know ``If-Match`` for removals remove the object
    whatever its version.

    Source: Amazon S3 User Guide, "How to perform conditional deletes".

    Returns:
        Whether it is gone; False when it has another version, with some stores also when it is not
        there.

    Raises:
        PermissionDeniedError: The store refused, perhaps because there is no such object.
        GenericError: Something else is wrong, or the store did not answer.
    """
    patience = client.retry_config
    pauses, longest = patience["backoff"], patience["backoff"]["max_backoff"].total_seconds()
    pause = pauses["init_backoff"].total_seconds()
    for _ in range(patience["max_retries"]):
        try:
            return _remove_once(client, key, version)
        except _PassingError:
            clock.sleep(clock.draw(pause / 2, pause))
            pause = min(pause * pauses["base"], longest)
    return _remove_once(client, key, version)


class _PassingError(obstore.exceptions.GenericError):
    """An error that may pass at another attempt."""


def _remove_once(client: Any, key: str, version: str) -> bool:  # noqa: ANN401
    import urllib.error  # noqa: PLC0415 - slow to import, and only replacing needs it
    import urllib.request  # noqa: PLC0415
    from http.client import HTTPException  # noqa: PLC0415

    url = signed_url(client, "DELETE", key)
    request = urllib.request.Request(url, method="DELETE", headers={"If-Match": version})  # noqa: S310
    try:
        with urllib.request.build_opener().open(request, timeout=_REMOVE_S):
            return True
    except urllib.error.HTTPError as error:
        if error.code == _PRECONDITION_FAILED:
            return False
        text = _body_of(error)
        if error.code == _NOT_FOUND and "NoSuchBucket" not in text:
            return True
        what = text or f"status code: {error.code} {error.reason}"
        if error.code == _FORBIDDEN:
            raise obstore.exceptions.PermissionDeniedError(what) from error
        if error.code >= _SERVER_ERROR or error.code in {_CONFLICT, _TOO_MANY}:
            raise _PassingError(what) from error
        raise obstore.exceptions.GenericError(what) from error
    except (OSError, HTTPException) as error:
        # Neither contains the URL, which is as good as a password while its signature is valid.
        raise _PassingError(f"no answer ({error})") from error


def _body_of(error: Any) -> str:  # noqa: ANN401 - an HTTPError
    from http.client import HTTPException  # noqa: PLC0415 - slow to import

    try:
        return str(error.read().decode(errors="replace"))
    except (OSError, HTTPException):
        return ""


def signed_url(client: Any, method: Literal["DELETE", "HEAD"], key: str) -> str:  # noqa: ANN401
    """The URL that removes an object or looks at it: signed, unless the client signs nothing."""
    if client.config.get("skip_signature") != "true":
        return str(obstore.sign(client, method, key, _SIGNED_FOR))
    kept = ("region", "endpoint", "virtual_hosted_style_request")
    config: Any = {name: client.config[name] for name in kept if name in client.config}
    config |= {"aws_endpoint_url_s3": config["endpoint"]}
    config |= {"access_key_id": "nobody", "secret_access_key": "nobody"}
    nobody = obstore.store.S3Store(client.config["bucket"], prefix=client.prefix, config=config)
    return str(obstore.sign(nobody, method, key, _SIGNED_FOR)).partition("?")[0]
