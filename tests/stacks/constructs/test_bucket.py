"""Buckets are made when asked for: private, encrypted and versioned."""

from stacks.environment.fields import Environment
from tests.stacks.reading import Body, Stack, StackOf, all_of


def test_a_bucket_is_made_when_asked_for(stack: Stack, environment: Environment) -> None:
    outputs = {"dataset": environment.dataset, "state": environment.state_location}

    assert {name: one["bucket"] for name, one in all_of(stack, "aws_s3_bucket").items()} == {
        name: location.bucket for name, location in outputs.items() if location.create
    }


def test_a_bucket_that_is_made_is_private_encrypted_and_versioned(
    stack: Stack, environment: Environment
) -> None:
    outputs = {"dataset": environment.dataset, "state": environment.state_location}

    for name, bucket in all_of(stack, "aws_s3_bucket").items():
        of = {"bucket": f"${{aws_s3_bucket.{name}.id}}"}

        def part(type_: str, name: str = name) -> Body:
            return all_of(stack, f"aws_s3_bucket_{type_}")[f"{name}_{_SUFFIXES[type_]}"]

        assert not bucket.get("force_destroy")
        kept = {"prevent_destroy": True} if outputs[name].prevent_destroy else None
        assert bucket.get("lifecycle") == kept
        for flag in _PUBLIC:
            assert part("public_access_block")[flag] is True
        assert part("versioning")["versioning_configuration"] == {"status": "Enabled"}
        assert part("ownership_controls")["rule"] == {"object_ownership": "BucketOwnerEnforced"}
        (rule,) = part("server_side_encryption_configuration")["rule"]
        default = rule["apply_server_side_encryption_by_default"]
        key = outputs[name].kms_key
        assert default.get("kms_master_key_id") == key
        assert default["sse_algorithm"] == ("aws:kms" if key else "AES256")
        unfinished, replaced, *of_dataset = part("lifecycle_configuration")["rule"]
        assert len(of_dataset) == (name == "dataset" and bool(environment.dataset.expire_days))
        assert unfinished["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 1}]
        days = outputs[name].noncurrent_days
        assert replaced["noncurrent_version_expiration"] == [{"noncurrent_days": days}]
        assert all("days" not in one for one in replaced["expiration"])  # nothing current expires
        assert {type_: part(type_)["bucket"] for type_ in _SUFFIXES} == dict.fromkeys(
            _SUFFIXES, of["bucket"]
        )


_PUBLIC = (
    "block_public_acls",
    "block_public_policy",
    "ignore_public_acls",
    "restrict_public_buckets",
)
_SUFFIXES = {
    "public_access_block": "public_access",
    "versioning": "versioning",
    "ownership_controls": "ownership",
    "server_side_encryption_configuration": "encryption",
    "lifecycle_configuration": "lifecycle",
    "policy": "policy",
}


def test_parts_are_kept_where_and_for_as_long_as_the_environment_says(other: StackOf) -> None:
    lifecycles = all_of(other("everything"), "aws_s3_bucket_lifecycle_configuration")

    *_, rule = lifecycles["dataset_lifecycle"]["rule"]

    assert rule == {
        "id": "dataset",
        "status": "Enabled",
        "filter": [{"prefix": "cloudtrail/"}],  # the state would be beside it
        "transition": [
            {"storage_class": "STANDARD_IA", "days": 60},
            {"storage_class": "GLACIER_IR", "days": 120},
        ],
        "expiration": [{"days": 2557}],
    }
