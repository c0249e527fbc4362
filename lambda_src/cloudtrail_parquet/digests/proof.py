"""Prove a case offline: an event, its log file, and the digest file that CloudTrail has signed.

    python verify.py CASE [--public-keys FILE]

CASE is the zip file, or the folder into which it was unpacked. Python 3.11 and `cryptography` are
all that this needs; it reads nothing else and asks nobody. Exit status: 0 everything is proved; 1
something is not as it was; 2 wrong usage; 3 nothing is wrong, but not everything is proved.

Sources: AWS CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations
of CloudTrail log file integrity validation"; AWS CLI, cloudtrail validate-logs.
"""

import base64
from functools import lru_cache
from typing import Any

SUMS = "SHA256SUMS"
CASE = "case.json"
KEYS = "public-keys.json"
RECORD = "record.json"
REDACTED = "[redacted]"

Case = dict[str, bytes]
"""The members of a case, by name."""


def signed_text(end: str, location: str, sha256: str, previous_signature: str | None) -> bytes:
    """What CloudTrail signs of a digest file.

    Args:
        end: Its ``digestEndTime``.
        location: ``digestS3Bucket``, a slash and ``digestS3Object``.
        sha256: Of its text, which is not gzipped, in hexadecimal.
        previous_signature: Its ``previousDigestSignature``.
    """
    return "\n".join((end, location, sha256, previous_signature or "null")).encode()


def is_signed(public_key: str, text: bytes, signature: str) -> bool:
    """Whether a signature is that of a text: RSA, PKCS #1 v1.5, with SHA-256.

    Args:
        public_key: An RSAPublicKey of PKCS #1, DER in base64, as ListPublicKeys gives it.
        text: What was signed.
        signature: In hexadecimal.

    Raises:
        ValueError: This is not such a key.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - few commands need it
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        _loaded(public_key).verify(bytes.fromhex(signature), text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(256)
def _loaded(public_key: str) -> Any:  # noqa: ANN401 - an RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    key = load_der_public_key(base64.b64decode(public_key, validate=True))
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key


def check_key(public_key: str) -> None:
    """Make sure that a text is a public key, as `is_signed` takes it.

    Raises:
        ValueError: It is not.
    """
    try:
        _loaded(public_key)
    except (TypeError, ValueError) as error:
        raise ValueError("not an RSAPublicKey of PKCS #1 in base64") from error
