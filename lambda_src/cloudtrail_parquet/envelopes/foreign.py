"""What a file that holds no CloudTrail records looks like, and what to do about it.

One table for what is told by the beginning of a text, one for what is told by the members of a
JSON object. Both are only asked once nothing else is found, except for formats that are no text.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

SET_ASIDE = "Copy the object again, or set it aside"
_MOVE = "Move it out of the source"
_UNPACK = "Unpack it"
_HEAD_BYTES = 4096


class Foreign(NamedTuple):
    """A kind of file.

    Attributes:
        what: What it is, after "the file is …" or "a line is …".
        hint: What to do about it.
    """

    what: str
    hint: str = _MOVE


_MAGIC: tuple[tuple[bytes, Foreign], ...] = (  # at the first byte
    (rb"PAR1", Foreign("a Parquet file", "Read it as it is: nothing is to be converted")),
    (rb"ORC", Foreign("an ORC file", "Convert its JSON texts, not this")),
    (rb"Obj\x01", Foreign("an Avro file", "Convert its JSON texts, not this")),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", Foreign("a zip archive", _UNPACK)),
    (rb"\x28\xb5\x2f\xfd", Foreign("compressed by zstd", "Inflate it with zstd -d")),
    (rb"BZh[1-9]1AY&SY", Foreign("compressed by bzip2", "Inflate it with bzip2 -d")),
    (rb"\xfd7zXZ\x00", Foreign("compressed by xz", "Inflate it with xz -d")),
    (rb"\x04\x22\x4d\x18", Foreign("compressed by lz4", "Inflate it with lz4 -d")),
    (rb"\xff\x06\x00\x00sNaPpY", Foreign("compressed by snappy", "Inflate it")),
    (rb"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", _UNPACK)),
    (rb"\x1f\x8b", Foreign("gzipped three times", "Inflate it")),
    (rb"%PDF-", Foreign("a PDF document")),
    (rb"SQLite format 3\x00", Foreign("an SQLite database")),
    (rb"(?s:.{257})ustar", Foreign("a tar archive", _UNPACK)),
    (
        rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff|[{\[\"]\x00\x00\x00|\x00\x00\x00[{\[\"]",
        Foreign("UTF-32 text", "Write it as UTF-8"),
    ),
    (rb"[{\[\"]\x00|\x00[{\[\"]", Foreign("UTF-16 text without a mark", "Write it as UTF-8")),
)

_TEXTS: tuple[tuple[bytes, Foreign], ...] = (  # at the first byte that is not white space
    (
        rb"version https://git-lfs\.github\.com/spec/",
        Foreign("a pointer of Git LFS", "Fetch the file itself with git lfs pull"),
    ),
    (rb"(?i:<!doctype html|<html)", Foreign("an HTML page", SET_ASIDE)),
    (
        rb"(?s:(?:<\?xml.{,200}?)?<Error>)",
        Foreign("an error of S3 in place of an object", "Copy the object again"),
    ),
    (rb"<", Foreign("XML", SET_ASIDE)),
    (
        rb"version account-id interface-id |\d{1,2} (?:\d{12}|unknown) eni-",
        Foreign("a VPC flow log"),
    ),
    (
        rb"(?:https?|h2|grpcs?|wss?|tls) \d{4}-\d\d-\d\dT\S+ (?:app|net)/",
        Foreign("a log of a load balancer"),
    ),
    (
        rb"\d{4}-\d\d-\d\dT\S+Z \S+ \d[0-9a-f.:]*:\d+ \S+ -?[\d.]+ ",
        Foreign("a log of a classic load balancer"),
    ),
    (
        rb"[0-9a-f]{64} \S+ \[\d\d/\w{3}/\d{4}:",
        Foreign("an access log of S3", "CloudTrail's data events are something else"),
    ),
    (rb"#Version: ", Foreign("an access log of CloudFront")),
    (
        rb"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d \S+ ",
        Foreign("what aws logs tail prints", "Use aws logs filter-log-events --output json"),
    ),
    (
        rb"EVENTS\t|Events:\s|-+\r?\n\| +LookupEvents",
        Foreign("an answer of lookup-events, but not as JSON", "Ask again with --output json"),
    ),
    (
        rb"(?=[^\n]*\bEvent time\b)(?=[^\n]*\bEvent name\b)(?:[\w \"-]+,)+",
        Foreign("Event history as CSV, without its records", "Download it as JSON"),
    ),
    (
        rb"\"?[A-Za-z_][\w .-]*\"?(?:;\"?[\w .-]*\"?)+\r?\n",
        Foreign("a CSV file with semicolons", "Save it with commas, and select eventJson"),
    ),
    (rb"(?:-|#!|//|/\*|---\s)", Foreign("text, but not JSON", SET_ASIDE)),
    (rb"(?=[\w \".,-]*,)\"?[A-Za-z_][\w .-]*\"?(?:,\"?[\w .-]*\"?)+\r?\n", Foreign("a CSV file")),
)

_CSV_HINT = "Of a query in CloudTrail Lake, select eventJson"

_OBJECTS: tuple[tuple[frozenset[str], Foreign], ...] = (  # each of these members is there
    (
        frozenset({"digestStartTime", "logFiles"}),
        Foreign("a digest file of CloudTrail, which names log files and holds no records"),
    ),
    (
        frozenset({"hashSignature", "files"}),
        Foreign("the signature of saved query results", "Convert the results, not this"),
    ),
    (
        frozenset({"QueryStatus"}),
        Foreign("the answer about a query in CloudTrail Lake without rows", "Save its results"),
    ),
    (frozenset({"configurationItems"}), Foreign("a history or snapshot of AWS Config")),
    (frozenset({"configurationItem"}), Foreign("a notification of AWS Config")),
    (frozenset({"webaclId", "httpRequest"}), Foreign("a log of AWS WAF")),
    (
        frozenset({"s3Bucket", "s3ObjectKey"}),
        Foreign("a notification that names log files", "Convert the log files that it names"),
    ),
    (
        frozenset({"Type", "MessageId", "Message"}),
        Foreign("a notification of SNS", "Convert the log files that it is about"),
    ),
    (
        frozenset({"Messages"}),
        Foreign("messages of SQS", "Convert the log files that they are about"),
    ),
    (
        frozenset({"MessageId", "Body"}),
        Foreign("a message of SQS", "Convert the log files that it is about"),
    ),
    (frozenset({"query_timestamp", "query_name"}), Foreign("a query log of Route 53")),
    (frozenset({"schemaVersion", "accountId", "severity"}), Foreign("a finding of GuardDuty")),
    (frozenset({"SchemaVersion", "ProductArn"}), Foreign("a finding of Security Hub")),
    (
        frozenset({"class_uid", "metadata"}),
        Foreign("an event in the form of OCSF", "Convert the log files of the trail instead"),
    ),
    (frozenset({"Error"}), Foreign("an error message", "Copy the object again")),
)

S3_NOTIFICATION = Foreign(
    "a notification of S3, which names objects and is no event of CloudTrail",
    "Convert the log files that it names",
)
INSIGHTS_ROW = Foreign(
    "a row of Logs Insights without its message", "Ask for fields @message in the query"
)
LAKE_ROW = Foreign("a row of CloudTrail Lake without its record", "Select eventJson in the query")

_BOUND, _NAME_CHARS = 5, 40


def by_magic(text: bytes) -> Foreign | None:
    """What a file is that is not UTF-8 text; None if it may be."""
    head = text[:_HEAD_BYTES]
    return next((kind for pattern, kind in _MAGIC if re.match(pattern, head)), None)


def by_text(text: bytes) -> Foreign:
    """What a text is that is not JSON."""
    head = text[:_HEAD_BYTES].lstrip()
    if not head:
        rest = text[_HEAD_BYTES:].strip()
        return by_text(rest) if rest else Foreign("empty", SET_ASIDE)
    if not head.strip(b"\x00"):
        return Foreign("nothing but zero bytes", SET_ASIDE)
    for pattern, kind in _TEXTS:
        if re.match(pattern, head):
            return kind._replace(hint=_CSV_HINT) if kind.what == "a CSV file" else kind
    if b"\x00" in head or _is_binary(head):
        return Foreign("binary data", SET_ASIDE)
    if head[:1] in b"{[":
        return Foreign("JSON that is damaged or cut short", SET_ASIDE)
    return Foreign("text, but not JSON", SET_ASIDE)


def by_members(names: Iterable[str]) -> Foreign:
    """What a JSON object is, by its members."""
    names = list(names)
    for needed, kind in _OBJECTS:
        if needed <= set(names):
            return kind
    if not names:
        return Foreign("an empty JSON object", SET_ASIDE)
    more = ", …" if len(names) > _BOUND else ""
    first = ", ".join(name[:_NAME_CHARS] for name in names[:_BOUND])
    return Foreign(f"a JSON object with {first}{more}", SET_ASIDE)


def hint_of(fault: str) -> str:
    """What to do about an element with such a fault: ``it is …``."""
    kinds = [*(kind for _, kind in _OBJECTS), LAKE_ROW, INSIGHTS_ROW, S3_NOTIFICATION]
    return next((kind.hint for kind in kinds if fault == f"it is {kind.what}"), SET_ASIDE)


def is_s3_notification(event_source: object) -> bool:
    """Whether a record is no event of CloudTrail's but S3's own, which looks like one.

    S3 User Guide, "Event message structure": version 2 of a record with eventSource, eventName,
    eventTime and awsRegion. Event sources of CloudTrail are domain names.
    """
    return event_source == "aws:s3"


def _is_binary(head: bytes) -> bool:
    odd = sum((byte < 32 and byte not in b"\t\n\r\x1b") or byte > 126 for byte in head)  # noqa: PLR2004
    return odd * 10 > len(head) * 3
