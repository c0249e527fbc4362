"""The fields of an environment's Athena workgroup."""

from typing import Annotated

from pydantic import StrictInt

from stacks.environment.locations import BucketLocation, Table
from stacks.environment.types import AccountId, BucketName, KeyArn, Prefix, number


class WorkgroupSettings(Table):
    """The Athena workgroup, with the investigations of ``queries/`` as named queries.

    Attributes:
        bucket: Receives results; it exists, in the region of the function.
        prefix: The folder of results.
        account: Owner of that bucket; results never go to a bucket of that name in another account.
        kms_key: Encrypts results; S3's own key unless given.
        max_query_bytes: A query that reads more is cancelled; the provider takes 10 MiB or more.
    """

    bucket: BucketName
    prefix: Prefix = "athena"
    account: AccountId | None = None
    kms_key: KeyArn | None = None
    max_query_bytes: Annotated[StrictInt, number(10_485_760, 10**15, "bytes")] = 10**12

    @property
    def results(self) -> BucketLocation:
        """Where Athena writes."""
        return BucketLocation(bucket=self.bucket, prefix=self.prefix)
