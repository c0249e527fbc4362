"""What a field of an environment file may hold; a mistake says what would have been legal."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, StrictInt

from bundle.package import RUNTIMES
from cloudtrail_parquet.errors import UsageError
from cloudtrail_parquet.settings.ages import LEAST_DAYS, days_of
from stacks.environment.cron import cron_mistakes

T = TypeVar("T")

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827,
                      2192, 2557, 2922, 3288, 3653)  # fmt: skip
"""What CloudWatch Logs accepts (PutRetentionPolicy, API reference)."""

PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""AWS's partitions, by how the names of their regions begin; all others are in ``aws``."""

MAX_PREFIX = 1024 - 256
"""Characters of a prefix: a key has 1,024 bytes (S3 User Guide, "Naming Amazon S3 objects"), and
what lies below sources, dataset and state takes less than 256 of them."""

RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
"""How names of new buckets neither begin nor end (S3 User Guide, "General purpose bucket naming
rules"). Buckets that are older than a rule keep their names."""

MAX_TAGS = 50  # of a resource (AWS General Reference, tags); the same for their characters

_ARN = "arn:aws(-us-gov|-cn)?"
_FOLDER = r"[A-Za-z0-9!_.'()=@:+,-]+"  # nothing that IAM or a URI reads as something else
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_TAG_TEXT = r"[\w .:/=+@-]"


def legal(is_legal: Callable[[T], object], what: str) -> AfterValidator:
    """Refuses other values; ``what`` completes "it has to be"."""

    def check(value: T) -> T:
        if not is_legal(value):
            raise ValueError(f"it has to be {what}")
        return value

    return AfterValidator(check)


def text(pattern: str, what: str, flags: re.RegexFlag = re.ASCII) -> AfterValidator:
    """Refuses text that does not match the pattern as a whole."""
    return legal(re.compile(pattern, flags).fullmatch, what)


def number(low: int, high: int, unit: str) -> AfterValidator:
    """Refuses numbers outside of a range."""

    def is_legal(value: int) -> bool:
        return low <= value <= high

    return legal(is_legal, f"{low:,} to {high:,} {unit}")


def distinct(values: Sequence[str]) -> bool:
    """Whether no value is given twice."""
    return len(set(values)) == len(values)


def partition_of(region: str) -> str:
    """The partition of AWS that a region is in, as ARNs of it begin."""
    return next((name for start, name in PARTITIONS.items() if region.startswith(start)), "aws")


def _checked_cron(expression: str) -> str:
    if expression.startswith("cron(") and (mistakes := list(cron_mistakes(expression))):
        raise ValueError(f"EventBridge would refuse it: {'; '.join(mistakes)}")
    return expression


def _is_age(value: str) -> bool:
    try:
        return days_of(value, "")[0] >= LEAST_DAYS
    except UsageError:
        return False


AccountId = Annotated[str, text("[0-9]{12}", "twelve digits in quotes")]
Region = Annotated[
    str,  # of the three partitions whose endpoints the converter knows
    text(r"(?!..-iso)[a-z]{2}(-[a-z]+)+-[0-9]", "a region, such as eu-west-1 or us-gov-west-1"),
]
StackName = Annotated[
    str, text("[a-z][a-z0-9-]{0,38}[a-z0-9]", "2 to 40 lower-case letters, digits and -")
]
SourceBucketName = Annotated[
    str,  # labels with dots between them (CloudTrail User Guide, on names of its buckets)
    text(
        rf"(?=.{{3,63}}\Z)(?!\d+(\.\d+){{3}}\Z){_LABEL}(\.{_LABEL})*",
        "the name of a bucket, without s3:// or arn:, and not an address",
    ),
]
BucketName = Annotated[
    SourceBucketName,
    legal(
        lambda name: not name.startswith(RESERVED_STARTS) and not name.endswith(RESERVED_ENDS),
        f"a name that S3 lets a bucket have: none with {', '.join(RESERVED_STARTS)} at its"
        f" beginning, or {', '.join(RESERVED_ENDS)} at its end",
    ),
]
Prefix = Annotated[
    str,
    text(
        rf"|{_FOLDER}(/{_FOLDER})*",
        "folders with / between them, none at its ends, without wildcards and white space",
    ),
    legal(
        lambda prefix: not {".", ".."} & set(prefix.split("/")),
        "without folders . and .., since such keys cannot be read: name the folder above",
    ),
    legal(
        lambda prefix: len(prefix) <= MAX_PREFIX,
        f"{MAX_PREFIX} characters at most, which leaves room for keys of 1,024 bytes",
    ),
]
ObjectKey = Annotated[str, text(rf"{_FOLDER}(/{_FOLDER})*", "an object's key")]
KeyArn = Annotated[str, text(rf"{_ARN}:kms:[\w-]+:\d{{12}}:key/[\w-]+", "the ARN of a KMS key")]
TopicArn = Annotated[str, text(rf"{_ARN}:sns:[\w-]+:\d{{12}}:[\w-]+", "the ARN of an SNS topic")]
RoleArn = Annotated[str, text(rf"{_ARN}:iam::\d{{12}}:role/[\w+=,.@/-]+", "the ARN of an IAM role")]
Reader = Annotated[
    str,
    text(
        rf"\d{{12}}|{_ARN}:iam::\d{{12}}:role/[\w+=,.@/-]+",
        "an account, twelve digits in quotes, or the ARN of an IAM role",
    ),
]
StorageClass = Literal["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]
"""Storage classes that are read at once and lie in several zones; of the others, some cannot be
queried, and one is lost with its zone."""

PolicyArn = Annotated[
    str, text(rf"{_ARN}:iam::(\d{{12}}|aws):policy/[\w+=,.@/-]+", "the ARN of an IAM policy")
]
RolePath = Annotated[str, text(r"/([\w+=,.@-]+/)*", "a path, such as / or /security/")]
Cron = Annotated[
    str,
    text(
        r"cron\([^\s()]+( [^\s()]+){5}\)|rate\([1-9][0-9]* (minute|hour|day)s?\)",
        "cron(…) with six fields, such as cron(15 3 * * ? *), or rate(…), such as rate(1 hour)",
    ),
    AfterValidator(_checked_cron),
]
Age = Annotated[
    str, legal(_is_age, f"an age of {LEAST_DAYS} days or more, such as 7y, 18 months or 400d")
]
SubnetId = Annotated[str, text("subnet-[0-9a-f]+", "a subnet's id")]
SecurityGroupId = Annotated[str, text("sg-[0-9a-f]+", "a security group's id")]
CatalogueName = Annotated[
    str, text("[a-z0-9_]{1,255}", "lower-case letters, digits and _, for Athena")
]
TagName = Annotated[
    str,
    text(
        rf"(?!aws:){_TAG_TEXT}{{1,128}}",
        "1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:",
        re.IGNORECASE,
    ),
]
TagValue = Annotated[
    str,
    text(rf"{_TAG_TEXT}{{0,256}}", "256 letters, digits, spaces and _.:/=+-@ at most", re.NOFLAG),
]
Tags = Annotated[
    dict[TagName, TagValue], legal(lambda tags: len(tags) <= MAX_TAGS, f"{MAX_TAGS} at most")
]
Runtime = Annotated[str, legal(lambda name: name in RUNTIMES, f"one of {', '.join(RUNTIMES)}")]
RetentionDays = Annotated[
    StrictInt,
    legal(
        lambda days: days in LOG_RETENTION_DAYS,
        f"one of {', '.join(map(str, LOG_RETENTION_DAYS))}",
    ),
]
