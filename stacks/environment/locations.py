"""The locations of an environment file: where logs, dataset and state lie."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt

from cloudtrail_parquet.contract import LOGS_ROOT
from stacks.environment.types import (
    AccountId,
    BucketName,
    KeyArn,
    Prefix,
    Reader,
    Region,
    SourceBucketName,
    StorageClass,
    distinct,
    legal,
    number,
)

MAX_READERS, MAX_READERS_CHARACTERS = 50, 5000
"""A bucket's policy names each three times, and has 20 kB at most (S3 User Guide, "Bucket policy
examples")."""


class Table(BaseModel):
    """A table of the file, which refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BucketLocation(Table):
    """A folder of a bucket.

    Attributes:
        bucket: Name of the bucket.
        prefix: The folder; empty for the whole bucket.
        region: Region of the bucket; that of the environment unless given.
        account: Owner of the bucket; one of that name in an account not named here is never used.
    """

    bucket: BucketName
    prefix: Prefix = ""
    region: Region | None = None
    account: AccountId | None = None

    def uri(self, **parameters: str | None) -> str:
        """The URI that the converter accepts; a parameter that is ``None`` is left out."""
        given = [f"{name}={value}" for name, value in parameters.items() if value]
        path = f"{self.bucket}/{self.prefix}".rstrip("/")
        return f"s3://{path}{'?' if given else ''}{'&'.join(given)}"

    def lies_in(self, other: "BucketLocation") -> bool:
        """Whether this is the other location or a folder below it."""
        outer = f"{other.prefix}/" if other.prefix else ""
        return self.bucket == other.bucket and f"{self.prefix}/".startswith(outer)


class SourceLocation(BucketLocation):
    """A folder with logs, at or above ``AWSLogs``.

    Attributes:
        bucket: Name of the bucket, which may be older than rules about names.
        prefix: The folder; empty for the whole bucket.
        kms_keys: Keys of log files that are encrypted with SSE-KMS.
        requester_pays: Whether readers of the bucket pay for requests and transfer.
    """

    bucket: SourceBucketName
    prefix: Annotated[
        Prefix,
        legal(
            lambda prefix: LOGS_ROOT not in prefix.split("/")[:-1],
            f"at or above {LOGS_ROOT}, whose accounts and regions are all read",
        ),
    ] = ""
    kms_keys: tuple[KeyArn, ...] = ()
    requester_pays: StrictBool = False


class OutputLocation(BucketLocation):
    """The folder that receives the dataset or its state.

    Attributes:
        kms_key: Encrypts what is written; the bucket's default encryption unless given.
        create: Whether this stack creates the bucket.
        prevent_destroy: Whether Terraform refuses to destroy a created bucket.
        noncurrent_days: How long a created bucket keeps replaced objects.
    """

    kms_key: KeyArn | None = None
    create: StrictBool = False
    prevent_destroy: StrictBool = False
    noncurrent_days: Annotated[StrictInt, number(1, 3650, "days")] = 30


class DatasetLocation(OutputLocation):
    """The folder that receives the dataset; of a created bucket also who reads it, and how long.

    Attributes:
        readers: Roles and accounts that may read it, if their own policies let them.
        tiers: Days after which a part goes to a storage class that costs less to keep, by class.
        expire_days: Days after which a part is removed; kept for ever unless given.
    """

    readers: Annotated[
        tuple[Reader, ...],
        legal(
            lambda readers: (
                distinct(readers)
                and len(readers) <= MAX_READERS
                and sum(map(len, readers)) <= MAX_READERS_CHARACTERS
            ),
            f"each reader once, {MAX_READERS} at most, of {MAX_READERS_CHARACTERS:,} characters",
        ),
    ] = ()
    tiers: dict[StorageClass, Annotated[StrictInt, number(1, 36_500, "days")]] = {}
    expire_days: Annotated[StrictInt, number(1, 36_500, "days")] | None = None
