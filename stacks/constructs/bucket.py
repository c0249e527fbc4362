"""A bucket for the dataset or its state, when one is to be made."""

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
from stacks.environment.fields import OutputLocation
from stacks.iam.roles import policy_document
from stacks.iam.statements import tls_only


class OutputBucket(Construct):
    """A bucket: private, encrypted, versioned, for TLS only.

    Terraform does not destroy it while anything is in it.
    """

    def __init__(self, scope: Construct, id_: str, location: OutputLocation) -> None:
        super().__init__(scope, id_)
        bucket = S3Bucket(self, "this", bucket=location.bucket)
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
        S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    apply_server_side_encryption_by_default=S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                        sse_algorithm="aws:kms" if location.kms_key else "AES256",
                        kms_master_key_id=location.kms_key,
                    ),
                    bucket_key_enabled=True if location.kms_key else None,
                )
            ],
        )
        versioning = S3BucketVersioningA(
            self, "versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=bucket.id,
            rule=[
                _rule(  # of versions that uploaded large parts in pieces
                    "unfinished-uploads",
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                            days_after_initiation=1
                        )
                    ],
                ),
                _rule(
                    "replaced-objects",
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
                            noncurrent_days=location.noncurrent_days
                        )
                    ],
                    expiration=[
                        S3BucketLifecycleConfigurationRuleExpiration(
                            expired_object_delete_marker=True
                        )
                    ],
                ),
            ],
            depends_on=[versioning],
        )
        resources = (bucket.arn, f"{bucket.arn}/*")
        S3BucketPolicy(
            self,
            "policy",
            bucket=bucket.id,
            policy=policy_document(self, "access", [tls_only("s3:*", *resources)]),
            depends_on=[block],
        )


def _rule(id_: str, **actions: Any) -> S3BucketLifecycleConfigurationRule:  # noqa: ANN401
    return S3BucketLifecycleConfigurationRule(
        id=id_,
        status="Enabled",
        filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
        **actions,
    )
