"""Prove a case offline: an event, its log file, and the digest file that CloudTrail has signed.

    python verify.py CASE [--public-keys FILE]

CASE is the zip file, or the folder into which it was unpacked. Python 3.11 and `cryptography` are
all that this needs; it reads nothing else and asks nobody. Exit status: 0 everything is proved; 1
something is not as it was; 2 wrong usage; 3 nothing is wrong, but not everything is proved.

Sources: AWS CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations
of CloudTrail log file integrity validation"; AWS CLI, cloudtrail validate-logs.
"""

import base64
import gzip
import hashlib
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

SUMS = "SHA256SUMS"
CASE = "case.json"
LOG_FILE = "log-file.json.gz"
DIGEST = "digest.json.gz"
NEXT_DIGEST = "next-digest.json.gz"
RECORD = "record.json"
RECEIPT = "receipt.json"
KEYS = "public-keys.json"

_REDACTED = "[redacted]"
_TAIL = 7  # ACCOUNT/FOLDER/REGION/YYYY/MM/DD/NAME
_GZIP = b"\x1f\x8b"
_PROVED, _WRONG, _USAGE, _NOT_PROVED = range(4)
_MISUNDERSTOOD = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)

Members = Mapping[str, bytes]
"""The files of a case, by name."""


class Step(NamedTuple):
    """A step of a proof: ``proved``, ``wrong`` or ``not proved``, and what that is said of."""

    status: str
    what: str


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
    """Whether a signature is that of a text: RSA, PKCS #1 v1.5, with SHA-256; False if it is none.

    Args:
        public_key: An RSAPublicKey of PKCS #1, DER in base64, as ListPublicKeys gives it.
        text: What was signed.
        signature: In hexadecimal.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - few commands need it
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        loaded(public_key).verify(bytes.fromhex(signature), text, PKCS1v15(), SHA256())
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


@lru_cache(256)
def loaded(public_key: str) -> Any:  # noqa: ANN401 - an RSAPublicKey
    """The public key of a text, as `is_signed` takes it; TypeError or ValueError if it is none."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    key = load_der_public_key(base64.b64decode(public_key, validate=True))
    if not isinstance(key, RSAPublicKey):
        raise TypeError("not an RSA key")
    return key


def sums_of(members: Members) -> bytes:
    """The SHA-256 of each file, as ``sha256sum`` writes and checks them."""
    lines = (f"{_sha256(members[name])}  {name}\n" for name in sorted(members) if name != SUMS)
    return "".join(lines).encode()


def is_same(delivered: Any, record: Any, redacted: list[str], path: str = "") -> bool:  # noqa: ANN401
    """Whether a record of the dataset is one that was delivered.

    Null members do not count; numbers are compared digit by digit, see `parsed`.

    Args:
        delivered: The record in the log file, or a value in it.
        record: That of the dataset.
        redacted: Receives the paths of values that are redacted in the dataset.
        path: That of the values.
    """
    if isinstance(delivered, dict) and isinstance(record, dict):
        one, other = (
            {name: value for name, value in members.items() if value is not None}
            for members in (delivered, record)
        )
        return one.keys() == other.keys() and all(
            is_same(one[name], other[name], redacted, f"{path}.{name}".lstrip(".")) for name in one
        )
    if isinstance(delivered, list) and isinstance(record, list):
        return len(delivered) == len(record) and all(
            is_same(*pair, redacted, f"{path}[{number}]")
            for number, pair in enumerate(zip(delivered, record, strict=True))
        )
    if record == _REDACTED and delivered != record:
        redacted.append(path)
        return True
    return type(delivered) is type(record) and bool(delivered == record)


class _Number(str):
    """The text of a number."""

    __slots__ = ()


def parsed(text: bytes) -> Any:  # noqa: ANN401
    """JSON text whose numbers stay what they are, digit by digit; no member hides another.

    Raises:
        ValueError: It is something else.
    """

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        return found if len(found) == len(pairs) else found | {"": [list(each) for each in pairs]}

    return json.loads(text, parse_int=_Number, parse_float=_Number, object_pairs_hook=members)


def text_of(data: bytes) -> bytes:
    """The text of a file, which is gzipped or not.

    Raises:
        ValueError: It is damaged.
    """
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"the gzip stream is damaged ({error})") from error


def prove(members: Members, keys: bytes | None = None) -> Iterator[Step]:
    """Prove a case, step by step.

    Args:
        members: Its files.
        keys: Public keys to use in place of those in the case.
    """
    steps: tuple[tuple[str, Callable[[], Iterator[Step]]], ...] = (
        ("its files", lambda: _prove_sums(members)),
        ("its record", lambda: _prove_record(members)),
        ("its log file", lambda: _prove_log_file(members)),
        ("its digest file", lambda: _prove_signature(members, keys)),
        ("its part", lambda: _prove_part(members)),
    )
    for what, step in steps:
        try:
            yield from step()
        except _MISUNDERSTOOD as error:
            yield Step("wrong", f"{what} cannot be understood ({type(error).__name__}: {error})")


def _prove_sums(members: Members) -> Iterator[Step]:
    listed = dict(line.split("  ", 1)[::-1] for line in members[SUMS].decode().splitlines())
    for name in sorted(members.keys() - listed.keys() - {SUMS}):
        yield Step("wrong", f"{name} is not in {SUMS}")
    for name, digest in listed.items():
        if name not in members:
            yield Step("wrong", f"{name} is missing")
        elif _sha256(members[name]) != digest:
            yield Step("wrong", f"{name} is not what {SUMS} says")
    if sums_of(members) == members[SUMS]:
        yield Step("proved", f"all files are those of {SUMS}")
    else:
        yield Step("wrong", f"{SUMS} is not that of the files")


def _prove_record(members: Members) -> Iterator[Step]:
    case = json.loads(members[CASE])
    records, number = parsed(text_of(members[LOG_FILE]))["Records"], case["record"]
    record, redacted = parsed(members[RECORD]), list[str]()
    if record.get("eventID") != case["event_id"]:
        yield Step("wrong", f"{RECORD} is of another event than {case['event_id']}")
    if not is_same(records[number], record, redacted):
        yield Step("wrong", f"{RECORD} differs from record {number} of {LOG_FILE}")
        return
    yield Step("proved", f"{RECORD}, of the dataset, is record {number} of {LOG_FILE}")
    if redacted:
        yield Step("not proved", f"values that the dataset redacts: {', '.join(redacted)}")


def _prove_log_file(members: Members) -> Iterator[Step]:
    if DIGEST not in members:
        yield Step("not proved", "no digest file names the log file")
        return
    tail = _tail(json.loads(members[CASE])["log_file"])
    logs = json.loads(text_of(members[DIGEST]))["logFiles"]
    hashes = [log["hashValue"].lower() for log in logs if _tail(log["s3Object"]) == tail]
    if not hashes:
        yield Step("wrong", f"{DIGEST} does not name {tail}")
    elif _sha256(text_of(members[LOG_FILE])) not in hashes:
        yield Step("wrong", f"the text of {LOG_FILE} has another hash than {DIGEST} says")
    else:
        yield Step("proved", f"{LOG_FILE} is what {DIGEST} names")


def _prove_signature(members: Members, keys: bytes | None) -> Iterator[Step]:
    if DIGEST not in members:
        return
    text, case = text_of(members[DIGEST]), json.loads(members[CASE])
    digest = json.loads(text)
    signatures = [case["signature"]] if case.get("signature") else []
    if NEXT_DIGEST in members:
        following = json.loads(text_of(members[NEXT_DIGEST]))
        signatures.append(following["previousDigestSignature"])
        is_linked = _tail(following["previousDigestS3Object"]) == _tail(digest["digestS3Object"])
        if not is_linked or following["previousDigestHashValue"].lower() != _sha256(text):
            yield Step("wrong", f"{NEXT_DIGEST} does not follow {DIGEST}")
    key = _key(members[KEYS] if keys is None else keys, digest)
    if isinstance(key, Step):
        yield key
        return
    location = f"{digest['digestS3Bucket']}/{digest['digestS3Object']}"
    previous = digest["previousDigestSignature"]
    signed = signed_text(digest["digestEndTime"], location, _sha256(text), previous)
    right = [is_signed(key["Value"], signed, signature) for signature in signatures]
    name = f"{digest['digestPublicKeyFingerprint']} signed {DIGEST}, of {location}"
    if not right:
        yield Step("not proved", f"the signature of {DIGEST}: it is in its metadata alone")
    elif all(right):
        yield Step("proved", f"whoever holds the private key of {name}")
    else:
        yield Step("wrong", f"nobody who holds the private key of {name}, as it is here")


def _key(keys: bytes, digest: dict[str, Any]) -> dict[str, Any] | Step:
    """The public key that a digest file names."""
    found = json.loads(keys)
    entries = found["PublicKeyList"] if isinstance(found, dict) else found
    fingerprint = digest["digestPublicKeyFingerprint"]
    named = [entry for entry in entries if entry["Fingerprint"] == fingerprint]
    if not named:
        return Step("not proved", f"the signature: there is no public key {fingerprint}")
    region = _tail(digest["digestS3Object"]).split("/")[2]
    if named[0].get("Region") not in {None, "", region}:
        return Step("wrong", f"the public key {fingerprint} is not one of {region}")
    return dict(named[0])


def _prove_part(members: Members) -> Iterator[Step]:
    case, receipt = json.loads(members[CASE]), json.loads(members.get(RECEIPT, b"{}"))
    part = case["part"]
    entries = [entry for entry in receipt.get("parts", ()) if entry["key"] == part["key"]]
    if not entries:
        yield Step("not proved", f"that the conversion wrote {part['key']}: no receipt names it")
    elif entries[0].get("sha256", part["sha256"]) != part["sha256"]:
        yield Step("wrong", f"{part['key']} is not the part that {RECEIPT} names")
    elif not entries[0].get("sha256"):
        yield Step("not proved", f"that {part['key']} is as it was: its receipt has no hash of it")
    else:
        yield Step("proved", f"{part['key']} is the part that {RECEIPT} names")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tail(key: str) -> str:
    return "/".join(key.split("/")[-_TAIL:])


def members_of(path: Path) -> dict[str, bytes]:
    """The files of a case, which is a zip file or a folder.

    Raises:
        OSError, ValueError: It is neither.
    """
    if path.is_dir():
        return {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()}
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
            if len(set(names)) != len(names):
                raise ValueError("a name is there twice")
            return {name: file.read(name) for name in names}
    except (RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"no zip file, or a damaged one ({error})") from error


def main(arguments: list[str]) -> int:
    """Prove the case that the command line names, and print each step; returns the exit status."""
    path, *options = arguments or [""]
    if not path or options[:1] not in ([], ["--public-keys"]) or len(options) not in {0, 2}:
        sys.stderr.write("usage: python verify.py CASE [--public-keys FILE]\n")
        return _USAGE
    try:
        keys = Path(options[1]).read_bytes() if options else None
        steps = list(prove(members_of(Path(path)), keys))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE
    except ValueError as error:
        steps = [Step("wrong", f"{path}: {error}")]
    for step in steps:
        sys.stdout.write(f"{step.status}: {_printable(step.what)}\n")
    return status_of(steps)


def _printable(text: str) -> str:
    """A text without what could end its line, or move a terminal's cursor over another one."""
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)


def status_of(steps: list[Step]) -> int:
    """The exit status of a proof."""
    found = {step.status for step in steps}
    return _WRONG if "wrong" in found else _NOT_PROVED if "not proved" in found else _PROVED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
