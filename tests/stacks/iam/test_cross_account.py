"""What owners of buckets and keys elsewhere have to grant."""

import json
from pathlib import Path

from stacks.iam.cross_account import grants, key_grants
from tests.stacks.handover.checkouts import environment_of, terraform_of

ROLE = "arn:aws:iam::123456789012:role/trails"
"""Of the environment ``other-account``."""


def test_owners_elsewhere_get_the_statements_to_add(synthesised: Path) -> None:
    environment = environment_of("other-account", name="trails")
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    role = {"aws:PrincipalArn": ROLE}

    bucket, key = grants(terraform_of(synthesised / "other-account"), environment)

    assert (bucket.to, bucket.owner) == ("archive-logs", "210987654321")
    assert bucket.statements == [
        {
            "Sid": "CloudtrailParquetListSources1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:ListBucket",
            "Resource": "arn:aws:s3:::archive-logs",
            "Condition": {"StringLike": {"s3:prefix": "org/*"}, "ArnEquals": role},
        },
        {
            "Sid": "CloudtrailParquetReadSources1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::archive-logs/org/*AWSLogs/*/CloudTrail/*",
            "Condition": {"ArnEquals": role},
        },
    ]
    assert key.to == environment.sources[0].kms_keys[0]
    assert key.owner == "210987654321"
    assert key.statements == [
        {
            "Sid": "CloudtrailParquetDecryptSources1",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
                "ArnEquals": role,
            },
        }
    ]


def test_each_of_many_owners_gets_what_is_about_their_bucket_and_key_only(
    synthesised: Path,
) -> None:
    environment = environment_of("many-sources")

    wanted = grants(terraform_of(synthesised / "many-sources"), environment)

    assert [(one.to, one.owner) for one in wanted if one.to.startswith("log-")] == [
        (source.bucket, source.account) for source in environment.sources
    ]
    assert [(one.to, one.owner) for one in wanted if one.to.startswith("arn:")] == [
        (source.kms_keys[0], source.account) for source in environment.sources
    ]
    for one in wanted:
        name = one.to.rpartition("-")[2]
        said = {statement["Resource"] for statement in one.statements}
        assert said == (
            {"*"}
            if one.to.startswith("arn:")
            else {
                f"arn:aws:s3:::log-archive-of-account-{name}",
                f"arn:aws:s3:::log-archive-of-account-{name}/*AWSLogs/*/CloudTrail/*",
            }
        )
        assert "210987654" not in str(one.statements)


def test_the_function_s_own_account_has_nothing_to_grant(synthesised: Path) -> None:
    there = environment_of("other-account")
    own = there.sources[0].model_copy(update={"account": there.account, "kms_keys": ()})
    stack = terraform_of(synthesised / "other-account")
    policy = stack["data"]["aws_iam_policy_document"]["converter_role_access"]
    policy["statement"] = [one for one in policy["statement"] if one["sid"] != "DecryptSources1"]

    assert grants(stack, there.model_copy(update={"sources": (own,)})) == []


def test_a_dataset_elsewhere_needs_grants_for_writing(synthesised: Path) -> None:
    there = environment_of("other-account")
    location = there.dataset.model_copy(update={"account": "333333333333"})
    stack = terraform_of(synthesised / "other-account")

    wanted = grants(stack, there.model_copy(update={"dataset": location, "state": None}))

    (lake,) = [one for one in wanted if one.to == "other-lake"]
    assert lake.owner == "333333333333"
    actions = {action for one in lake.statements for action in one["Action"]}
    assert {"s3:PutObject", "s3:DeleteObject"} <= actions


def test_a_bucket_whose_owner_is_not_said_may_be_anybody_s(synthesised: Path) -> None:
    wanted = grants(terraform_of(synthesised / "minimal"), environment_of("minimal"))

    assert [(one.to, one.owner) for one in wanted] == [("org-logs", None)]
    (principal,) = {one["Principal"]["AWS"] for one in wanted[0].statements}
    assert principal == "arn:aws:iam::ACCOUNT_ID:root"


def test_grants_are_of_the_partition(synthesised: Path) -> None:
    environment = environment_of("china")
    bucket, key = grants(terraform_of(synthesised / "china"), environment)
    log, _ = key_grants(environment)

    assert "arn:aws:" not in json.dumps([bucket, key, log])
    (decrypt,) = key.statements
    via = decrypt["Condition"]["StringEquals"]["kms:ViaService"]
    assert via == "s3.cn-northwest-1.amazonaws.com.cn"
    assert log["Principal"] == {"Service": "logs.cn-north-1.amazonaws.com.cn"}
