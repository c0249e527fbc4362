"""Questions written for Tailpipe's table find in the dataset what they find in that table.

The table is made here as Tailpipe makes it, straight from the log files: each record becomes a line
of JSON with the members that its row struct has, and DuckDB reads the lines with the types of that
struct. Sources: turbot/tailpipe-plugin-aws and turbot/tailpipe-plugin-sdk.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cloudtrail_parquet.contract import DEFAULT_LAYOUT, PartitionLayout
from cloudtrail_parquet.reference.ddl import DATASET
from tests.builders import ACCOUNT
from tests.end_to_end.planted import Row, plant_all
from tests.end_to_end.program import succeed
from tests.end_to_end.trees import deliver, event
from tests.layouts import LAYOUTS, convert_in

PAGE = Path(__file__).parents[2] / "docs/reading.md"
IDENTITY = ("accountId", "arn", "principalId", "type", "userName")
TYPES = {
    "additional_event_data": "JSON",
    "api_version": "VARCHAR",
    "aws_region": "VARCHAR",
    "edge_device_details": "JSON",
    "error_code": "VARCHAR",
    "error_message": "VARCHAR",
    "event_category": "VARCHAR",
    "event_id": "VARCHAR",
    "event_name": "VARCHAR",
    "event_source": "VARCHAR",
    "event_time": "TIMESTAMP",
    "event_type": "VARCHAR",
    "event_version": "VARCHAR",
    "management_event": "BOOLEAN",
    "read_only": "BOOLEAN",
    "recipient_account_id": "VARCHAR",
    "request_id": "VARCHAR",
    "request_parameters": "JSON",
    "resources": "JSON",
    "response_elements": "JSON",
    "service_event_details": "JSON",
    "session_credential_from_console": "VARCHAR",
    "shared_event_id": "VARCHAR",
    "source_ip_address": "VARCHAR",
    "tls_details": (
        "STRUCT(cipher_suite VARCHAR, client_provided_host_header VARCHAR, tls_version VARCHAR)"
    ),
    "user_agent": "VARCHAR",
    "user_identity": (
        "STRUCT(access_key_id VARCHAR, account_id VARCHAR, arn VARCHAR, identity_provider VARCHAR,"
        " invoked_by VARCHAR, principal_id VARCHAR, session_context STRUCT(attributes"
        " STRUCT(creation_date BIGINT, mfa_authenticated VARCHAR), ec2_role_delivery VARCHAR,"
        ' session_issuer STRUCT(account_id VARCHAR, arn VARCHAR, principal_id VARCHAR, "type"'
        " VARCHAR, user_name VARCHAR), web_id_federation_data STRUCT(attributes JSON,"
        ' federated_provider VARCHAR)), "type" VARCHAR, user_name VARCHAR)'
    ),
    "vpc_endpoint_id": "VARCHAR",
    "tp_id": "VARCHAR",
    "tp_source_type": "VARCHAR",
    "tp_ingest_timestamp": "TIMESTAMP",
    "tp_timestamp": "TIMESTAMP",
    "tp_table": "VARCHAR",
    "tp_partition": "VARCHAR",
    "tp_index": "VARCHAR",
    "tp_date": "DATE",
    "tp_source_ip": "VARCHAR",
    "tp_destination_ip": "VARCHAR",
    "tp_source_name": "VARCHAR",
    "tp_source_location": "VARCHAR",
    "tp_akas": "VARCHAR[]",
    "tp_ips": "VARCHAR[]",
    "tp_tags": "VARCHAR[]",
    "tp_domains": "VARCHAR[]",
    "tp_emails": "VARCHAR[]",
    "tp_usernames": "VARCHAR[]",
}
UNLIKE = {"tp_id", "tp_source_type", "tp_ingest_timestamp", "tp_partition"}
UNLIKE |= {"tp_source_name", "tp_source_location"}
"""Columns that tell of the collecting, which docs/reading.md says are others here."""


def members_of(given: Row | None, *names: str) -> Row | None:
    """The text members of a struct, spelt as there."""
    return given and {snake(name): given[name] for name in names if given.get(name) is not None}


def snake(name: str) -> str:
    spelt = {"eventID": "event_id", "requestID": "request_id", "sharedEventID": "shared_event_id"}
    spelt |= {"sourceIPAddress": "source_ip_address", "ec2RoleDelivery": "ec2_role_delivery"}
    return spelt.get(name) or "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def tailpipe_row(record: Row) -> Row:
    """A record as Tailpipe's plugin enriches it."""
    row = {
        snake(name): value
        for name, value in record.items()
        if snake(name) in TYPES and value is not None
    }
    if not isinstance(row.get("read_only"), bool):
        row.pop("read_only", None)  # Tailpipe would refuse the record, and the dataset does not
    identity = record.get("userIdentity") or {}
    session = identity.get("sessionContext")
    row["user_identity"] = members_of(
        identity, *IDENTITY, "accessKeyId", "identityProvider", "invokedBy"
    ) or {"arn": None}
    if session is not None:
        row["user_identity"]["session_context"] = tailpipe_session(session)
    row["tls_details"] = members_of(
        record.get("tlsDetails"), "cipherSuite", "clientProvidedHostHeader", "tlsVersion"
    )
    resources = record.get("resources") or []
    row["resources"] = [
        {name: one[name] for name in ("accountId", "ARN", "type") if one.get(name) is not None}
        for one in resources
    ] or None
    address = record.get("sourceIPAddress")
    key = identity.get("accessKeyId") or ""
    names = [key] if key.startswith("AKIA") else []
    names += [identity["userName"]] if identity.get("userName") is not None else []
    return row | {
        "tp_timestamp": record["eventTime"],
        "tp_table": "aws_cloudtrail_log",
        "tp_index": record["recipientAccountId"],
        "tp_date": record["eventTime"][:10],
        "tp_source_ip": address,
        "tp_ips": None if address is None else [address],
        "tp_akas": [aka for one in resources for aka in akas(one.get("ARN"))] or None,
        "tp_usernames": names or None,
    }


def tailpipe_session(session: Row) -> Row:
    row = members_of(session, "ec2RoleDelivery") or {}
    row["session_issuer"] = members_of(session.get("sessionIssuer"), *IDENTITY)
    attributes = session.get("attributes")
    if attributes is not None:
        row["attributes"] = {"mfa_authenticated": attributes.get("mfaAuthenticated")}
        if created := attributes.get("creationDate"):
            millis = datetime.fromisoformat(created).timestamp() * 1000
            row["attributes"]["creation_date"] = int(millis)
    federation = session.get("webIdFederationData")
    if federation is not None:
        row["web_id_federation_data"] = {
            "attributes": federation.get("attributes"),
            "federated_provider": federation.get("federatedProvider"),
        }
    return row


def akas(arn: str | None) -> list[str]:
    parts = (arn or "").split(":")
    if arn is None or len(parts) < 6:
        return []
    found = [arn] + ([parts[4]] if parts[4] else [])
    if parts[2] == "s3":
        found.append(parts[5])
    kind, slash, name = parts[5].partition("/")
    if parts[2] == "ec2" and slash and kind in {"instance", "volume"}:
        found.append(name)
    return found


def records_of(logs: Path) -> Iterator[Row]:
    """Each record of a tree once in its account and region, as a conversion counts them."""
    seen = set()
    for path in sorted(logs.rglob("*.json.gz")):
        place = path.name.split("_")[0], path.name.split("_")[2]
        for record in read_log(path):
            one = (*place, json.dumps(record, sort_keys=True))
            if one not in seen:
                seen.add(one)
                yield record


def read_log(path: Path) -> list[Row]:
    records: list[Row] = json.loads(gzip.decompress(path.read_bytes()))["Records"]
    return records


BUCKET = {"accountId": "123456789012", "type": "AWS::S3::Bucket"}
ODD: list[Row] = [
    {
        "userIdentity": {
            "type": "WebIdentityUser",
            "sessionContext": {
                "ec2RoleDelivery": "2.0",
                "webIdFederationData": {
                    "federatedProvider": "accounts.google.com",
                    "attributes": {"accounts.google.com:aud": "a", "app id": "b"},
                },
                "attributes": {},
            },
        }
    },
    {
        "resources": [
            {"ARN": "arn:aws:s3:::orders/2026/a:b.csv"},
            {"ARN": "arn:aws:ec2:eu-west-1:123456789012:instance/i-0123", **BUCKET},
            {"ARN": "arn:aws:ec2:eu-west-1:123456789012:volume/vol-0123"},
            {"ARN": "arn:aws:ec2:eu-west-1:123456789012:subnet/subnet-0123"},
            {"ARN": "no:arn", "accountId": "123456789012"},
            BUCKET,
        ]
    },
    {"resources": [], "tlsDetails": ..., "sourceIPAddress": ..., "vpcEndpointId": "vpce-1"},
    {"userIdentity": ..., "requestParameters": None, "sessionCredentialFromConsole": "true"},
    {"eventTime": "2026-02-03T23:59:59Z", "sharedEventID": "shared", "apiVersion": "2012-10-17"},
    {"eventTime": "2026-02-04T00:00:00Z", "edgeDeviceDetails": {"a": [1, {"b": "\u00e4"}]}},
]
"""What the cases of the investigations do not have."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tailpipe") / "logs"
    plant_all(tree)
    records = [event(f"odd-{n}") | changes for n, changes in enumerate(ODD)]
    kept = [{name: one[name] for name in one if one[name] is not ...} for one in records]
    deliver(tree, *kept, delivered=datetime(2026, 2, 4, 0, 5, tzinfo=UTC))
    return tree


@pytest.fixture(scope="module")
def lines(logs: Path) -> Path:
    file = logs.with_name("rows.jsonl")
    rows = (json.dumps(tailpipe_row(record)) for record in records_of(logs))
    file.write_text("\n".join(rows))
    return file


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> PartitionLayout:
    wanted: PartitionLayout = request.param
    return wanted


@pytest.fixture(scope="module")
def con(
    layout: PartitionLayout, logs: Path, lines: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    dataset = convert_in(layout, logs, tmp_path_factory.mktemp("layout") / "cloudtrail")
    columns = {name: dtype for name, dtype in TYPES.items() if name not in UNLIKE}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Kathmandu'")  # which nothing may depend on
        connection.execute("CREATE SCHEMA tailpipe")
        connection.execute(
            "CREATE TABLE tailpipe.aws_cloudtrail_log AS"  # noqa: S608 - the columns above
            f" SELECT * FROM read_json('{lines}', columns = {columns})"
        )
        connection.execute(printed(layout, dataset))
        yield connection


def printed(layout: PartitionLayout, dataset: Path, *options: str) -> str:
    text = succeed("schema", "--format", "tailpipe", "--partition-layout", layout, *options)
    return text.replace(DATASET, str(dataset))


def answers(con: duckdb.DuckDBPyConnection, question: str) -> tuple[Counter[str], Counter[str]]:
    """The rows that the dataset gives, and those of Tailpipe's table; JSON by its meaning."""
    own, reference = (
        Counter(canonical(row) for row in con.sql(text).fetchall())
        for text in (
            question,
            question.replace("aws_cloudtrail_log", "tailpipe.aws_cloudtrail_log"),
        )
    )
    return own, reference


def canonical(row: Any) -> str:  # noqa: ANN401
    return json.dumps(meaning(row), sort_keys=True, default=str)


def meaning(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: meaning(member) for name, member in value.items()}
    return [meaning(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT, "dt"], indirect=True, scope="module")
def test_the_view_has_the_columns_and_types_of_the_table(con: duckdb.DuckDBPyConnection) -> None:
    described = con.sql("DESCRIBE main.aws_cloudtrail_log").fetchall()

    assert {name: dtype for name, dtype, *_ in described} == TYPES


QUESTIONS = """\
select count(*) from aws_cloudtrail_log;
select strftime(event_time, '%Y-%m-%d') as day, count(*) from aws_cloudtrail_log group by day;
select event_source, event_name, count(*) as n from aws_cloudtrail_log group by all;
select event_name from aws_cloudtrail_log where not read_only;
select recipient_account_id, count(*) from aws_cloudtrail_log group by 1;
select event_id, error_message from aws_cloudtrail_log where error_code is not null;
select user_identity.arn as actor, count(*) from aws_cloudtrail_log group by user_identity.arn;
select event_time, user_identity.type from aws_cloudtrail_log where user_identity.type = 'Root';
select event_id from aws_cloudtrail_log where user_identity.invoked_by is null;
select tp_timestamp, tp_date, tp_index, tp_table from aws_cloudtrail_log;
select event_id, tp_source_ip from aws_cloudtrail_log where tp_source_ip not like
  '%amazonaws.com' and tp_source_ip != 'AWS Internal';
select event_id from aws_cloudtrail_log where list_contains(tp_ips, '203.0.113.7');
select distinct unnest(tp_akas) from aws_cloudtrail_log;
select event_id from aws_cloudtrail_log where list_contains(tp_usernames, 'ada');
select tp_usernames, count(*) from aws_cloudtrail_log group by 1;
select string_split(event_source, '.')[1] || ':' || event_name as operation, count(*) from
  aws_cloudtrail_log group by operation;
select event_id, request_parameters ->> 'bucketName' as bucket from aws_cloudtrail_log where
  event_source = 's3.amazonaws.com';
select event_id from aws_cloudtrail_log where (request_parameters ->> '$.withDecryption') =
  'true';
select event_id from aws_cloudtrail_log where request_parameters ->> 'policyArn' like '%Admin%';
select response_elements -> 'credentials' ->> 'accessKeyId' from aws_cloudtrail_log where
  event_source = 'sts.amazonaws.com' and event_name = 'AssumeRole';
select event_id from aws_cloudtrail_log where event_name = 'ConsoleLogin' and (response_elements
  ->> 'ConsoleLogin') = 'Failure';
select event_id, additional_event_data ->> 'MFAUsed' from aws_cloudtrail_log where
  json_extract_string(additional_event_data, '$.MFAUsed') = 'No';
select event_id, json_extract(request_parameters, '$.ipPermissions.items[0].ipRanges.items')
  from aws_cloudtrail_log where event_name = 'AuthorizeSecurityGroupIngress';
select event_id from aws_cloudtrail_log, unnest(from_json((request_parameters -> 'ipPermissions'
  -> 'items'), '["JSON"]')) as each (permission) where permission ->> 'fromPort' = '22';
select event_id from aws_cloudtrail_log where json_contains(request_parameters ->
  'createVolumePermission' -> 'add' -> 'items', '{"group": "all"}');
select event_id from aws_cloudtrail_log where (request_parameters -> 'omitted') = true;
select event_id, cast(request_parameters as varchar) like '%0.0.0.0/0%' from aws_cloudtrail_log
  where event_source = 'ec2.amazonaws.com';
select json_keys(request_parameters), count(*) from aws_cloudtrail_log group by 1;
select json_array_length(resources), count(*) from aws_cloudtrail_log group by 1;
select resources -> 0 ->> 'ARN', resources -> 0 ->> 'type' from aws_cloudtrail_log;
select event_id, resources from aws_cloudtrail_log where resources is not null;
select user_identity.session_context.session_issuer.user_name, count(*) from aws_cloudtrail_log
  group by 1;
select event_id from aws_cloudtrail_log where
  user_identity.session_context.attributes.mfa_authenticated = 'false';
select epoch_ms(user_identity.session_context.attributes.creation_date), event_id from
  aws_cloudtrail_log where user_identity.session_context.attributes is not null;
select event_id, date_diff('minute',
  epoch_ms(user_identity.session_context.attributes.creation_date), event_time) from
  aws_cloudtrail_log;
select event_id from aws_cloudtrail_log where user_identity.session_context is null;
select tls_details.tls_version, count(*) from aws_cloudtrail_log group by 1;
select event_id from aws_cloudtrail_log where tls_details is null;
select date_trunc('hour', event_time) as hour, user_identity.arn, count(*) from
  aws_cloudtrail_log group by all having count(*) > 3;
select event_id from aws_cloudtrail_log where cast(strftime(event_time, '%H') as integer) < 11;
select event_id from aws_cloudtrail_log where event_time > timestamp '2026-02-03 11:00:05';
select event_id from aws_cloudtrail_log where tp_date = '2026-02-03' and aws_region =
  'us-east-1';
select event_id from aws_cloudtrail_log where tp_date between '2026-01-01' and '2026-01-31';
with a as (select user_identity.arn as arn, min(event_time) as first from aws_cloudtrail_log
  group by 1) select arn, first from a where first < '2026-02-01';
select count(*) from aws_cloudtrail_log as a join aws_cloudtrail_log as b on
  b.user_identity.access_key_id = (a.response_elements -> 'credentials' ->> 'accessKeyId');
select event_id, management_event, session_credential_from_console, shared_event_id,
  vpc_endpoint_id, api_version, user_agent from aws_cloudtrail_log;
"""
"""In the style of those that people have written for the table."""


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT], indirect=True, scope="module")
@pytest.mark.parametrize("question", QUESTIONS.split(";\n")[:-1])
def test_a_question_finds_the_same_rows_as_in_tailpipes_table(
    con: duckdb.DuckDBPyConnection, question: str
) -> None:
    own, reference = answers(con, question)

    assert own == reference
    assert own


@pytest.mark.parametrize("layout", [DEFAULT_LAYOUT], indirect=True, scope="module")
def test_the_questions_of_the_page_find_the_same_rows(con: duckdb.DuckDBPyConnection) -> None:
    (section,) = re.findall(r"\n## Tailpipe\n(.*?)\n## ", PAGE.read_text(), re.DOTALL)
    questions = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)

    assert questions
    for question in questions:
        own, reference = answers(con, question)
        assert own == reference
        assert own


def test_all_columns_hold_the_same_in_each_row(con: duckdb.DuckDBPyConnection) -> None:
    names = ", ".join(name for name in TYPES if name not in UNLIKE)

    own, reference = answers(con, f"SELECT {names} FROM aws_cloudtrail_log")  # noqa: S608

    assert own == reference


def test_a_day_chooses_files(con: duckdb.DuckDBPyConnection) -> None:
    question = "SELECT event_name FROM main.aws_cloudtrail_log WHERE tp_date = '2026-01-27'"

    plan = con.execute(f"EXPLAIN ANALYZE {question}").fetchall()[0][1]

    ((read, total),) = re.findall(r"Scanning Files: (\d+)/(\d+)", plan)
    assert 0 < int(read) < int(total)


@pytest.mark.parametrize("encoding", ["json", "variant"])
def test_free_form_columns_are_json_whatever_the_encoding(
    logs: Path, lines: Path, tmp_path: Path, encoding: str
) -> None:
    option = ("--json-encoding", encoding)
    made = ("convert", logs, tmp_path / "out", "--workers", 1, "--account", ACCOUNT)
    succeed(*made, *option, folder=tmp_path)
    columns = "event_id, request_parameters ->> 'bucketName', resources -> 0 ->> 'ARN'"
    question = f"SELECT {columns} FROM {{}} WHERE event_id LIKE 'odd-%'"  # noqa: S608

    with duckdb.connect() as connection:
        connection.execute(printed(DEFAULT_LAYOUT, tmp_path / "out", *option))
        types = connection.sql("DESCRIBE aws_cloudtrail_log").fetchall()
        own = connection.sql(question.format("aws_cloudtrail_log")).fetchall()
        table = f"read_json('{lines}', columns = {TYPES})"
        reference = connection.sql(question.format(table)).fetchall()

    assert {name: dtype for name, dtype, *_ in types} == TYPES
    assert Counter(own) == Counter(reference)
