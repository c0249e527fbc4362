"""Key pairs that are made of a seed: no secret, and the same wherever they are made."""

import base64
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from random import Random
from typing import Any

_EXPONENT = 65_537
_PRIME_BITS = 1024
_ROUNDS = 8  # of Miller and Rabin; for random numbers of this size 3 are enough
_SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


class SigningKey:
    """A key pair of one region, which is the same for the same seed.

    Attributes:
        region: The region.
    """

    def __init__(self, seed: int, region: str) -> None:
        self.region = region
        rng = Random(f"{seed}/digests/{region}")  # noqa: S311 - no secret
        self._primes = _prime(rng), _prime(rng)

    @cached_property
    def _private(self) -> Any:  # noqa: ANN401 - an RSAPrivateKey
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - seldom needed

        p, q = self._primes
        d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
        public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
        dmp1, dmq1 = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q)
        numbers = rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, rsa.rsa_crt_iqmp(p, q), public)
        return numbers.private_key()

    @cached_property
    def public(self) -> bytes:
        """The public key: an RSAPublicKey of PKCS #1, DER."""
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            Encoding,
            PublicFormat,
        )

        public: bytes = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return public

    @property
    def fingerprint(self) -> str:
        """Its name: 32 hexadecimal digits."""
        return sha256(self.public).hexdigest()[:32]

    def sign(self, text: bytes) -> str:
        """The signature of a text, in hexadecimal."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        signature: bytes = self._private.sign(text, PKCS1v15(), SHA256())
        return signature.hex()

    def to_json(self, start: datetime, end: datetime) -> dict[str, str]:
        """The public key as ``aws cloudtrail list-public-keys`` prints it, and its region."""
        return {
            "Value": base64.b64encode(self.public).decode(),
            "ValidityStartTime": start.isoformat(),
            "ValidityEndTime": end.isoformat(),
            "Fingerprint": self.fingerprint,
            "Region": self.region,
        }


def _prime(rng: Random) -> int:
    """A prime of 1,024 bits, of which the two highest are set, and which fits the exponent."""
    while True:
        n = rng.getrandbits(_PRIME_BITS) | 3 << _PRIME_BITS - 2 | 1
        if n % _EXPONENT != 1 and all(n % small for small in _SMALL_PRIMES) and _is_prime(n, rng):
            return n


def _is_prime(n: int, rng: Random) -> bool:
    twos = (n - 1 & 1 - n).bit_length() - 1
    return all(_may_be_prime(n, twos, rng.randrange(2, n - 1)) for _ in range(_ROUNDS))


def _may_be_prime(n: int, twos: int, base: int) -> bool:
    """The test of Miller and Rabin with one base."""
    power = pow(base, n - 1 >> twos, n)
    if power in {1, n - 1}:
        return True
    return any((power := pow(power, 2, n)) == n - 1 for _ in range(twos - 1))
