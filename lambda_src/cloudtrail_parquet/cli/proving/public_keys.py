"""The option ``--public-keys``, and CloudTrail's answers where it is not given."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cloudtrail_parquet.backfill.aws import client_of, explained
from cloudtrail_parquet.cli.output import note
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.public_keys import PublicKey, PublicKeys
from cloudtrail_parquet.errors import CloudTrailParquetError, system_errors

_WHERE = "cloudtrail:ListPublicKeys"
_BEGAN = datetime(2015, 9, 1, tzinfo=UTC)  # CloudTrail release notes: log file validation
_UNCHECKED = "signatures are not checked: name CloudTrail's public keys with --public-keys"

KeyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--public-keys",
        metavar="FILE",
        help="CloudTrail's public keys, as aws cloudtrail list-public-keys prints them; repeat it "
        "for more regions. By default CloudTrail is asked, if there are credentials.",
    ),
]


def public_keys(
    paths: Iterable[Path] | None, regions: Iterable[str], period: Period
) -> PublicKeys | None:
    """The public keys of files, or else those that CloudTrail names.

    Args:
        paths: The files.
        regions: The regions that digest files were delivered for.
        period: The time of the digest files.

    Returns:
        None if nobody knows any, which is noted.

    Raises:
        UsageError: A file does not hold public keys.
        LocationError: A file cannot be read.
    """
    if paths:
        return PublicKeys.of_files((str(path), _read(path)) for path in paths)
    if not _has_credentials():
        note(_UNCHECKED)
        return None
    try:
        keys = [key for region in sorted(set(regions)) for key in _asked(region, period)]
    except CloudTrailParquetError as error:
        note(f"{_UNCHECKED} ({error})")
        return None
    return PublicKeys(keys)


def _read(path: Path) -> bytes:
    with system_errors("read", path):
        return path.read_bytes()


def _has_credentials() -> bool:
    import boto3  # noqa: PLC0415 - a quarter of a second

    try:
        with explained(_WHERE):
            return boto3.Session().get_credentials() is not None
    except CloudTrailParquetError:
        return False


def _asked(region: str, period: Period) -> list[PublicKey]:
    """The keys that CloudTrail used in a region."""
    begin, end = max(period.begin, _BEGAN), min(period.end, datetime.now(UTC))
    with client_of("cloudtrail", f"{_WHERE} {region}", region) as client, explained(_WHERE):
        pages = client.get_paginator("list_public_keys").paginate(StartTime=begin, EndTime=end)
        return [_key(entry, region) for page in pages for entry in page["PublicKeyList"]]


def _key(entry: dict[str, object], region: str) -> PublicKey:
    value, start, end = (entry[name] for name in ("Value", "ValidityStartTime", "ValidityEndTime"))
    return PublicKey(
        str(entry["Fingerprint"]),
        base64.b64encode(value).decode() if isinstance(value, bytes) else str(value),
        start if isinstance(start, datetime) else None,
        end if isinstance(end, datetime) else None,
        region,
    )
