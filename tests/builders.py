"""Valid records, log files and keys, of which a test changes one thing; strategies for odd ones.

JSON that only text can show (1e400, 1.10, lone surrogates, repeated names) is built as text.
"""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from cloudtrail_parquet.records.decode import Batch, decode
from cloudtrail_parquet.records.event_times import event_times
from cloudtrail_parquet.records.redact import Redactor
from cloudtrail_parquet.records.to_arrow import Columns
from cloudtrail_parquet.records.upgrade import upgrade
from cloudtrail_parquet.schema.columns import RECORD, about, kind
from cloudtrail_parquet.storage import Store, Stores

ACCOUNT = "012345678901"
REGION = "eu-central-1"
UNIQUE = "AbCdEfGhIjKlMnOp"


def ago(days: int) -> date:
    """The day so many days before today, UTC."""
    return datetime.now(UTC).date() - timedelta(days=days)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """A moment of a day, UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def record(**changes: object) -> dict[str, Any]:
    """A valid record of version 1.11; a member changed to ``...`` is left out."""
    members: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:ada",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/ada",
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLE",
                    "arn": f"arn:aws:iam::{ACCOUNT}:role/reader",
                    "accountId": ACCOUNT,
                    "userName": "reader",
                },
                "attributes": {
                    "creationDate": "2026-01-10T11:58:13Z",
                    "mfaAuthenticated": "false",
                },
            },
        },
        "eventTime": "2026-01-10T12:34:56Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetBucketAcl",
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "[aws-cli/2.31]",
        "requestParameters": {"bucketName": "logs", "acl": ""},
        "responseElements": None,
        "additionalEventData": {"bytesTransferredOut": 568.0},
        "requestID": "8QJ3EXAMPLE",
        "eventID": "7a1e2f6e-0000-4000-8000-000000000001",
        "readOnly": True,
        "resources": [
            {"accountId": ACCOUNT, "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::logs"}
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "logs.s3.eu-central-1.amazonaws.com",
        },
    }
    members.update(changes)
    return {name: value for name, value in members.items() if value is not ...}


def as_text(one: object) -> str:
    """A record, or its JSON text, as the compact JSON text that CloudTrail would write."""
    return (
        one if isinstance(one, str) else json.dumps(one, separators=(",", ":"), ensure_ascii=False)
    )


def envelope(records: Iterable[object]) -> bytes:
    """The JSON text of a log file with these records, or JSON texts of records."""
    return ('{"Records":[' + ",".join(map(as_text, records)) + "]}").encode()


def log_file(*records: object, gzipped: bool = True) -> bytes:
    """A log file as CloudTrail delivers it, of records or JSON texts of records."""
    text = envelope(records)
    return gzip.compress(text, mtime=0) if gzipped else text


def blank(size: int) -> bytes:
    """What makes a log file larger: another member of gzip's, with blanks stored as they are."""
    return gzip.compress(b" " * size, compresslevel=0, mtime=0)


def log_key(  # noqa: PLR0913  one argument a part of the key
    account: str,
    region: str,
    delivered: datetime,
    *,
    organization: str | None = None,
    unique: str = UNIQUE,
    prefix: str = "",
    folder: str = "CloudTrail",
) -> str:
    """The key of a log file; ``prefix`` is the trail's, without a slash at its end."""
    folders = [prefix, "AWSLogs", organization, account, folder, region, f"{delivered:%Y/%m/%d}"]
    name = f"{account}_{folder}_{region}_{delivered:%Y%m%dT%H%MZ}_{unique}.json.gz"
    return "/".join([*filter(None, folders), name])


def rows_of(
    records: Iterable[object], account: str = ACCOUNT, region: str = REGION
) -> list[dict[str, Any]]:
    """The rows of some records with event times, or of their JSON texts, in order."""
    return rows_of_batches(decode(envelope(records), "a.json.gz"), account, region)


def draft_of(
    columns: Columns, batch: Batch, account: str = ACCOUNT, region: str = REGION
) -> pa.RecordBatch:
    """A draft of decoded records with event times, made as a conversion makes it."""
    times = event_times(batch.records, batch.unmapped)
    upgraded = {row: upgrade(one, account, region) for row, one in enumerate(batch.records)}
    derived = {row: names for row, names in upgraded.items() if names}
    nothing = [0] * len(times)
    keys = [pa.array(nothing, pa.int64()), *[pa.array(nothing, pa.int32())] * 2]
    return columns.encode(batch.records, times, batch.unmapped, derived, keys)


def table_of(batches: Iterable[Batch], account: str = ACCOUNT, region: str = REGION) -> pa.Table:
    """The columns of decoded records with event times, made as a conversion makes them."""
    columns = Columns(Redactor(()))
    encoded = [draft_of(columns, batch, account, region) for batch in batches]
    return columns.materialize(pa.Table.from_batches(encoded, columns.encoded_schema))


def rows_of_batches(
    batches: Iterable[Batch], account: str = ACCOUNT, region: str = REGION
) -> list[dict[str, Any]]:
    """The rows of decoded records with event times, in order."""
    filled = [batch for batch in batches if batch.records]
    if not filled:
        return []
    rows: list[dict[str, Any]] = table_of(filled, account, region).to_pylist()
    return rows


# Comparing.


def exact(text: str) -> Any:  # noqa: ANN401  any JSON value
    """A JSON text as Python values in which a number is a tuple that holds its digits."""
    return json.loads(text, parse_int=_digits, parse_float=_digits)


def _digits(text: str) -> tuple[str]:
    return (text,)


def normal(one: dict[str, Any]) -> dict[str, Any]:
    """The normal form of a parsed record: null members of typed structs are absent.

    Free-form fields, the open map of web identity attributes and unknown members stay as they are.
    """
    return _without_nulls(one, RECORD)


def _without_nulls(members: dict[str, Any], struct: pa.StructType) -> dict[str, Any]:
    known = {field.name: field.type for field in struct}
    return {
        name: _normal_member(value, known.get(name))
        for name, value in members.items()
        if value is not None
    }


def _normal_member(value: Any, of: pa.DataType | None) -> Any:  # noqa: ANN401
    if of is None:
        return value
    if pa.types.is_struct(of) and isinstance(value, dict):
        return _without_nulls(value, of)
    if pa.types.is_list(of) and isinstance(value, list):
        return [_normal_member(item, of.value_type) for item in value]
    return value


# Strategies: all of them give JSON texts.

_CHARACTERS = st.one_of(
    st.sampled_from(
        [
            *("a", "Z", "0", " ", "/", ".", "é", "\u2028", "漢", "😀", "\x7f", "\ufffd"),
            *(r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"),
            *(r"\u0000", r"\u001f", r"\u003c", r"\u00e9", r"\ud83d\ude00"),
            *(r"\ud800", r"\udc00", r"\uDFFF\uD83D"),  # lone surrogates
        ]
    ),
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'),
)
json_strings: st.SearchStrategy[str] = st.lists(_CHARACTERS, max_size=5).map(
    lambda parts: '"' + "".join(parts) + '"'
)
json_numbers: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        [
            "0",
            "-0",
            "-0.0",
            "1.10",
            "2.0",
            "1e400",
            "-1E-7",
            "1688560107.857",
            "12345678901234567890",
        ]
    ),
    st.integers().map(str),
)
_NAMES = st.one_of(
    st.sampled_from(
        [
            '""',
            '"a"',
            '"A"',
            '"Name"',
            '"name"',
            r'"\ud800"',
            '"a.b"',
            '"unmapped"',
            '"eventTime"',
            '"é"',
        ]
    ),
    json_strings,
)
_SPACE = st.sampled_from(["", "", "", " ", "\n\t"])


def _json_array(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda parts, space: f"[{space}" + f",{space}".join(parts) + f"{space}]",
        st.lists(items, max_size=3),
        _SPACE,
    )


def _write_object(members: list[tuple[str, str]], space: str) -> str:
    body = f",{space}".join(f"{name}{space}:{space}{value}" for name, value in members)
    return f"{{{space}{body}{space}}}"


def _json_object(
    members: st.SearchStrategy[list[tuple[str, str]]],
) -> st.SearchStrategy[str]:
    return st.builds(_write_object, members, _SPACE)


json_scalars: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["null", "true", "false"]), json_numbers, json_strings
)
json_values: st.SearchStrategy[str] = st.recursive(
    json_scalars,
    lambda inner: st.one_of(
        _json_array(inner), _json_object(st.lists(st.tuples(_NAMES, inner), max_size=3))
    ),
    max_leaves=5,
)
"""Any JSON value, repeated names and white space included."""

event_time_texts: st.SearchStrategy[str] = st.sampled_from(
    [
        *('"2026-01-10T12:34:56Z"', '"2026-01-10T12:34:56.789Z"', '"2026-01-10T12:34:56.789000Z"'),
        *('"20260110T123456Z"', '"2026-01-10 12:34:56+01:00"', '"2026-01-10T23:59:60Z"'),
        *("1768048496", "1768048496.5", '"1768048496000"', '"0001-01-01T00:00:00Z"'),
        *(
            '"1901-02-03T04:05:06.000007Z"',
            r'"2026-01-10T12:34:56\u005a"',
            '"9999-12-31T23:59:59Z"',
        ),
    ]
)
"""JSON values that are times, as CloudTrail writes them and as others do."""

event_versions: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        ['"1.11"', '"1.0"', '"1.01"', '"1.05"', '"1.9"', '"2.0"', '"0.9"', '"11"', "1.08"]
    ),
    json_values,
)

_TYPICAL: dict[str, list[str]] = {
    "text": ['"AwsApiCall"', '"Management"', '""', '"a\\u0000b"', "null"],
    "account": [f'"{ACCOUNT}"', "12345678901", '"AWS Internal"', "null"],
    "json": ['{"a": 1.10}', "[]", '"{\\"a\\":1}"', "{}", "null"],
    "boolean": ["true", "false", '"true"', '"False"', "null"],
    "text-boolean": ['"true"', '"false"', "true", '"TRUE"', "null"],
    "integer": ["250", "-0", "2.50", '"7"', "9223372036854775808", "null"],
    "timestamp": ['"2026-01-10T12:00:00Z"', '"20131102T010628Z"', '"soon"', "1768048496", "null"],
}


def _odd(field: pa.Field) -> st.SearchStrategy[str]:
    """A value of a field's type, or nearly, or any other."""
    of = field.type
    if pa.types.is_struct(of):
        return st.one_of(_odd_struct(of), json_values)
    if pa.types.is_list(of):
        return st.one_of(_json_array(_odd(of.value_field)), json_values)
    if pa.types.is_map(of):
        members = st.lists(st.tuples(_NAMES, st.one_of(json_strings, json_values)), max_size=3)
        return st.one_of(_json_object(members), json_values)
    typical = st.sampled_from(_TYPICAL[kind(field)])
    return st.one_of(typical, json_values)


def _odd_struct(struct: Iterable[pa.Field]) -> st.SearchStrategy[str]:
    return _json_object(_odd_members(list(struct)))


def _odd_members(fields: list[pa.Field]) -> st.SearchStrategy[list[tuple[str, str]]]:
    known = [_named(field.name, _odd(field)) for field in fields]
    others = [
        _named(about(field, "alias"), _odd(field)) for field in fields if about(field, "alias")
    ]
    unknown = st.tuples(_NAMES, json_values)
    kinds = st.sampled_from([known, known, known, [*others, unknown]])
    return st.lists(kinds.flatmap(st.sampled_from).flatmap(lambda member: member), max_size=6)


def _named(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(
        st.sampled_from([f'"{name}"'] * 5 + [f'"\\u{ord(name[0]):04x}{name[1:]}"']), value
    )


def _timed(members: list[tuple[str, str]], version: str, time: str, space: str) -> str:
    others = [one for one in members if json.loads(one[0]) not in {"eventTime", "eventVersion"}]
    middle = len(others) // 2
    timed = [*others[:middle], ('"eventTime"', time), *others[middle:], ('"eventVersion"', version)]
    return _write_object(timed, space)


SURROGATE_NAME = r'{"eventTime":"2026-01-10T12:34:56Z","\ud800":1}'
"""A record with a member that no UTF-8 text can name."""

odd_records: st.SearchStrategy[str] = st.builds(
    _timed, _odd_members(list(RECORD)), event_versions, event_time_texts, _SPACE
)
"""Records with an event time; their other fields hold anything, unknown fields at every level."""


def _fitting(field: pa.Field) -> st.SearchStrategy[object]:
    of = field.type
    text = st.one_of(
        st.sampled_from(["", "AwsApiCall", "true", ACCOUNT, "a\0é😀"]), st.text(max_size=3)
    )
    if pa.types.is_struct(of):
        return st.fixed_dictionaries({}, optional={child.name: _fitting(child) for child in of})
    if pa.types.is_list(of):
        return st.lists(_fitting(of.value_field), max_size=2)
    if pa.types.is_map(of):
        return st.dictionaries(text, text, max_size=2)
    values: dict[str, st.SearchStrategy[object]] = {
        "json": st.sampled_from([{}, [], "", 1.5, {"a": [None, {"b": "é"}]}]),
        "boolean": st.booleans(),
        "integer": st.integers(-(2**63) + 1, 2**63 - 1),
        "text-boolean": st.sampled_from(["true", "false"]),
        "timestamp": st.sampled_from(["2026-01-10T12:34:56Z", "1999-12-31T23:59:59.000001Z"]),
    }
    return values.get(kind(field), text)


fitting_records: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "eventTime": st.just("2026-01-10T12:34:56Z"),
        "eventVersion": st.sampled_from(["1.0", "1.08", "1.11"]),
    },
    optional={
        field.name: st.one_of(st.none(), _fitting(field))
        for field in RECORD
        if field.name not in {"eventTime", "eventVersion"}
    },
)
"""Records in which every member has the type that its column wants."""


def broken(text: bytes) -> st.SearchStrategy[bytes]:
    """A text with one byte changed, taken out or put in, or cut short."""
    places = st.integers(0, len(text) - 1)
    bytes_ = st.integers(0, 255).map(lambda byte: bytes([byte]))
    changes: list[Callable[[int, bytes], bytes]] = [
        lambda at, byte: text[:at] + byte + text[at + 1 :],
        lambda at, byte: text[:at] + byte + text[at:],
        lambda at, _: text[:at] + text[at + 1 :],
        lambda at, _: text[:at],
    ]
    return st.builds(
        lambda change, at, byte: change(at, byte), st.sampled_from(changes), places, bytes_
    )


@dataclass(frozen=True, slots=True)
class WritableStores(Stores):
    """Stores whose source can be written to, as a test lays the log files there."""

    source: Store
