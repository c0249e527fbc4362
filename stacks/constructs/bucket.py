"""A bucket for the dataset or its state, where the environment asks to create it."""

from collections.abc import Iterator
from typing import Any

from stacks.cdk import (
    Construct,
    S3Bucket,
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
    S3BucketLifecycleConfigurationRuleTransition,
    S3BucketOwnershipControls,
    S3BucketPolicy,
    S3BucketPublicAccessBlock,
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
    S3BucketVersioningA,
)
from stacks.environment.locations import DatasetLocation, OutputLocation
from stacks.iam.readers import reader_statements
from stacks.iam.roles import policy_document
from stacks.iam.statements import Aws, Statement, tls_only


class OutputBucket(Construct):
    """A bucket: private, encrypted, versioned, for TLS only.

    Terraform does not destroy it while it holds an object; with ``prevent_destroy``, not at all.
    """

    def __init__(self, scope: Construct, id_: str, location: OutputLocation, aws: Aws) -> None:
        super().__init__(scope, id_)
        bucket = S3Bucket(
            self,
            "this",
            bucket=location.bucket,
            lifecycle={"prevent_destroy": True} if location.prevent_destroy else None,
        )
        readers = list[Statement]()
        if isinstance(location, DatasetLocation):
            readers += reader_statements(location, bucket.arn, aws.partition)
        self._make_private(bucket, readers)
        self._encrypt(bucket, location.kms_key)
        self._keep(bucket, location)

    def _make_private(self, bucket: S3Bucket, readers: list[Statement]) -> None:
        """Let nobody in but this account, and readers."""
        block = S3BucketPublicAccessBlock(
            self,
            "public_access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketOwnershipControls(
            self, "ownership", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}
        )
        resources = (bucket.arn, f"{bucket.arn}/*")
        S3BucketPolicy(
            self,
            "policy",
            bucket=bucket.id,
            policy=policy_document(self, "access", [tls_only("s3:*", *resources), *readers]),
            depends_on=[block],
        )

    def _encrypt(self, bucket: S3Bucket, kms_key: str | None) -> None:
        S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    apply_server_side_encryption_by_default=S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                        sse_algorithm="aws:kms" if kms_key else "AES256",
                        kms_master_key_id=kms_key,
                    ),
                    bucket_key_enabled=True if kms_key else None,
                )
            ],
        )

    def _keep(self, bucket: S3Bucket, location: OutputLocation) -> None:
        """Keep replaced objects for some days, and the others as the environment says."""
        days = location.noncurrent_days
        versioning = S3BucketVersioningA(
            self, "versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
        )
        unfinished_uploads = _rule(  # of versions that uploaded large parts in pieces
            "unfinished-uploads",
            abort_incomplete_multipart_upload=[
                S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                    days_after_initiation=1
                )
            ],
        )
        replaced_objects = _rule(
            "replaced-objects",
            noncurrent_version_expiration=[
                S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=days)
            ],
            expiration=[
                S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)
            ],
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=bucket.id,
            rule=[unfinished_uploads, replaced_objects, *_of_dataset(location)],
            depends_on=[versioning],
        )


def _of_dataset(location: OutputLocation) -> Iterator[S3BucketLifecycleConfigurationRule]:
    if not isinstance(location, DatasetLocation) or not (location.tiers or location.expire_days):
        return
    expiration = S3BucketLifecycleConfigurationRuleExpiration(days=location.expire_days)
    yield _rule(
        "dataset",
        f"{location.prefix}/" if location.prefix else "",
        transition=[
            S3BucketLifecycleConfigurationRuleTransition(storage_class=name, days=days)
            for name, days in location.tiers.items()
        ]
        or None,
        expiration=[expiration] if location.expire_days else None,
    )


def _rule(id_: str, prefix: str = "", **actions: Any) -> S3BucketLifecycleConfigurationRule:  # noqa: ANN401
    return S3BucketLifecycleConfigurationRule(
        id=id_,
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=prefix)],
        **actions,
    )
