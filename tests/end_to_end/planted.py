"""Events that investigations have to find, events that merely look like them, and what is found."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.builders import log_file, log_key, record
from tests.end_to_end.program import succeed

REGION, COPY_REGION = "us-east-1", "ap-south-1"  # of the records, and where copies lie
DAY = datetime(2026, 2, 3, tzinfo=UTC)
WEEK_BEFORE = "2026-01-27T10:00:00Z"
OWN, OTHER = "OWN-ACCOUNT", "555555555555"
"""The account of a case, whichever that is, and one that is not among them."""

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What to plant, and what a query then says of it.

    Attributes:
        found: Changes that make records which the query has to find.
        decoys: Changes that make records which it must not find.
        says: The columns and the values of the expected rows, in order.
        variables: The query's variables.
        late: Changes that make records of `DAY` delivered three days later.
        lone: Changes that make records which are delivered into one region's folders only.
        athena: The parameters of the query for Athena, if they are not the variables.
    """

    found: list[Row]
    says: tuple[list[str], list[tuple[Any, ...]]]
    decoys: list[Row] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    late: list[Row] = field(default_factory=list)
    lone: list[Row] = field(default_factory=list)
    athena: list[Any] | None = None


def iam(name: str, /, **parameters: object) -> Row:
    return {
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "requestParameters": parameters,
        "readOnly": False,
    }


def call(service: str, name: str, /, **parameters: object) -> Row:
    return iam(name, **parameters) | {"eventSource": f"{service}.amazonaws.com"}


def sign_in(answer: str, mfa: str | None, **changes: object) -> Row:
    return {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "eventType": "AwsConsoleSignIn",
        "userIdentity": user("ada"),
        "responseElements": {"ConsoleLogin": answer},
        "additionalEventData": {} if mfa is None else {"MFAUsed": mfa},
        **changes,
    }


def user(name: str, /, **members: object) -> Row:
    return {"type": "IAMUser", "userName": name, "arn": f"arn:aws:iam::1:user/{name}", **members}


def policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def assume(role: str, key: str | None = None, new: str = "", **changes: object) -> Row:
    identity = user("ada", accessKeyId=key) if key else {"type": "AWSAccount"}
    return {
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "userIdentity": identity | {"principalId": "AIDAEXAMPLE", "accountId": "111111111111"},
        "requestParameters": {"roleArn": role, "roleSessionName": "s"},
        "responseElements": {"credentials": {"accessKeyId": new}},
        **changes,
    }


def answers(key: str, session: str) -> Row:
    """The answer of a call to STS, with the key and the session that it gives out."""
    arn = f"{DEEP.replace(':iam:', ':sts:')}:assumed-role/{session}"
    answer = {"credentials": {"accessKeyId": key}, "assumedRoleUser": {"arn": arn}}
    return {"responseElements": answer}


def assumed_role(role: str, session: str, **members: object) -> Row:
    issuer = {
        "type": "Role",
        "arn": f"arn:aws:iam::{OWN}:role/{role}",
        "userName": role,
        "accountId": OWN,
    }
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{OWN}:assumed-role/{role}/{session}",
        "sessionContext": {"sessionIssuer": issuer},
        **members,
    }


def before(identity: Row) -> Row:
    return {"userIdentity": identity, "eventTime": WEEK_BEFORE}


def read_of(bucket: str, key: str, size: float | None, **changes: object) -> Row:
    data = {} if size is None else {"bytesTransferredOut": size}
    return call("s3", "GetObject", bucketName=bucket, key=key) | {
        "additionalEventData": data,
        **changes,
    }


def launch(instance_type: str, instances: int) -> Row:
    items = [{"instanceId": f"i-{n}"} for n in range(instances)]
    return call("ec2", "RunInstances", instanceType=instance_type) | {
        "responseElements": {"instancesSet": {"items": items}} if items else None
    }


def bucket_policy(principal: object, **changes: object) -> Row:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject"}
    return {"Version": "2012-10-17", "Statement": [statement | changes]}


def trust(**principal: object) -> str:
    return policy(Effect="Allow", Principal=principal, Action="sts:AssumeRole")


DENIED = {"errorCode": "AccessDenied"}
OMITTED = {"omitted": True, "originalSize": 149893, "reason": "requestParameters too large"}
ALLOW_ALL = policy(Effect="Allow", Action="*", Resource="*")
ROLE, FAR_ROLE = "arn:aws:iam::111111111111:role/near", "arn:aws:iam::222222222222:role/far"
THIRD_ROLE = "arn:aws:iam::333333333333:role/third"
WORLD = {"items": [{"fromPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}
OFFICE = {"items": [{"fromPort": 22, "ipRanges": {"items": [{"cidrIp": "203.0.113.0/24"}]}}]}
ENDLESS = {"items": [{"fromPort": 22, "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}}]}
READER = "arn:aws:iam::012345678901:role/reader"  # the caller that the builder gives
ADA = "arn:aws:iam::1:user/ada"
TRAIL = {"eventSource": "cloudtrail.amazonaws.com"}
DEEP = "arn:aws:iam::444444444444"
EVERYBODY = {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}

CASES = {
    "console_logins_without_mfa": Case(
        found=[sign_in("Success", "No"), sign_in("Success", None)],
        decoys=[sign_in("Success", "Yes"), sign_in("Failure", "No")],
        says=(["eventID", "mfaUsed"], [("found-0", "No"), ("found-1", None)]),
    ),
    "failed_console_logins_by_address": Case(
        found=[sign_in("Failure", "No"), sign_in("Failure", "No"), sign_in("Success", "No")],
        decoys=[sign_in("Success", "No", sourceIPAddress="198.51.100.9")],
        says=(
            ["sourceIPAddress", "failed", "succeeded", "names"],
            [("203.0.113.7", 2, 1, ["ada"])],
        ),
    ),
    "root_use": Case(
        found=[
            {"userIdentity": {"type": "Root"}},
            {"userIdentity": {"type": "Root", "sessionContext": {"assumedRoot": True}}},
        ],
        decoys=[
            {"userIdentity": {"type": "Root", "invokedBy": "support.amazonaws.com"}},
            {"userIdentity": {"type": "Root"}, "eventType": "AwsServiceEvent"},
            {"userIdentity": user("root")},
        ],
        says=(["eventID", "assumedRoot"], [("found-0", None), ("found-1", True)]),
    ),
    "new_access_keys": Case(
        found=[
            iam("CreateAccessKey")
            | {"responseElements": {"accessKey": {"userName": "bo", "accessKeyId": "AKIANEW"}}}
        ],
        decoys=[iam("CreateAccessKey") | DENIED, iam("DeleteAccessKey", accessKeyId="AKIANEW")],
        says=(["eventID", "forUser", "newAccessKey"], [("found-0", "bo", "AKIANEW")]),
    ),
    "new_users_and_login_profiles": Case(
        found=[iam("CreateUser", userName="bo"), iam("UpdateLoginProfile", userName="cy")],
        decoys=[iam("CreateUser", userName="bo") | DENIED, iam("GetUser", userName="bo")],
        says=(["eventID", "userName"], [("found-0", "bo"), ("found-1", "cy")]),
    ),
    "policies_with_admin_rights": Case(
        found=[
            iam(
                "AttachRolePolicy",
                roleName="r",
                policyArn="arn:aws-cn:iam::aws:policy/AdministratorAccess",
            ),
            iam("PutUserPolicy", userName="u", policyDocument=ALLOW_ALL),
            iam(
                "PutGroupPolicy",
                groupName="g",
                policyDocument=policy(Effect="Allow", Action=["s3:Get*", "*"], Resource="*"),
            ),
            iam(
                "CreatePolicy",
                policyName="p",
                policyDocument='{"Statement":{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}}',
            ),
            iam("PutRolePolicy") | {"requestParameters": OMITTED},
        ],
        decoys=[
            iam("AttachRolePolicy", policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
            iam("PutUserPolicy", policyDocument=policy(Effect="Deny", Action="*", Resource="*")),
            iam("PutUserPolicy", policyDocument=policy(Effect="Allow", Action="s3:*")),
            iam("PutUserPolicy", policyDocument=ALLOW_ALL) | DENIED,
            iam("PutUserPolicy", policyDocument="no JSON"),
        ],
        says=(
            ["eventID", "target"],
            [(f"found-{n}", target) for n, target in enumerate(["r", "u", "g", "p", None])],
        ),
    ),
    "role_chains_across_accounts": Case(
        found=[
            assume(ROLE, "AKIA0", "ASIA1"),
            assume(FAR_ROLE, "ASIA1", "ASIA2", sharedEventID="chain"),
            assume(FAR_ROLE, None, "ASIA2", sharedEventID="chain"),
        ],
        decoys=[assume(ROLE, "AKIA7", "ASIA8"), assume(FAR_ROLE, "AKIA0") | DENIED],
        says=(
            ["eventID", "firstCaller", "roles", "copies"],
            [("found-1", ADA, [ROLE, FAR_ROLE], 2)],
        ),
    ),
    "who_assumed_which_role": Case(
        found=[
            assume(THIRD_ROLE, "AKIA0", sharedEventID="who"),
            assume(THIRD_ROLE, None, sharedEventID="who"),
            assume(THIRD_ROLE, "AKIA0") | DENIED,
        ],
        decoys=[assume(THIRD_ROLE, "AKIA0") | {"eventName": "GetCallerIdentity"}],
        says=(["roleArn", "who", "calls", "refused"], [(THIRD_ROLE, ADA, 2, 1)]),
    ),
    "denied_calls_by_principal": Case(
        found=[DENIED, DENIED, {"errorCode": "Client.UnauthorizedOperation"}],
        decoys=[{"errorCode": "NoSuchKey"}, {}],
        says=(
            ["who", "errorCode", "denied"],
            [(READER, "AccessDenied", 2), (READER, "Client.UnauthorizedOperation", 1)],
        ),
    ),
    "calls_from_a_new_address": Case(
        found=[{"sourceIPAddress": "2001:db8::1"}],
        decoys=[
            {"eventTime": WEEK_BEFORE},
            {},
            {"sourceIPAddress": "AWS Internal"},
            {"sourceIPAddress": "198.51.100.9", "userIdentity": user("new")},
        ],
        variables={"since": DAY.date(), "principal": READER},
        says=(["who", "sourceIPAddress", "calls"], [(READER, "2001:db8::1", 1)]),
    ),
    "calls_of_an_access_key": Case(
        found=[
            assume(ROLE, "AKIA0", "ASIAFOUND"),
            {"userIdentity": user("ada", accessKeyId="ASIAFOUND")},
        ],
        decoys=[
            {"userIdentity": user("ada", accessKeyId="ASIAFOUND2")},
            assume(ROLE, "AKIA0", "ASIAFOUND2"),
            {"responseElements": {"note": "ASIAFOUND"}},
        ],
        variables={"key": "ASIAFOUND"},
        says=(["eventID", "what"], [("found-0", "given out"), ("found-1", "used")]),
    ),
    "calls_of_a_role_session": Case(
        found=[{"userIdentity": user("x", arn="arn:aws:sts::1:assumed-role/r/mine")}],
        decoys=[{"userIdentity": user("x", arn="arn:aws:sts::1:assumed-role/r/mine2")}],
        variables={"session": "arn:aws:sts::1:assumed-role/r/mine"},
        says=(["eventID"], [("found-0",)]),
    ),
    "one_event": Case(
        found=[{"eventID": "the-one"}],
        decoys=[{"sharedEventID": "the-one"}],
        variables={"event_id": "the-one"},
        says=(["eventID", "region"], [("the-one", COPY_REGION), ("the-one", REGION)]),
    ),
    "trail_tampering": Case(
        found=[
            TRAIL | {"eventName": "StopLogging", "requestParameters": {"name": "main"}},
            TRAIL | {"eventName": "DeleteTrail", "requestParameters": {"name": "main"}} | DENIED,
            TRAIL | {"eventName": "PutEventSelectors", "requestParameters": {"trailName": "main"}},
        ],
        decoys=[TRAIL | {"eventName": "GetTrailStatus"}, call("logs", "StopLogging")],
        says=(
            ["eventID", "target", "errorCode"],
            [
                ("found-0", "main", None),
                ("found-1", "main", "AccessDenied"),
                ("found-2", "main", None),
            ],
        ),
    ),
    "security_groups_opened_to_the_world": Case(
        found=[
            call("ec2", "AuthorizeSecurityGroupIngress", groupId="sg-1", ipPermissions=WORLD),
            call("ec2", "AuthorizeSecurityGroupIngress", groupId="sg-2", ipPermissions=ENDLESS),
            call("ec2", "AuthorizeSecurityGroupIngress", groupName="old", cidrIp="0.0.0.0/0"),
            call("ec2", "ModifySecurityGroupRules") | {"requestParameters": OMITTED},
        ],
        decoys=[
            call("ec2", "AuthorizeSecurityGroupIngress", groupId="sg-3", ipPermissions=OFFICE),
            call("ec2", "AuthorizeSecurityGroupIngress", ipPermissions=WORLD) | DENIED,
            call("ec2", "RevokeSecurityGroupIngress", ipPermissions=WORLD),
            call("ec2", "AuthorizeSecurityGroupEgress", ipPermissions=WORLD),
        ],
        says=(
            ["eventID", "securityGroup"],
            [("found-0", "sg-1"), ("found-1", "sg-2"), ("found-2", "old"), ("found-3", None)],
        ),
    ),
    "snapshots_and_images_shared": Case(
        found=[
            call(
                "ec2",
                "ModifySnapshotAttribute",
                snapshotId="snap-1",
                createVolumePermission={"add": {"items": [{"group": "all"}]}},
            ),
            call(
                "ec2",
                "ModifyImageAttribute",
                imageId="ami-1",
                launchPermission={"add": {"items": [{"userId": "222222222222"}]}},
            ),
            call(
                "rds",
                "ModifyDBSnapshotAttribute",
                dBSnapshotIdentifier="db-1",
                valuesToAdd=["all"],
            ),
        ],
        decoys=[
            call(
                "ec2",
                "ModifySnapshotAttribute",
                snapshotId="snap-2",
                createVolumePermission={"remove": {"items": [{"group": "all"}]}},
            ),
            call("rds", "ModifyDBSnapshotAttribute", valuesToAdd=["all"]) | DENIED,
        ],
        says=(
            ["target", "public", "sharedWith"],
            [
                ("snap-1", True, ["all"]),
                ("ami-1", False, ["222222222222"]),
                ("db-1", True, ["all"]),
            ],
        ),
    ),
    "secrets_read": Case(
        found=[
            call("secretsmanager", "GetSecretValue", secretId="prod/db"),
            call("secretsmanager", "GetSecretValue", secretId="prod/db") | DENIED,
            call("ssm", "GetParameter", name="/token", withDecryption=True),
        ],
        decoys=[
            call("ssm", "GetParameter", name="/plain", withDecryption=False),
            call("ssm", "GetParameter", name="/plain"),
            call("secretsmanager", "DescribeSecret", secretId="prod/db"),
        ],
        says=(["secret", "reads", "refused"], [("/token", 1, 0), ("prod/db", 1, 1)]),
    ),
    "kms_keys_disabled_or_deleted": Case(
        found=[
            call("kms", "ScheduleKeyDeletion", keyId="key-1")
            | {"responseElements": {"deletionDate": "Feb 10, 2026"}},
            call("kms", "DisableKey", keyId="key-2"),
        ],
        decoys=[call("kms", "CancelKeyDeletion", keyId="key-1"), call("kms", "Decrypt")],
        says=(
            ["keyId", "deletionDate"],
            [("key-1", "Feb 10, 2026"), ("key-2", None)],
        ),
    ),
    "s3_deletes_of_a_bucket_by_day": Case(
        found=[
            call("s3", "DeleteObject", bucketName="mine", key="a"),
            call("s3", "DeleteObject", bucketName="mine", key="b") | DENIED,
            call("s3", "DeleteObject", bucketName="mine", key="c") | {"eventTime": WEEK_BEFORE},
        ],
        decoys=[
            call("s3", "DeleteObject", bucketName="mine-too", key="a"),
            call("s3", "PutObject", bucketName="mine", key="a"),
        ],
        variables={"bucket": "mine"},
        says=(
            ["date", "eventName", "calls", "refused"],
            [
                (date(2026, 1, 27), "DeleteObject", 1, 0),
                (date(2026, 2, 3), "DeleteObject", 2, 1),
            ],
        ),
    ),
    "services_and_errors_of_a_day": Case(
        found=[{}, {}, DENIED, call("kms", "Decrypt")],
        decoys=[{"eventTime": WEEK_BEFORE}],
        variables={"day": DAY.date()},
        athena=[],
        says=(
            ["eventSource", "calls", "failed", "errors"],
            [
                ("s3.amazonaws.com", 3, 1, [("AccessDenied", 1)]),
                ("kms.amazonaws.com", 1, 0, None),
            ],
        ),
    ),
    "tls_below_1_2": Case(
        found=[{"tlsDetails": {"tlsVersion": "TLSv1"}}, {"tlsDetails": {"tlsVersion": "TLSv1.1"}}],
        decoys=[{"tlsDetails": {"tlsVersion": "TLSv1.2"}}, {"tlsDetails": ...}],
        says=(["who", "tlsVersion", "calls"], [(READER, "TLSv1", 1), (READER, "TLSv1.1", 1)]),
    ),
    "late_records": Case(
        found=[{"addendum": {"reason": "UPDATED_DATA", "originalEventID": "first"}}],
        decoys=[{}],
        late=[{"eventID": "late"}],
        variables={"dataset": ...},
        athena=[],
        says=(
            ["eventID", "region", "deliveredOn", "reason"],
            [
                ("found-0", COPY_REGION, None, "UPDATED_DATA"),
                ("found-0", REGION, None, "UPDATED_DATA"),
                ("late", COPY_REGION, date(2026, 2, 6), None),
                ("late", REGION, date(2026, 2, 6), None),
            ],
        ),
    ),
    "copies_in_other_regions": Case(
        found=[sign_in("Success", "Yes"), sign_in("Failure", "Yes"), iam("GetUser")],
        decoys=[{"eventID": None}],
        lone=[iam("GetUser")],
        says=(
            ["eventName", "regions", "events", "copies"],
            [
                ("ConsoleLogin", [COPY_REGION, REGION], 2, 2),
                ("GetUser", [COPY_REGION, REGION], 1, 1),
            ],
        ),
    ),
    "fields_without_a_column": Case(
        found=[{"newField": {"a": 1}}, {"newField": {"a": 2}}, {"readOnly": "maybe"}],
        decoys=[{}],
        says=(
            ["field", "records", "example"],
            [("newField", 2, '{"newField":{"a":1}}'), ("readOnly", 1, '{"readOnly":"maybe"}')],
        ),
    ),
    "sessions_traced_to_a_human": Case(
        found=[
            assume(f"{DEEP}:role/first", "AKIA0", "ASIA11", **answers("ASIA11", "first/ada")),
            assume(f"{DEEP}:role/second", "ASIA11", **answers("ASIA12", "second/job")),
            assume(f"{DEEP}:role/third", "ASIA12", **answers("ASIA13", "third/job")),
            assume(f"{DEEP}:role/second", sharedEventID="hop", **answers("ASIA14", "second/x"))
            | {"userIdentity": {"type": "AWSAccount", "principalId": "AROAX:x"}},
            assume(f"{DEEP}:role/second", sharedEventID="hop", **answers("ASIA14", "second/x"))
            | {"userIdentity": assumed_role("far", "bo", accessKeyId="ASIAFAR")},
            assume(f"{DEEP}:role/sso", **answers("ASIA15", "sso/cy@example.com"))
            | {
                "eventName": "AssumeRoleWithSAML",
                "userIdentity": {
                    "type": "SAMLUser",
                    "userName": "cy@example.com",
                    "principalId": "p:cy@example.com",
                    "identityProvider": "p",
                },
            },
            assume(f"{DEEP}:role/second", "ASIA15", **answers("ASIA16", "second/y"))
            | {"requestParameters": {"roleArn": f"{DEEP}:role/second", "sourceIdentity": "Cy"}},
            assume(f"{DEEP}:role/host", **answers("ASIA17", "host/i-0123"))
            | {"userIdentity": {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}},
        ],
        decoys=[
            assume(f"{DEEP}:role/first", "AKIA0", **answers("ASIA18", "first/no")) | DENIED,
            {"userIdentity": user("ada", accessKeyId="ASIA11")},
        ],
        says=(
            ["newAccessKey", "human", "kind", "roles"],
            [
                ("ASIA11", ADA, "IAMUser", [f"{DEEP}:role/first"]),
                ("ASIA12", ADA, "IAMUser", [f"{DEEP}:role/{n}" for n in ("first", "second")]),
                (
                    "ASIA13",
                    ADA,
                    "IAMUser",
                    [f"{DEEP}:role/{n}" for n in ("first", "second", "third")],
                ),
                (
                    "ASIA14",
                    f"arn:aws:sts::{OWN}:assumed-role/far/bo",
                    "AssumedRole",
                    [f"{DEEP}:role/second"],
                ),
                ("ASIA15", "cy@example.com", "SAMLUser", [f"{DEEP}:role/sso"]),
                ("ASIA16", "Cy", "SAMLUser", [f"{DEEP}:role/{n}" for n in ("sso", "second")]),
                ("ASIA17", "ec2.amazonaws.com", "AWSService", [f"{DEEP}:role/host"]),
            ],
        ),
        athena=["%"],
    ),
    "first_seen_addresses_by_principal": Case(
        found=[
            {"sourceIPAddress": "203.0.113.200", "eventTime": WEEK_BEFORE},
            {},
            {"sourceIPAddress": "198.51.100.1"},
            {"sourceIPAddress": "2001:db8:0:1:2:3:4:5"},
            {"sourceIPAddress": "2001:db8::7"},
            {"sourceIPAddress": "2001:db8:a:b::7"},
            {"sourceIPAddress": "::1"},
        ],
        decoys=[
            {"sourceIPAddress": "AWS Internal"},
            {"sourceIPAddress": "lambda.amazonaws.com"},
            {"sourceIPAddress": "192.0.2.1", "userIdentity": user("other")},
        ],
        variables={"principal": READER},
        says=(
            ["network", "firstAddress", "addresses", "days"],
            [
                ("203.0.113.0/24", "203.0.113.200", 2, 2),
                ("198.51.100.0/24", "198.51.100.1", 1, 1),
                ("2001:db8::/48", "2001:db8:0:1:2:3:4:5", 2, 1),
                ("2001:db8:a::/48", "2001:db8:a:b::7", 1, 1),
                ("::/48", "::1", 1, 1),
            ],
        ),
        athena=[READER, date(2026, 1, 1)],
    ),
    "actions_used_by_a_role": Case(
        found=[
            {},
            {"awsRegion": "eu-west-1", "eventTime": "2026-02-03T11:00:09Z"},
            DENIED,
            {"errorCode": "NoSuchBucket"},
            call("kms", "Decrypt"),
        ],
        decoys=[
            {"userIdentity": assumed_role("readers", "ada")},
            {"userIdentity": user("reader")},
        ],
        variables={"role": "reader"},
        says=(
            ["role", "action", "calls", "denied", "readOnly", "regions"],
            [
                (READER, "kms:Decrypt", 1, 0, False, [REGION]),
                (READER, "s3:GetBucketAcl", 4, 1, True, ["eu-west-1", REGION]),
            ],
        ),
        athena=[READER],
    ),
    "unused_access_keys_and_roles": Case(
        found=[
            before(user("ada", accessKeyId="AKIAOLD", accountId=OWN)),
            before(user("ada", accessKeyId="AKIABUSY", accountId=OWN)),
            before(user("ada", accessKeyId="AKIAGONE", accountId=OWN)),
            before(assumed_role("old", "x")),
            before(assumed_role("busy", "x")),
            iam("CreateAccessKey")
            | {"responseElements": {"accessKey": {"userName": "bo", "accessKeyId": "AKIANEVER"}}}
            | {"eventTime": WEEK_BEFORE, "userIdentity": {"type": "Root"}},
            iam("CreateRole", roleName="again")
            | {"responseElements": {"role": {"arn": f"arn:aws:iam::{OWN}:role/again"}}}
            | {"eventTime": WEEK_BEFORE, "userIdentity": {"type": "Root"}},
            iam("DeleteRole", roleName="again")
            | {"eventTime": "2026-01-27T09:00:00Z", "userIdentity": {"type": "Root"}},
        ],
        decoys=[
            {"userIdentity": user("ada", accessKeyId="AKIABUSY", accountId=OWN)},
            iam("DeleteAccessKey", accessKeyId="AKIAGONE") | {"userIdentity": {"type": "Root"}},
            assume(f"arn:aws:iam::{OWN}:role/path/busy"),
            iam("CreateRole", roleName="new")
            | {"responseElements": {"role": {"arn": f"arn:aws:iam::{OWN}:role/new"}}}
            | {"userIdentity": {"type": "Root"}},
            iam("DeleteRole", roleName="old") | DENIED | {"userIdentity": {"type": "Root"}},
        ],
        variables={"since": DAY.date()},
        says=(
            ["kind", "name", "arn", "madeTime", "lastTime"],
            [
                ("access key", "AKIAOLD", ADA, None, WEEK_BEFORE),
                ("access key", "AKIANEVER", "bo", WEEK_BEFORE, None),
                ("role", "old", f"arn:aws:iam::{OWN}:role/old", None, WEEK_BEFORE),
                ("role", "again", f"arn:aws:iam::{OWN}:role/again", WEEK_BEFORE, None),
            ],
        ),
    ),
    "console_logins_by_factor": Case(
        found=[
            sign_in("Success", "No"),
            sign_in("Failure", "No"),
            sign_in(
                "Success",
                None,
                additionalEventData={
                    "MFAUsed": "Yes",
                    "MFAIdentifier": "arn:aws:iam::1:u2f/user/ada/key-ABC",
                },
            ),
            sign_in(
                "Success",
                None,
                additionalEventData={
                    "MFAUsed": "Yes",
                    "MFAIdentifier": "arn:aws:iam::1:mfa/ada",
                },
            ),
            sign_in("Success", None),
            sign_in("Success", "No", userIdentity=assumed_role("sso", "cy")),
            {
                "eventSource": "signin.amazonaws.com",
                "eventName": "UserAuthentication",
                "userIdentity": {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}},
                "additionalEventData": {"CredentialType": "PASSWORD,WEBAUTHN"},
                "serviceEventDetails": {"UserAuthentication": "Success"},
            },
        ],
        decoys=[
            call("sso", "Authenticate"),
            call("cognito-idp", "UserAuthentication"),
        ],
        says=(
            ["who", "factor", "signIns", "failed"],
            [
                (f"arn:aws:sts::{OWN}:assumed-role/sso/cy", "federated", 1, 0),
                (ADA, "code", 1, 0),
                (ADA, "passkey or security key", 1, 0),
                (ADA, "password alone", 1, 1),
                (ADA, None, 1, 0),
                ("u-1", "Identity Center: PASSWORD,WEBAUTHN", 1, 0),
            ],
        ),
    ),
    "calls_across_accounts": Case(
        found=[
            {
                "userIdentity": {"type": "AWSAccount", "accountId": OTHER, "principalId": "AIDAX"},
                "sharedEventID": "both",
            },
            {
                "userIdentity": user("bo", accountId=OTHER),
                "sharedEventID": "both",
                "resources": [{"accountId": OWN, "ARN": "arn:aws:s3:::mine"}],
            },
            DENIED | {"userIdentity": user("bo", accountId=OTHER)},
            {
                "userIdentity": {
                    "type": "AWSAccount",
                    "accountId": "anonymous",
                    "principalId": "ANONYMOUS_PRINCIPAL",
                },
            },
        ],
        decoys=[
            {"userIdentity": user("ada", accountId=OWN), "resources": None},
            {
                "userIdentity": user("ada", accountId=OWN),
                "resources": [{"accountId": OWN, "ARN": "arn:aws:s3:::mine"}],
            },
            {"userIdentity": {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}},
        ],
        says=(
            ["fromAccount", "who", "eventName", "calls", "refused"],
            [
                (OTHER, "arn:aws:iam::1:user/bo", "GetBucketAcl", 2, 1),
                ("anonymous", "ANONYMOUS_PRINCIPAL", "GetBucketAcl", 1, 0),
            ],
        ),
    ),
    "before_a_trail_was_stopped": Case(
        found=[
            {"eventTime": "2026-02-03T10:05:00Z"},
            DENIED,
            TRAIL | {"eventName": "StopLogging", "requestParameters": {"name": "main"}},
        ],
        decoys=[
            {"eventTime": "2026-02-03T10:00:00Z"},
            {"userIdentity": user("ada"), "eventTime": "2026-02-03T10:59:00Z"},
            {},
        ],
        says=(
            ["stop", "target", "eventName", "eventID"],
            [
                ("StopLogging", "main", "GetBucketAcl", "found-0"),
                ("StopLogging", "main", "GetBucketAcl", "found-1"),
                ("StopLogging", "main", "StopLogging", "found-2"),
            ],
        ),
    ),
    "first_use_of_a_region": Case(
        found=[
            {"awsRegion": "ap-east-1"},
            call("ec2", "RunInstances") | {"awsRegion": "ap-east-1"},
            {"awsRegion": "sa-east-1", "userIdentity": user("ada")},
        ],
        decoys=[
            {"eventTime": WEEK_BEFORE},
            {},
            {"awsRegion": "me-south-1", "eventType": "AwsServiceEvent"},
            {"awsRegion": "me-south-1", "userIdentity": user("x", invokedBy="x.amazonaws.com")},
        ],
        variables={"since": DAY.date()},
        says=(
            ["awsRegion", "who", "eventName", "firstWrite", "principals"],
            [
                ("ap-east-1", READER, "GetBucketAcl", "2026-02-03T11:00:01Z", 1),
                ("sa-east-1", ADA, "GetBucketAcl", None, 1),
            ],
        ),
    ),
    "spikes_of_denied_calls": Case(
        found=[DENIED, DENIED, {"errorCode": "Client.UnauthorizedOperation"}, DENIED]
        + [DENIED | {"eventTime": WEEK_BEFORE}]
        + [DENIED | call("kms", name) | {"userIdentity": user("ada")} for name in "AAAAB"],
        decoys=[
            *[DENIED | {"userIdentity": user("bo")}] * 3,
            *[{"errorCode": "NoSuchKey", "userIdentity": user("cy")}] * 5,
            *[DENIED | {"userIdentity": user("di")}] * 5,
            *[DENIED | {"userIdentity": user("di"), "eventTime": WEEK_BEFORE}] * 2,
        ],
        variables={"least": "4"},
        says=(
            ["who", "denied", "usual", "differentCalls"],
            [(ADA, 5, None, 2), (READER, 4, 1.0, 1)],
        ),
    ),
    "s3_bytes_read_by_principal": Case(
        found=[
            read_of("mine", "a", 100.0),
            read_of("mine", "a", 20.0),
            read_of("mine", "b", None) | DENIED,
            read_of("mine", "c", 1e12, sharedEventID="both", userIdentity=user("bo")),
            read_of("mine", "c", 1e12, sharedEventID="both", userIdentity={"type": "AWSAccount"}),
        ],
        decoys=[
            read_of("mine-too", "a", 100.0),
            read_of("mine", "a", 100.0) | {"eventName": "HeadObject"},
        ],
        variables={"bucket": "mine"},
        says=(
            ["who", "bytes", "objects", "calls", "refused"],
            [("arn:aws:iam::1:user/bo", 10**12, 1, 1, 0), (READER, 120, 2, 3, 1)],
        ),
    ),
    "security_services_disabled": Case(
        found=[
            call("guardduty", "DeleteDetector", detectorId="d-1"),
            call("guardduty", "UpdateDetector", detectorId="d-1", enable=False),
            call("config", "StopConfigurationRecorder", configurationRecorderName="all") | DENIED,
            call("ec2", "DisableEbsEncryptionByDefault"),
            call("monitoring", "DeleteAlarms", alarmNames=["root"]),
        ],
        decoys=[
            call("guardduty", "UpdateDetector", detectorId="d-1", enable=True),
            call("apigateway", "DeleteDetector", detectorId="d-1"),
            call("config", "StartConfigurationRecorder", configurationRecorderName="all"),
        ],
        says=(
            ["eventID", "target", "errorCode"],
            [
                ("found-0", "d-1", None),
                ("found-1", "d-1", None),
                ("found-2", "all", "AccessDenied"),
                ("found-3", None, None),
                ("found-4", '["root"]', None),
            ],
        ),
    ),
    "iam_changes": Case(
        found=[
            iam("AttachUserPolicy", userName="bo", policyArn="arn:aws:iam::aws:policy/x/ReadOnly"),
            iam("DeleteUserPolicy", userName="bo", policyName="own") | DENIED,
            iam("AddUserToGroup", userName="bo", groupName="admins")
            | {"readOnly": ..., "eventVersion": "1.0"},
        ],
        decoys=[
            iam("AttachUserPolicy", userName="bob"),
            iam("GetUser", userName="bo") | {"readOnly": True},
            iam("GetUser", userName="bo") | {"readOnly": ..., "eventVersion": "1.0"},
            iam("SimulatePrincipalPolicy", userName="bo"),
            iam("CreateUser", userName="bo") | {"eventType": "AwsServiceEvent"},
            call("transfer", "CreateUser", userName="bo"),
        ],
        variables={"target": "bo"},
        says=(
            ["eventID", "names", "errorCode"],
            [
                ("found-0", ["bo", "ReadOnly"], None),
                ("found-1", ["bo", "own"], "AccessDenied"),
                ("found-2", ["bo", "admins"], None),
            ],
        ),
        athena=["bo %"],
    ),
    "console_logins_after_failures": Case(
        found=[
            sign_in("Failure", "No"),
            sign_in("Failure", "No", userIdentity=user("HIDDEN_DUE_TO_SECURITY_REASONS")),
            sign_in("Failure", "No", sourceIPAddress="198.51.100.9"),
            sign_in("Success", "No"),
        ],
        decoys=[
            sign_in("Success", "No", userIdentity=user("bo"), sourceIPAddress="192.0.2.3"),
            sign_in("Failure", "No", userIdentity=user("bo"), sourceIPAddress="192.0.2.4"),
            sign_in("Failure", "No", eventTime=WEEK_BEFORE),
        ],
        variables={"least": "3"},
        says=(
            ["eventID", "failures", "names", "addresses"],
            [("found-3", 3, 2, 2)],
        ),
    ),
    "instances_launched_in_bursts": Case(
        found=[
            launch("m7g.large", 3),
            launch("p5.48xlarge", 1) | {"awsRegion": "eu-west-1"},
            launch("p5.48xlarge", 0) | {"errorCode": "Client.InstanceLimitExceeded"},
            launch("m7g.large", 0) | {"responseElements": None},
        ],
        decoys=[
            launch("m7g.large", 2) | {"userIdentity": user("ada")},
            launch("m7g.large", 2)
            | {"userIdentity": user("ada"), "eventTime": "2026-02-03T10:59:00Z"},
            call("ec2", "StartInstances") | {"userIdentity": user("ada")},
        ],
        variables={"least": "4"},
        says=(
            ["who", "instances", "failed", "types", "regions"],
            [(READER, 5, 1, ["m7g.large", "p5.48xlarge"], ["eu-west-1", REGION])],
        ),
    ),
    "ways_onto_instances": Case(
        found=[
            call("ssm", "SendCommand", documentName="AWS-RunShellScript", instanceIds=["i-1"]),
            call("ssm", "StartSession", target="i-2") | DENIED,
            call("ec2-instance-connect", "SendSSHPublicKey", instanceId="i-3"),
            call("ec2", "ModifyInstanceAttribute", instanceId="i-4", userData="<hidden>"),
        ],
        decoys=[
            call("ec2", "ModifyInstanceAttribute", instanceId="i-5", sourceDestCheck={}),
            call("ssm", "ListCommands"),
            call("iot", "StartSession", target="i-6"),
        ],
        says=(
            ["eventID", "target", "document", "errorCode"],
            [
                ("found-0", '["i-1"]', "AWS-RunShellScript", None),
                ("found-1", "i-2", None, "AccessDenied"),
                ("found-2", "i-3", None, None),
                ("found-3", "i-4", None, None),
            ],
        ),
    ),
    "buckets_opened_to_the_world": Case(
        found=[
            call("s3", "PutBucketPolicy", bucketName="a", bucketPolicy=bucket_policy("*")),
            call("s3", "PutBucketPolicy", bucketName="b", bucketPolicy=bucket_policy({"AWS": "*"})),
            call(
                "s3",
                "PutBucketPolicy",
                bucketName="c",
                bucketPolicy={"Statement": bucket_policy({"AWS": [ADA, "*"]})["Statement"][0]},
            ),
            call("s3", "PutBucketAcl", bucketName="d", AccessControlPolicy={"Grantee": EVERYBODY}),
            call("s3", "PutObjectAcl", bucketName="e", key="k", **{"x-amz-acl": ["public-read"]}),
            call("s3", "DeleteBucketPublicAccessBlock", bucketName="f"),
            call(
                "s3",
                "PutBucketPublicAccessBlock",
                bucketName="g",
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": False,
                },
            ),
            call("s3", "PutBucketPolicy") | {"requestParameters": OMITTED},
        ],
        decoys=[
            call("s3", "PutBucketPolicy", bucketName="h", bucketPolicy=bucket_policy({"AWS": ADA})),
            call(
                "s3",
                "PutBucketPolicy",
                bucketName="i",
                bucketPolicy=bucket_policy("*", Effect="Deny"),
            ),
            call("s3", "PutBucketPolicy", bucketName="j", bucketPolicy=bucket_policy("*")) | DENIED,
            call("s3", "PutBucketAcl", bucketName="k", **{"x-amz-acl": ["private"]}),
            call(
                "s3",
                "PutBucketPublicAccessBlock",
                bucketName="l",
                PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True},
            ),
        ],
        says=(
            ["bucket", "how", "key"],
            [
                ("a", "policy", None),
                ("b", "policy", None),
                ("c", "policy", None),
                ("d", "ACL", None),
                ("e", "ACL", "k"),
                ("f", "public access no longer blocked", None),
                ("g", "public access no longer blocked", None),
                (None, "omitted", None),
            ],
        ),
    ),
    "roles_that_trust_others": Case(
        found=[
            iam("CreateRole", roleName="r", assumeRolePolicyDocument=trust(AWS=OTHER)),
            iam(
                "UpdateAssumeRolePolicy",
                roleName="s",
                policyDocument=trust(
                    AWS=[f"arn:aws:iam::{OTHER}:root", f"arn:aws:iam::{OWN}:root"]
                ),
            ),
            iam("CreateRole", roleName="t", assumeRolePolicyDocument=trust(AWS="*")),
            iam(
                "CreateRole",
                roleName="u",
                assumeRolePolicyDocument=trust(Federated=f"arn:aws:iam::{OWN}:saml-provider/p"),
            ),
        ],
        decoys=[
            iam("CreateRole", assumeRolePolicyDocument=trust(Service="ec2.amazonaws.com")),
            iam("CreateRole", assumeRolePolicyDocument=trust(AWS=f"arn:aws:iam::{OWN}:root")),
            iam("CreateRole", assumeRolePolicyDocument=trust(AWS=OTHER)) | DENIED,
        ],
        says=(
            ["roleName", "others"],
            [
                ("r", [OTHER]),
                ("s", [f"arn:aws:iam::{OTHER}:root"]),
                ("t", ["*"]),
                ("u", [f"arn:aws:iam::{OWN}:saml-provider/p"]),
            ],
        ),
    ),
}
# The rows of a case have its account, but for the queries that tell the accounts of roles.
MINE = {
    "role_chains_across_accounts": ("toAccount", "222222222222"),
    "who_assumed_which_role": ("account", "333333333333"),
    "sessions_traced_to_a_human": ("account", "444444444444"),
}


def account_of(name: str) -> str:
    return f"{list(CASES).index(name):012d}"


def plant(logs: Path, name: str, case: Case) -> None:
    """Write the records of a case: found-0, found-1, ... a second apart, then the decoys."""
    found = [named(f"found-{n}", n, changes) for n, changes in enumerate(case.found)]
    decoys = [named(f"decoy-{n}", 30 + n, changes) for n, changes in enumerate(case.decoys)]
    lone = [named(f"lone-{n}", 50 + n, changes) for n, changes in enumerate(case.lone)]
    now = [one for one in found + decoys if one["eventTime"] != WEEK_BEFORE]
    before = [one for one in found + decoys if one["eventTime"] == WEEK_BEFORE]
    late = [named("late", 59, changes) for changes in case.late]
    for region in (REGION, COPY_REGION):
        deliver(logs, name, region, DAY, now + lone if region == REGION else now)
        deliver(logs, name, region, DAY.replace(month=1, day=27), before)
        deliver(logs, name, region, DAY.replace(day=6), late)


def deliver(logs: Path, name: str, region: str, day: datetime, records: list[Row]) -> None:
    if records:
        path = logs / log_key(account_of(name), region, day.replace(hour=12))
        path.parent.mkdir(parents=True)
        path.write_bytes(log_file(*(with_account(one, name) for one in records)))


def with_account(planted: Any, name: str) -> Any:  # noqa: ANN401 - records, and what is found
    """The same with the account of a case wherever its own is meant."""
    return json.loads(json.dumps(planted).replace(OWN, account_of(name)))


def named(event_id: str, second: int, changes: Row) -> Row:
    when = f"2026-02-03T11:00:{second:02d}Z"
    return record(**{"eventID": event_id, "eventTime": when, "awsRegion": REGION} | changes)


def plant_all(logs: Path) -> None:
    """Write the records of all cases."""
    for name, case in CASES.items():
        plant(logs, name, case)


def planted_logs(logs: Path) -> Path:
    """All cases in a tree that is generated otherwise; returns the tree."""
    tree = "--accounts 1 --regions 1 --days 2 --records 500 --late 0.02"
    succeed("generate", logs, *tree.split())
    plant_all(logs)
    return logs
