"""Digest files in a bucket: their signatures are in the metadata of the objects."""

from datetime import date
from functools import partial

from mypy_boto3_s3 import S3Client

from cloudtrail_parquet.digests.check import check_digests, digested_places
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.storage import open_store
from tests.unit.digests.signed_tree import (
    SignedTree,
    keys_of,
    kinds,
    signed_tree,
    signing_key,
    wrong,
)


def put(s3: S3Client, bucket: str, tree: SignedTree) -> None:
    for key, data in tree.files.items():
        signature = tree.signatures.get(key)
        metadata = {"signature": signature or "", "signature-algorithm": "SHA256withRSA"}
        s3.put_object(Bucket=bucket, Key=key, Body=data, Metadata=metadata if signature else {})


def test_the_signature_of_each_digest_file_comes_with_its_object(bucket: str, s3: S3Client) -> None:
    tree = signed_tree(range(8), 1)
    put(s3, bucket, tree)
    opener = partial(open_store, f"s3://{bucket}")
    places = digested_places(opener(), discover(opener(), ["CloudTrail"]))
    period, keys = Period.of_days(date.min, date.max), keys_of(signing_key())

    (report,) = check_digests(opener, places, period, keys)

    assert (report.digests, report.signed, report.log_files) == (8, 8, 6)
    assert set(kinds(report.findings)) == {"moved"}

    last = tree.digests()[-1]
    tree.change_digest(last, awsAccountId="999999999999")
    put(s3, bucket, tree)

    (report,) = check_digests(opener, places, period, keys)

    assert wrong(report.findings) == [("digest altered", last)]
