"""A bucket for the dataset or its state, where the environment asks to create it."""

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
    S3BucketOwnershipControls,
    S3BucketPolicy,
    S3BucketPublicAccessBlock,
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
    S3BucketVersioningA,
)
from stacks.environment.locations import OutputLocation
from stacks.iam.roles import policy_document
from stacks.iam.statements import tls_only


class OutputBucket(Construct):
    """A bucket: private, encrypted, versioned, for TLS only.

    Terraform does not destroy it while it holds an object; with ``prevent_destroy``, not at all.
    """

    def __init__(self, scope: Construct, id_: str, location: OutputLocation) -> None:
        super().__init__(scope, id_)
        bucket = S3Bucket(
            self,
            "this",
            bucket=location.bucket,
            lifecycle={"prevent_destroy": True} if location.prevent_destroy else None,
        )
        self._make_private(bucket)
        self._encrypt(bucket, location.kms_key)
        self._keep_versions(bucket, location.noncurrent_days)

    def _make_private(self, bucket: S3Bucket) -> None:
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
            policy=policy_document(self, "access", [tls_only("s3:*", *resources)]),
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

    def _keep_versions(self, bucket: S3Bucket, days: int) -> None:
        """Keep replaced objects for some days."""
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
            rule=[unfinished_uploads, replaced_objects],
            depends_on=[versioning],
        )


def _rule(id_: str, **actions: Any) -> S3BucketLifecycleConfigurationRule:  # noqa: ANN401
    return S3BucketLifecycleConfigurationRule(
        id=id_,
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
        **actions,
    )
