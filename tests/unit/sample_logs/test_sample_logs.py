"""The generated tree against its own truth, read back with nothing but gzip and json."""

import gzip
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrail_parquet.sample_logs import (
    VERSIONS,
    Site,
    TreeSpec,
    Truth,
    encode_record,
    generate_tree,
    make_record,
)
from cloudtrail_parquet.sample_logs.fleet import Stock

Fact = Callable[[dict[str, Any]], tuple[Any, Any]]

LAMBDA_SRC = Path(__file__).parents[3] / "lambda_src"
ACCOUNT = "012345678901"
NOON = datetime(2026, 1, 10, 12, 0, 7, tzinfo=UTC)
MESSY = TreeSpec(
    accounts=3, regions=2, days=4, records=6_000, late=0.05, duplicates=0.1, corrupt=0.03, seed=7
)
KEY = re.compile(
    r"AWSLogs/(?:(?P<org>o-[a-z0-9]{10})/)?(?P<account>\d{12})/CloudTrail/(?P<region>[a-z0-9-]+)/"
    r"(?P<day>\d{4}/\d{2}/\d{2})/"
    r"(?P=account)_CloudTrail_(?P=region)_(?P<stamp>\d{8}T\d{4})Z_[A-Za-z0-9]{16}\.json\.gz"
)
# CloudTrail user guide, "CloudTrail record contents": fields by the version that brought them.
FIELDS_BY_VERSION = [
    ("1.01", {"requestID", "eventID", "readOnly", "resources"}),
    ("1.02", {"eventType", "recipientAccountId", "apiVersion"}),
    ("1.03", {"sharedEventID"}),
    ("1.04", {"vpcEndpointId"}),
    ("1.05", {"serviceEventDetails"}),
    ("1.06", {"managementEvent"}),
    ("1.07", {"eventCategory"}),
    ("1.08", {"addendum", "sessionCredentialFromConsole", "tlsDetails"}),
    ("1.09", {"vpcEndpointAccountId"}),
]
ALWAYS = [("1.01", {"eventID", "readOnly"}), ("1.02", {"eventType", "recipientAccountId"})]
ALWAYS += [("1.06", {"managementEvent"}), ("1.07", {"eventCategory"})]


@dataclass
class Copy:
    """One record as it lies in one readable file."""

    key: str
    delivered: datetime
    account: str
    region: str
    record: dict[str, Any]

    @property
    def happened(self) -> datetime:
        return datetime.strptime(self.record["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    @property
    def is_late(self) -> bool:
        day = self.happened.replace(hour=0, minute=0, second=0)
        return self.delivered >= day + timedelta(days=1, hours=3)


@dataclass
class Found:
    """What reading a tree back gives, without a look at its truth."""

    files: int = 0
    bytes_gzipped: int = 0
    bytes_json: int = 0
    others: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    copies: defaultdict[str, list[Copy]] = field(default_factory=lambda: defaultdict(list))

    def units(self) -> Counter[tuple[str, str, str]]:
        firsts = [copies[0] for copies in self.copies.values()]
        return Counter((c.account, c.region, c.happened.date().isoformat()) for c in firsts)

    def all_copies(self) -> Iterator[Copy]:
        for copies in self.copies.values():
            yield from copies


def read_tree(root: Path) -> Found:
    found = Found()
    for path in sorted(root.rglob("*")):
        key = path.relative_to(root).as_posix()
        if path.is_dir():
            continue
        if not (match := KEY.fullmatch(key)):
            found.others.append(key)
            continue
        data = path.read_bytes()
        found.files += 1
        found.bytes_gzipped += len(data)
        try:
            body = gzip.decompress(data)
            records = json.loads(body, parse_float=str, parse_int=str)["Records"]
        except (EOFError, json.JSONDecodeError, KeyError, zlib.error) as error:
            found.damaged[key] = describe(error)
            continue
        found.bytes_json += len(body)
        found.sizes.append(len(records))
        delivered = datetime.strptime(match["stamp"], "%Y%m%dT%H%M").replace(tzinfo=UTC)
        for record in records:
            copy = Copy(key, delivered, match["account"], match["region"], record)
            found.copies[json.dumps(record, sort_keys=True)].append(copy)
    return found


def describe(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "truncated gzip"
    if isinstance(error, KeyError):
        return "no Records"
    return "bytes after the closing brace" if "Extra data" in str(error) else "not JSON"


def digest(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in files:
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def assert_truth_is_what_readers_find(truth: Truth, found: Found) -> None:
    units = {(unit.account, unit.region, unit.day): unit.records for unit in truth.units}
    assert units == found.units()
    assert truth.records == len(found.copies)
    assert truth.duplicates == sum(len(copies) - 1 for copies in found.copies.values())
    assert truth.late == sum(all(c.is_late for c in copies) for copies in found.copies.values())
    assert {file.key: file.reason for file in truth.corrupt_files} == found.damaged
    assert truth.skipped_files == len(found.others)
    sizes = (truth.files, truth.bytes_gzipped, truth.bytes_json)
    assert sizes == (found.files, found.bytes_gzipped, found.bytes_json)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Truth, Found]:
    root = tmp_path_factory.mktemp("messy")
    return generate_tree(root, MESSY), read_tree(root)


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, Any]]]:
    """Records of each version, from one busy account."""
    rng = random.Random("records")
    site = Site(rng, ACCOUNT, "us-east-1")

    def draw(version: str) -> dict[str, Any]:
        record = make_record(rng, ACCOUNT, "us-east-1", NOON, version, site=site)
        return dict(json.loads(encode_record(record)))

    return {version: [draw(version) for _ in range(800)] for version in VERSIONS}


@pytest.fixture(scope="module")
def busy() -> list[dict[str, Any]]:
    """Some hours of one account, in the order of their times."""
    rng = random.Random("busy")
    site = Site(rng, ACCOUNT, "us-east-1")
    times = [NOON + timedelta(seconds=second) for second in range(21_000)]
    records = [make_record(rng, ACCOUNT, "us-east-1", at, "1.11", site=site) for at in times]
    return [dict(json.loads(encode_record(record))) for record in records]


def calls(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in records if record["eventName"] == name]


def granted(records: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [record for record in calls(records, name) if record["responseElements"]]


def asked_about(record: dict[str, Any]) -> list[str]:
    items = record["requestParameters"]["instancesSet"].get("items", [])
    return [item["instanceId"] for item in items]


def launched(record: dict[str, Any]) -> str:
    (instance,) = record["responseElements"]["instancesSet"]["items"]
    return str(instance["instanceId"])


def test_the_truth_is_what_an_independent_reader_finds(messy: tuple[Truth, Found]) -> None:
    assert_truth_is_what_readers_find(*messy)


def test_every_record_is_readable_or_counted_as_lost(messy: tuple[Truth, Found]) -> None:
    truth, _ = messy

    assert truth.records_in_corrupt_files > 0
    assert truth.records + truth.records_in_corrupt_files == MESSY.records


@settings(max_examples=25, deadline=None)
@given(
    spec=st.builds(
        TreeSpec,
        accounts=st.integers(1, 3),
        regions=st.integers(1, 2),
        days=st.integers(1, 4),
        records=st.integers(0, 80),
        late=st.floats(0, 1),
        duplicates=st.floats(0, 1),
        corrupt=st.floats(0, 1),
        seed=st.integers(),
    )
)
def test_the_truth_holds_for_any_spec(spec: TreeSpec) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, found = generate_tree(Path(folder), spec), read_tree(Path(folder))

    assert_truth_is_what_readers_find(truth, found)
    assert truth.records + truth.records_in_corrupt_files == spec.records
    assert len(truth.corrupt_files) == math.ceil(truth.files * spec.corrupt)


def test_the_same_spec_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cloudtrail_parquet.sample_logs import *;"
        "spec = TreeSpec(records=600, late=.1, duplicates=.1, corrupt=.1);"
        "generate_tree(Path(sys.argv[1]), spec)"
    )
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(LAMBDA_SRC)}
        command = [sys.executable, "-c", code, str(tmp_path / hash_seed)]
        subprocess.run(command, check=True, env=env)

    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_another_seed_gives_another_tree(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate_tree(tmp_path / str(seed), TreeSpec(records=20, seed=seed))

    assert digest(tmp_path / "1") != digest(tmp_path / "2")


def test_gzip_headers_name_neither_time_nor_system(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(records=10))

    headers = {path.read_bytes()[:10] for path in tmp_path.rglob("*.json.gz")}
    assert headers == {b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"}


def test_folders_follow_the_delivery_date_and_stamps_fall_on_five_minutes(
    messy: tuple[Truth, Found],
) -> None:
    _, found = messy
    keys = {copy.key for copy in found.all_copies()} | set(found.damaged)
    matches = [KEY.fullmatch(key) for key in keys]

    for match in matches:
        assert match is not None
        assert match["day"].replace("/", "") == match["stamp"][:8]
        assert int(match["stamp"][-2:]) % 5 == 0


def test_events_before_midnight_land_in_the_folder_of_the_next_day(
    messy: tuple[Truth, Found],
) -> None:
    _, found = messy
    copies = [copy for copy in found.all_copies() if not copy.is_late]

    assert any(copy.delivered.date() > copy.happened.date() for copy in copies)


def test_usual_deliveries_take_three_seconds_to_ten_minutes(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(records=5_000))

    copies = read_tree(tmp_path).all_copies()
    delays = sorted((copy.delivered - copy.happened).total_seconds() for copy in copies)
    assert delays[0] >= 3
    assert delays[-1] <= 600
    assert 150 <= delays[len(delays) // 2] <= 250


def test_late_records_stay_in_the_range_of_days_and_come_within_forty(
    messy: tuple[Truth, Found],
) -> None:
    truth, found = messy
    last_day = MESSY.first_day + timedelta(days=MESSY.days - 1)
    late = [copies[0] for copies in found.copies.values() if all(c.is_late for c in copies)]

    assert truth.late == len(late) > 0.8 * MESSY.late * MESSY.records
    for copy in late:
        assert MESSY.first_day <= copy.happened.date() < copy.delivered.date() <= last_day
        assert timedelta(hours=3) <= copy.delivered - copy.happened <= timedelta(days=40)
    reasons = Counter(copy.record.get("addendum", {}).get("reason") for copy in late)
    assert set(reasons) == {None, "DELIVERY_DELAY"}


def test_late_records_of_a_single_day_come_within_forty_days(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(days=1, records=300, late=1.0))

    for copy in read_tree(tmp_path).all_copies():
        assert copy.is_late
        assert copy.happened.date() == TreeSpec().first_day
        assert copy.delivered - copy.happened <= timedelta(days=40)


def test_second_copies_lie_in_another_file_mostly_soon_after(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(accounts=1, records=2_000, duplicates=1.0))

    pairs = [
        sorted(c, key=lambda copy: copy.delivered) for c in read_tree(tmp_path).copies.values()
    ]
    assert {len(pair) for pair in pairs} == {2}
    assert all(first.key != second.key for first, second in pairs)
    gaps = [second.delivered - first.delivered for first, second in pairs]
    soon = sum(gap <= timedelta(minutes=20) for gap in gaps)
    assert 0.85 < soon / len(gaps) < 0.98
    assert max(gaps) > timedelta(hours=12)
    layouts = Counter(("/o-" in first.key) != ("/o-" in second.key) for first, second in pairs)
    assert min(layouts[True], layouts[False]) > 100


def test_only_the_first_account_has_a_trail_of_its_own(messy: tuple[Truth, Found]) -> None:
    _, found = messy
    accounts = {copy.account for copy in found.all_copies()}
    own = {copy.account for copy in found.all_copies() if "/o-" not in copy.key}

    assert len(accounts) == MESSY.accounts
    assert own == {account for account in accounts if account.startswith("0")}
    assert len(own) == 1


def test_a_damaged_share_is_rounded_up_and_every_kind_of_damage_occurs(
    messy: tuple[Truth, Found],
) -> None:
    truth, found = messy

    assert len(truth.corrupt_files) == math.ceil(truth.files * MESSY.corrupt)
    assert set(found.damaged.values()) == {
        "truncated gzip",
        "bytes after the closing brace",
        "not JSON",
        "no Records",
    }


def test_siblings_that_are_no_log_files_lie_beside_them(tmp_path: Path) -> None:
    truth = generate_tree(tmp_path, TreeSpec(records=0))

    folders = {path.parts[-6] for path in tmp_path.rglob("*.gz")}
    kinds = {"CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated"}
    assert folders == kinds | {"elasticloadbalancing"}
    (check,) = tmp_path.glob("AWSLogs/0*/Config/ConfigWritabilityCheckFile")
    assert check.stat().st_size == 0
    for path in tmp_path.rglob("*_CloudTrail-Digest_*"):
        assert re.search(r"_CloudTrail-Digest_us-east-1_.+_us-east-1_\d{8}T\d{6}Z\.", path.name)
    assert (truth.files, truth.records, truth.skipped_files) == (0, 0, 7)


def test_every_version_occurs_from_a_thousand_records_on(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=1_000))

    versions = Counter(copy.record["eventVersion"] for copy in read_tree(tmp_path).all_copies())
    assert set(versions) == set(VERSIONS)
    assert sum(versions[version] for version in VERSIONS[-4:]) > 0.85 * versions.total()


def test_records_have_only_fields_that_their_version_had(
    records: dict[str, list[dict[str, Any]]],
) -> None:
    for since, names in FIELDS_BY_VERSION:
        for version in VERSIONS[: VERSIONS.index(since)]:
            assert not [r for r in records[version] if names & r.keys()], (version, names)
    scoped = {
        v for v, rows in records.items() if any("inScopeOf" in r["userIdentity"] for r in rows)
    }
    assert scoped == {"1.11"}


def test_records_have_the_fields_that_their_version_always_had(
    records: dict[str, list[dict[str, Any]]],
) -> None:
    for since, names in ALWAYS:
        for version in VERSIONS[VERSIONS.index(since) :]:
            assert all(names <= r.keys() for r in records[version]), (version, names)
    seen: set[str] = set().union(*records["1.11"])
    assert seen >= set().union(*(names for _, names in FIELDS_BY_VERSION)) - {"addendum"}


def test_data_events_before_1_06_carry_no_flag(records: dict[str, list[dict[str, Any]]]) -> None:
    names = {record["eventName"] for record in records["1.05"]}

    assert {"GetObject", "Invoke"} <= names
    assert not {"GetObject", "Invoke"} & {record["eventName"] for record in records["1.04"]}


def test_records_without_an_id_differ_in_content(records: dict[str, list[dict[str, Any]]]) -> None:
    rows = records["1.0"]

    assert len({json.dumps(row, sort_keys=True) for row in rows}) == len(rows)
    assert len({row["requestParameters"]["clientToken"] for row in rows}) == len(rows)


def test_booleans_that_aws_writes_as_text_are_text(
    records: dict[str, list[dict[str, Any]]],
) -> None:
    rows = [record for version in VERSIONS for record in records[version]]
    consoles = {row.get("sessionCredentialFromConsole") for row in rows}
    contexts = [row["userIdentity"].get("sessionContext", {}) for row in rows]
    factors = {
        context["attributes"]["mfaAuthenticated"] for context in contexts if "attributes" in context
    }

    assert consoles == {None, "true"}
    assert factors == {"true", "false"}


def test_many_apis_services_and_kinds_of_caller_occur(
    records: dict[str, list[dict[str, Any]]],
) -> None:
    rows = [record for version in VERSIONS for record in records[version]]

    assert len({row["eventName"] for row in rows}) >= 25
    assert len({row["eventSource"] for row in rows}) >= 12
    assert {row["userIdentity"].get("type") for row in rows} == {
        *(None, "Root", "IAMUser", "AssumedRole", "FederatedUser"),
        *("AWSAccount", "AWSService", "IdentityCenterUser", "WebIdentityUser"),
    }
    assert {row.get("errorCode") for row in rows} >= {
        "AccessDenied",
        "Client.UnauthorizedOperation",
    }
    prefixes = [r for row in rows for r in row.get("resources", []) if "ARNPrefix" in r]
    assert prefixes
    assert not [resource for resource in prefixes if "ARN" in resource]
    logins = [row for row in rows if row["eventName"] == "ConsoleLogin"]
    outcomes = {row["responseElements"]["ConsoleLogin"] for row in logins}
    assert outcomes == {"Success", "Failure"}
    assert {row["additionalEventData"]["MFAUsed"] for row in logins} == {"Yes", "No"}


def test_records_hold_the_texts_that_careless_readers_break(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=3_000))

    bodies = [
        gzip.decompress(path.read_bytes()) for path in tmp_path.rglob("*_CloudTrail_*.json.gz")
    ]
    text = b"".join(bodies).decode()
    assert re.search(r'"id":\d{20}[,}]', text)
    assert re.search(r'"threshold":\d+\.\d0[,}]', text)
    assert "\\u003csensitiveDataRemoved\\u003e" in text
    assert "été" in text
    assert not set("<>&") & set(text)
    assert ", " not in re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def test_records_have_the_size_of_real_ones(messy: tuple[Truth, Found]) -> None:
    truth, found = messy

    assert 1_000 < truth.bytes_json / sum(found.sizes) < 1_500


def test_callers_are_drawn_from_a_pool(tmp_path: Path) -> None:
    generate_tree(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=4_000))

    copies = list(read_tree(tmp_path).all_copies())
    callers = {json.dumps(copy.record["userIdentity"]) for copy in copies}
    assert 0.02 < len(callers) / len(copies) < 0.12


def test_the_same_instances_are_asked_about_again_and_again(busy: list[dict[str, Any]]) -> None:
    asked = calls(busy, "DescribeInstances")[:2_000]
    new = {launched(record) for record in granted(busy, "RunInstances")}
    ids = Counter(id_ for record in asked for id_ in asked_about(record))

    assert len(asked) == 2_000
    assert 40 <= len(ids.keys() - new) <= 60
    assert ids.keys() & new
    favourites = sum(count for _, count in ids.most_common(12))
    assert 0.35 < favourites / ids.total() < 0.65


def test_networks_volumes_images_and_groups_are_few(busy: list[dict[str, Any]]) -> None:
    text = json.dumps([record for record in busy if record["eventSource"].startswith("ec2")])
    seen = {
        kind: len(set(re.findall(rf'"({kind}-[0-9a-f]{{17}})"', text)))
        for kind in ("vpc", "subnet", "sg", "ami", "vol")
    }

    assert 70 < seen.pop("vol") <= 80  # some of them are hardly ever asked about
    assert seen == {"vpc": 3, "subnet": 6, "sg": 12, "ami": 10}


def material(record: dict[str, Any]) -> tuple[Any, Any]:
    return record["resources"][0]["ARN"], record["additionalEventData"]["keyMaterialId"]


def context(record: dict[str, Any]) -> tuple[Any, Any]:
    parameters = record["requestParameters"]
    return json.dumps(parameters["encryptionContext"]), parameters["keyId"]


def computer(record: dict[str, Any]) -> tuple[Any, Any]:
    parameters = record["requestParameters"]
    return parameters["instanceId"], (parameters["computerName"], parameters["availabilityZone"])


def database(record: dict[str, Any]) -> tuple[Any, Any]:
    response = record["responseElements"]
    return response["dBInstanceIdentifier"], response["dbiResourceId"]


def role(record: dict[str, Any]) -> tuple[Any, Any]:
    assumed = record["responseElements"]["assumedRoleUser"]["assumedRoleId"]
    return record["requestParameters"]["roleArn"], assumed.partition(":")[0]


def network(record: dict[str, Any]) -> tuple[Any, Any]:
    (instance,) = record["responseElements"]["instancesSet"]["items"]
    return instance["subnetId"], (instance["vpcId"], instance["placement"])


def size(record: dict[str, Any]) -> tuple[Any, Any]:
    parameters = record["requestParameters"]
    sent = record["additionalEventData"]["bytesTransferredOut"]
    return (parameters["bucketName"], parameters["key"]), sent


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("Decrypt", material),
        ("GenerateDataKey", material),
        ("Decrypt", context),
        ("UpdateInstanceInformation", computer),
        ("ModifyDBInstance", database),
        ("AssumeRole", role),
        ("RunInstances", network),
        ("GetObject", size),
    ],
)
def test_what_belongs_to_a_thing_stays_the_same(
    busy: list[dict[str, Any]], name: str, fact: Fact
) -> None:
    which = granted if name in {"ModifyDBInstance", "AssumeRole", "RunInstances"} else calls
    facts = [fact(record) for record in which(busy, name)]

    things = {thing for thing, _ in facts}
    assert 1 < len(things) < len(facts)
    assert len({str(one) for one in facts}) == len(things)


def test_an_agent_reports_its_instance_in_the_session_of_the_instance(
    busy: list[dict[str, Any]],
) -> None:
    for record in calls(busy, "UpdateInstanceInformation"):
        session = record["userIdentity"]["arn"].rpartition("/")[2]
        assert session == record["requestParameters"]["instanceId"]
        assert "amazon-ssm-agent" in record["userAgent"]


def test_a_function_in_a_vpc_has_a_handful_of_interfaces_and_others_have_none(
    busy: list[dict[str, Any]],
) -> None:
    interfaces = defaultdict(set)
    for record in calls(busy, "Invoke"):
        extra = record.get("additionalEventData") or {"customerEniId": None}
        interfaces[record["requestParameters"]["functionName"]].add(extra["customerEniId"])

    assert len(interfaces) == 8
    inside = [ids for ids in interfaces.values() if ids != {None}]
    assert 0 < len(inside) < 8
    assert all(1 < len(ids) <= 5 and None not in ids for ids in inside)


@pytest.mark.parametrize(
    ("name", "member", "most"),
    [
        ("GetSecretValue", "secretId", 30),
        ("GetParameters", "names", 30),
        ("BatchGetImage", "imageIds", 30),
        ("DescribeLogGroups", "logGroupNamePrefix", 20),
        ("PutMetricAlarm", "alarmName", 30),
        ("GetAccessKeyLastUsed", "accessKeyId", 20),
        ("AttachRolePolicy", "roleName", 40),
    ],
)
def test_names_are_drawn_from_what_there_is(
    busy: list[dict[str, Any]], name: str, member: str, most: int
) -> None:
    asked = [json.dumps(record["requestParameters"][member]) for record in calls(busy, name)]

    assert 2 < len(set(asked)) <= min(most, len(asked))


def test_half_of_the_reads_are_of_known_objects_and_what_is_put_is_new(
    busy: list[dict[str, Any]],
) -> None:
    known: set[tuple[str, str]] = set()
    gone: set[tuple[str, str]] = set()
    again: Counter[str] = Counter()
    for record in busy:
        name, parameters = record["eventName"], record["requestParameters"] or {}
        if "key" not in parameters or record["eventSource"] != "s3.amazonaws.com":
            continue
        place = (parameters["bucketName"], parameters["key"])
        again[name] += place in known
        again[f"{name} of what is gone"] += place in gone
        known.add(place)
        if name == "DeleteObject":
            gone.add(place)

    assert 0.4 < again["GetObject"] / len(calls(busy, "GetObject")) < 0.65
    assert 0.3 < again["DeleteObject"] / len(calls(busy, "DeleteObject")) < 0.6
    assert again["PutObject"] == 0
    assert again["GetObject of what is gone"] == again["DeleteObject of what is gone"] == 0


def test_resources_have_types_of_aws(busy: list[dict[str, Any]]) -> None:
    types = {one.get("type") for record in busy for one in record.get("resources") or ()}

    assert types - {None} == {
        "AWS::DynamoDB::Table",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::S3::Object",
    }


def test_what_a_call_makes_is_new(busy: list[dict[str, Any]]) -> None:
    made = [
        [launched(record) for record in granted(busy, "RunInstances")],
        [record["requestParameters"]["clientToken"] for record in calls(busy, "RunInstances")],
        [r["responseElements"]["snapshotId"] for r in calls(busy, "CreateSnapshot")],
        [r["responseElements"]["accessKey"]["accessKeyId"] for r in calls(busy, "CreateAccessKey")],
        [r["responseElements"]["credentials"]["accessKeyId"] for r in granted(busy, "AssumeRole")],
        [r["responseElements"]["credentials"]["sessionToken"] for r in granted(busy, "AssumeRole")],
        [r["requestParameters"]["logStreamName"] for r in calls(busy, "CreateLogStream")],
        [r["additionalEventData"]["x-amz-id-2"] for r in calls(busy, "GetObject")],
        [record["eventID"] for record in busy],
        [record["requestID"] for record in busy if "requestID" in record],
    ]

    assert all(len(ids) > 10 for ids in made)
    assert all(len(set(ids)) == len(ids) for ids in made)


def test_an_instance_that_was_terminated_is_not_asked_about_again(
    busy: list[dict[str, Any]],
) -> None:
    alive: set[str] = set()
    gone: set[str] = set()
    for record in busy:
        if record["eventName"] == "DescribeInstances":
            assert not gone & set(asked_about(record))
        elif record["eventName"] == "TerminateInstances":
            gone.update(asked_about(record))
        elif record["eventName"] == "RunInstances" and record["responseElements"]:
            alive.add(launched(record))

    assert gone & alive


def test_session_tokens_look_like_real_ones(busy: list[dict[str, Any]]) -> None:
    tokens = {
        name: [
            (record["eventTime"][:13], record["responseElements"]["credentials"]["sessionToken"])
            for record in granted(busy, name)
        ]
        for name in ("AssumeRole", "AssumeRoleWithWebIdentity")
    }
    every = [token for name in tokens for _, token in tokens[name]]

    assert all(token.startswith("IQoJb3JpZ2luX2VjE") for token in every)
    assert {len(token) for token in every} == {752, 756, 768, 780, 1068}
    starts = {(hour, token[:32]) for name in tokens for hour, token in tokens[name]}
    assert len(starts) == len({hour for hour, _ in starts}) > 1


def test_as_many_records_have_responses_as_in_real_logs(busy: list[dict[str, Any]]) -> None:
    responses = [json.dumps(r["responseElements"], separators=(",", ":")) for r in busy]
    sizes = [len(text) for text in responses if text != "null"]

    assert 0.10 < len(sizes) / len(busy) < 0.15
    assert 55 < sum(sizes) / len(busy) < 85
    assert 0.03 < len(calls(busy, "AssumeRole")) / len(busy) < 0.055
    assert len(granted(busy, "AssumeRole")) < len(calls(busy, "AssumeRole"))


def test_a_stock_stays_as_small_as_it_may_be() -> None:
    rng = random.Random("stock")
    stock: Stock[int] = Stock([1, 2], limit=5)

    for number in range(100):
        stock.add(rng, number)

    assert len(stock.items) == 5
    taken = {stock.take(rng) for _ in range(5)}
    assert len(taken) == 5
    assert not stock.items


def test_a_large_tree_has_one_huge_file(tmp_path: Path) -> None:
    truth = generate_tree(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=100_000))

    *_, second, largest = sorted(
        (path for path in tmp_path.rglob("*.json.gz")), key=lambda path: path.stat().st_size
    )
    body = gzip.decompress(largest.read_bytes())
    assert 25e6 < len(body) < 45e6
    assert 20_000 <= body.count(b'{"eventVersion":') <= 35_000
    assert gzip.decompress(second.read_bytes()).count(b'{"eventVersion":') <= 1_500
    assert truth.records == 100_000
    assert 200 < truth.records / truth.files < 800


def test_volume_is_skewed_over_accounts_and_regions(messy: tuple[Truth, Found]) -> None:
    _, found = messy
    volumes = Counter((copy.account, copy.region) for copy in found.all_copies())
    ranked = [count for _, count in volumes.most_common()]

    assert len(ranked) == MESSY.accounts * MESSY.regions
    assert ranked[0] > 3 * ranked[-1]


def test_a_truth_can_be_written_as_json(messy: tuple[Truth, Found]) -> None:
    truth, _ = messy

    assert json.loads(json.dumps(asdict(truth)))["units"][0]["day"] == "2026-01-10"


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(FileExistsError, match="not empty"):
        generate_tree(tmp_path, TreeSpec(records=1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"accounts": 0}, "accounts: 0 is outside 1 to 10000"),
        ({"regions": 18}, "regions: 18 is outside 1 to 17"),
        ({"days": 0}, "days: 0 is outside 1 to 3650"),
        ({"records": -1}, "records: -1 is outside 0 to 1000000000000"),
        ({"late": 1.5}, "late: 1.5 is outside 0.0 to 1.0"),
        ({"duplicates": -0.1}, "duplicates: -0.1 is outside 0.0 to 1.0"),
        ({"corrupt": math.nan}, "corrupt: nan is outside 0.0 to 1.0"),
        (
            {"first_day": date(2012, 1, 1)},
            "first_day: 2012-01-01 is outside 2013-11-13 to 2100-01-01",
        ),
    ],
)
def test_a_value_outside_its_range_is_named_with_the_range(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TreeSpec(**fields)


def test_digest_files_are_the_same_for_the_same_seed_and_leave_log_files_as_they_are(
    tmp_path: Path,
) -> None:
    spec = TreeSpec(accounts=1, regions=1, days=1, records=50)
    plain = generate_tree(tmp_path / "plain", spec)
    signed = [generate_tree(tmp_path / name, replace(spec, digests=True)) for name in "ab"]

    first, second = (files_of(tmp_path / name) for name in "ab")
    assert first == second
    assert signed[0] == signed[1]
    logs = {key: data for key, data in files_of(tmp_path / "plain").items() if "-Digest" not in key}
    assert logs.items() <= first.items()
    assert plain.records == signed[0].records


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
