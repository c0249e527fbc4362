"""The versions of Terraform and of its AWS provider with which a stack is applied."""

TERRAFORM = ">= 1.5.7"
ASSUMING_TERRAFORM = ">= 1.6.0"
"""For a backend with a role to assume."""

LOCKING_TERRAFORM = ">= 1.10.0"
"""For a backend that locks by a file."""

PROVIDER = "hashicorp/aws"
_MINORS_WITH_ENDLESS_DIFFERENCE = range(22, 40)
"""Versions 6.22 to 6.39 know which types of encryption a bucket blocks, and take unsaid for none.

S3 blocks SSE-C by itself, so each plan would change the encryption of each bucket again; 6.40
leaves it as it is. Sources: "Default SSE-C setting for new buckets FAQ" (S3 User Guide); versions
6.22.0 and 6.40.0 in the changelog of hashicorp/terraform-provider-aws.
"""

_PATCHES = (0, 1)
"""As many as a minor version of the provider has had; one that there is not does no harm."""

PROVIDER_VERSIONS = ", ".join(
    [
        ">= 5.100.0",
        "< 7.0.0",
        *(
            f"!= 6.{minor}.{patch}"
            for minor in _MINORS_WITH_ENDLESS_DIFFERENCE
            for patch in _PATCHES
        ),
    ]
)
"""Terraform can leave out single versions, and no ranges between others."""

PROVIDER_VERSIONS_IN_WORDS = "5.100 or newer, or 6, but not 6.22 to 6.39"
