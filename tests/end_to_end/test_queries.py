"""Each investigation finds what it asks for, and not what merely looks like it.

Every case has an account of its own: records to be found, decoys that differ in what matters, and
what is to be found. Each record is delivered into the folders of two regions, as CloudTrail does
when two trails write to one bucket, and is to be found once. All of them are converted together
with a generated tree.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PARTITION_COLUMNS, PartitionLayout
from cloudtrail_parquet.conversion.convert import convert_unit
from cloudtrail_parquet.layout import Shard, Unit
from cloudtrail_parquet.reference.ddl import DATASET, render
from cloudtrail_parquet.settings.settings import Settings
from cloudtrail_parquet.storage import open_store
from stacks.investigations import investigations
from tests.builders import WritableStores, log_file, log_key, record
from tests.end_to_end import athena_sql
from tests.end_to_end.program import succeed
from tests.layouts import LAYOUTS, convert_in

ROOT = Path(__file__).parents[2]
QUERIES = {path.stem: path for path in sorted((ROOT / "queries").glob("*.sql"))}
REGION, COPY_REGION = "us-east-1", "ap-south-1"  # of the records, and where copies lie
DAY = datetime(2026, 2, 3, tzinfo=UTC)
WEEK_BEFORE = "2026-01-27T10:00:00Z"

Row = dict[str, Any]
Convert = Callable[[dict[str, list[Row]]], Path]


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
    """

    found: list[Row]
    says: tuple[list[str], list[tuple[Any, ...]]]
    decoys: list[Row] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    late: list[Row] = field(default_factory=list)
    lone: list[Row] = field(default_factory=list)


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
        variables={"access_key": "ASIAFOUND"},
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
}
# The rows of a case have its account, but for the roles' queries, which tell the roles' accounts.
MINE = {
    "role_chains_across_accounts": ("toAccount", "222222222222"),
    "who_assumed_which_role": ("account", "333333333333"),
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
        path.write_bytes(log_file(*records))


def named(event_id: str, second: int, changes: Row) -> Row:
    when = f"2026-02-03T11:00:{second:02d}Z"
    return record(**{"eventID": event_id, "eventTime": when, "awsRegion": REGION} | changes)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("queries") / "logs"
    tree = "--accounts 1 --regions 1 --days 2 --records 500 --late 0.02"
    succeed("generate", logs, *tree.split())
    for name, case in CASES.items():
        plant(logs, name, case)
    return logs


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def dataset(layout: PartitionLayout, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_in(layout, logs, tmp_path_factory.mktemp("layout") / "cloudtrail")


def view(dataset: Path, layout: PartitionLayout = DEFAULT_LAYOUT) -> str:
    """What ``schema --format duckdb`` prints for a layout."""
    return render("duckdb", Settings(partition_layout=layout)).replace(DATASET, str(dataset))


@pytest.fixture
def con(dataset: Path, layout: PartitionLayout) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(view(dataset, layout))
        yield connection


def ask(con: duckdb.DuckDBPyConnection, name: str, dataset: Path) -> list[Row]:
    for variable, value in CASES[name].variables.items():
        con.execute(f"SET VARIABLE {variable} = ?", [str(dataset) if value is ... else value])
    rows: list[Row] = con.sql(QUERIES[name].read_text()).to_arrow_table().to_pylist()
    return rows


def test_there_is_a_case_for_each_query() -> None:
    assert list(QUERIES) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_query_finds_what_it_asks_for_and_nothing_else(
    con: duckdb.DuckDBPyConnection, dataset: Path, name: str
) -> None:
    columns, expected = CASES[name].says
    column, value = MINE.get(name, ("account", account_of(name)))
    shown = ask(con, name, dataset)
    rows = [row for row in shown if row[column] == value]

    assert [tuple(row[name] for name in columns) for row in rows] == expected
    ((total,),) = con.sql("SELECT count(*) FROM cloudtrail").fetchall()
    assert len(shown) < total / 4


def parameters_of(name: str, layout: PartitionLayout) -> list[Any]:
    """What a query for Athena is given: days, of one month where there is no dt; and its own."""
    first = DAY.day if name == "services_and_errors_of_a_day" else 1
    days: list[Any] = [DAY.year, DAY.month, first, 28]
    if "dt" in PARTITION_COLUMNS[layout]:
        days = [f"2026-02-{DAY:%d}" if first > 1 else "2026-01-01", "2026-02-28"]
    given = {} if "days" in ATHENA_HAS.get(name, "") else CASES[name].variables
    return days + list(given.values())


ATHENA_HAS = {
    "late_records": "days, and a table in place of a folder",
    "services_and_errors_of_a_day": "days in place of one",
}
IN_FEBRUARY = {
    "calls_from_a_new_address": [],  # it is January in which the caller is known
    "s3_deletes_of_a_bucket_by_day": [(date(2026, 2, 3), "DeleteObject", 2, 1)],
}
"""What is found otherwise where only one month is read."""


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
@pytest.mark.parametrize("name", CASES)
def test_a_query_for_athena_finds_the_same(
    dataset: Path, layout: PartitionLayout, name: str
) -> None:
    (query,) = [one.text for one in investigations(layout, *athena_sql.TABLE) if one.name == name]
    columns, expected = CASES[name].says
    column, value = MINE.get(name, ("account", account_of(name)))
    if layout == DEFAULT_LAYOUT:
        expected = IN_FEBRUARY.get(name, expected)

    with athena_sql.connect(dataset, layout) as connection:
        shown = athena_sql.ask(connection, query, parameters_of(name, layout))

    rows = [row for row in shown if row[column.lower()] == value]
    found = [tuple(row[name.lower()] for name in columns) for row in rows]
    assert found == expected


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Converts one log file a region of February 3rd, and names the dataset."""

    def convert_regions(records: dict[str, list[Row]]) -> Path:
        for region, some in records.items():
            deliver(tmp_path / "logs", "root_use", region, DAY, some)
        succeed("convert", tmp_path / "logs", tmp_path / "out", "--workers", 1, folder=tmp_path)
        return tmp_path / "out"

    return convert_regions


def calls_of_the_day(dataset: Path) -> list[tuple[str, int]]:
    with duckdb.connect() as con:
        con.execute(view(dataset))
        rows = ask(con, "services_and_errors_of_a_day", dataset)
    return [(row["eventSource"], row["calls"]) for row in rows]


def test_an_event_in_two_regions_neither_of_which_is_its_own_is_counted_once(
    convert: Convert,
) -> None:
    dataset = convert({"eu-west-1": [named("a", 1, {})], "eu-west-2": [named("a", 1, {})]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 1)]


def test_records_without_an_id_are_all_counted_since_nothing_tells_copies(convert: Convert) -> None:
    records = [named("", second, {"eventID": ...}) for second in (1, 2)]

    dataset = convert({REGION: records, COPY_REGION: records[:1]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 3)]


def test_records_with_one_id_and_other_content_are_all_counted_where_the_event_happened(
    convert: Convert,
) -> None:
    records = [named("a", 1, {}), named("a", 1, {"userAgent": "other"})]

    dataset = convert({REGION: records, COPY_REGION: records[:1]})

    assert calls_of_the_day(dataset) == [("s3.amazonaws.com", 2)]


def test_records_that_shards_of_a_day_found_late_are_told_with_the_day_of_their_delivery(
    tmp_path: Path,
) -> None:
    account, delivered = "000000000099", datetime(2026, 2, 12, tzinfo=UTC)
    stores = WritableStores(
        *(open_store(tmp_path / name) for name in ("logs", "cloudtrail", "state"))
    )
    for hour in (5, 17):
        key = log_key(account, REGION, delivered.replace(hour=hour))
        stores.source.write(key, log_file(named(f"late-{hour}", hour, {})))
    unit = Unit(account, REGION, delivered.date())
    for shard in Shard(1, 2).siblings:
        trail = f"AWSLogs/{account}/CloudTrail/{REGION}/"
        convert_unit(unit, [trail], stores, Settings(), shard=shard)

    with duckdb.connect() as con:
        rows = ask(con, "late_records", tmp_path / "cloudtrail")

    names = sorted(path.name for path in (tmp_path / "cloudtrail").rglob("*.parquet"))
    assert names == [f"straggler-20260212-{n}of02-00000.parquet" for n in ("01", "02")]
    shown = [(row["eventID"], row["deliveredOn"]) for row in rows]
    assert shown == [("late-5", delivered.date()), ("late-17", delivered.date())]


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT], indirect=True, scope="module")
@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].variables])
def test_a_query_without_its_variables_finds_what_its_comment_says(
    con: duckdb.DuckDBPyConnection, name: str
) -> None:
    text = QUERIES[name].read_text()
    if "default cloudtrail" in text:
        with pytest.raises(duckdb.IOException, match=r'"?cloudtrail/\*\*/\*\.parquet'):
            con.sql(text).fetchall()
        return

    rows = con.sql(text).to_arrow_table().to_pylist()

    assert "nothing is found" in " ".join(comment(text)) or "default yesterday" in text
    assert rows == []


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
@pytest.mark.parametrize("name", CASES)
def test_rows_come_in_the_same_order_whatever_the_threads_do(
    con: duckdb.DuckDBPyConnection, dataset: Path, name: str
) -> None:
    alone = ask(con, name, dataset)
    con.execute("SET threads = 4; SET preserve_insertion_order = false")

    assert ask(con, name, dataset) == alone


def comment(text: str) -> list[str]:
    """The lines of the comment at the head of a query, without their marks."""
    head = re.match(r"(?:-- .*\n)+", text)
    return [line.removeprefix("-- ") for line in head[0].splitlines()] if head else []


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_begins_with_its_question_and_names_its_variables(name: str) -> None:
    text = QUERIES[name].read_text()
    question, *notes = comment(text)
    variables = set(re.findall(r"getvariable\('(\w+)'\)", text))

    assert question.endswith("?")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert text.count(";\n") == 1
    assert "ORDER BY" in text.splitlines()[-1]
    assert bool(variables) == (" ".join(notes).find("Variable") >= 0)
    for variable in variables:
        assert re.search(rf"Variables?:.*\b{variable}[,;]", " ".join(notes)), variable


def test_the_readme_lists_each_query_with_its_question_and_variables() -> None:
    listed = [
        line
        for line in (ROOT / "queries/README.md").read_text().splitlines()
        if line.startswith("| [")
    ]

    assert listed == [row_of(path) for path in QUERIES.values()]


def row_of(path: Path) -> str:
    text = path.read_text()
    variables = sorted(set(re.findall(r"getvariable\('(\w+)'\)", text)))
    names = "".join(f"{name}, " for name in (f"`{one}`" for one in variables)).rstrip(", ")
    return f"| [{path.stem}]({path.name}) | {comment(text)[0]} | {names} |".replace("|  |", "| |")


def test_the_readmes_smaller_view_shows_and_reads_one_month_of_one_account(
    con: duckdb.DuckDBPyConnection, dataset: Path, layout: PartitionLayout
) -> None:
    if "dt" in PARTITION_COLUMNS[layout]:
        pytest.skip("its view is that of folders by year, month and day")
    text = (ROOT / "queries/README.md").read_text()
    (smaller,) = re.findall(r"```sql\n(CREATE OR REPLACE VIEW.*?)```", text, re.DOTALL)
    account = account_of("calls_from_a_new_address")
    smaller = smaller.replace("'cloudtrail/", f"'{dataset}/").replace("012345678901", account)

    con.execute(smaller)

    days = con.sql("SELECT DISTINCT account, month, day FROM cloudtrail").fetchall()
    assert days == [(account, 1, 27)]
    plan = con.execute("EXPLAIN ANALYZE SELECT eventName FROM cloudtrail").fetchall()[0][1]
    (read,) = re.findall(r"Total Files Read: (\d+)", plan)
    folder = f"account={account}" if "account" in PARTITION_COLUMNS[layout] else "year=2026"
    parts = map(str, (dataset / folder).rglob("*.parquet"))
    assert int(read) == sum("/year=2026/month=01/" in part for part in parts)
