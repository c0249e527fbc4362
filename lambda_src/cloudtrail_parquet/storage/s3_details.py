"""What S3 tells of an object beside its content, which the client does not hand over.

Source: Amazon S3 API Reference, HeadObject.
"""

from typing import Any

import obstore.exceptions

from cloudtrail_parquet.storage.interface import Details
from cloudtrail_parquet.storage.s3_removal import signed_url

_ASK_S = 30
_IN_ARCHIVE = ("GLACIER", "DEEP_ARCHIVE")


def details_of(client: Any, key: str) -> Details:  # noqa: ANN401
    """Ask S3 how an object is stored.

    Raises:
        GenericError: It did not answer, or refused.
    """
    import urllib.error  # noqa: PLC0415 - as below
    import urllib.request  # noqa: PLC0415 - slow to import, and only some plans need it
    from http.client import HTTPException  # noqa: PLC0415

    request = urllib.request.Request(signed_url(client, "HEAD", key), method="HEAD")  # noqa: S310
    try:
        with urllib.request.build_opener().open(request, timeout=_ASK_S) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        error.close()
        what = f"status code: {error.code} {error.reason}"
        raise obstore.exceptions.GenericError(what) from error
    except (OSError, HTTPException) as error:  # neither contains the URL, as good as a password
        raise obstore.exceptions.GenericError(f"no answer ({error})") from error
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    tier = headers.get("x-amz-archive-status", "")
    is_restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    encryption = headers.get("x-amz-server-side-encryption", "")
    has_bucket_key = headers.get("x-amz-server-side-encryption-bucket-key-enabled", "") == "true"
    return Details(
        storage_class=tier or storage_class,
        is_archived=(bool(tier) or storage_class in _IN_ARCHIVE) and not is_restored,
        needs_kms=encryption.startswith("aws:kms") and not has_bucket_key,
    )
