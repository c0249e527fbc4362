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
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrail_parquet.generate import (
    VERSIONS,
    Site,
    TreeSpec,
    Truth,
    encode_record,
    generate,
    make_record,
)

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
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
    return generate(root, MESSY), read_tree(root)


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, Any]]]:
    """Records of each version, from one busy account."""
    rng = random.Random("records")
    site = Site(rng, ACCOUNT, "us-east-1")

    def draw(version: str) -> dict[str, Any]:
        record = make_record(rng, ACCOUNT, "us-east-1", NOON, version, site=site)
        return dict(json.loads(encode_record(record)))

    return {version: [draw(version) for _ in range(800)] for version in VERSIONS}


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
        truth, found = generate(Path(folder), spec), read_tree(Path(folder))

    assert_truth_is_what_readers_find(truth, found)
    assert truth.records + truth.records_in_corrupt_files == spec.records
    assert len(truth.corrupt_files) == math.ceil(truth.files * spec.corrupt)


def test_the_same_spec_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cloudtrail_parquet.generate import *;"
        "generate(Path(sys.argv[1]), TreeSpec(records=600, late=.1, duplicates=.1, corrupt=.1))"
    )
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(LAMBDA_SRC)}
        command = [sys.executable, "-c", code, str(tmp_path / hash_seed)]
        subprocess.run(command, check=True, env=env)

    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_another_seed_gives_another_tree(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate(tmp_path / str(seed), TreeSpec(records=20, seed=seed))

    assert digest(tmp_path / "1") != digest(tmp_path / "2")


def test_gzip_headers_name_neither_time_nor_system(tmp_path: Path) -> None:
    generate(tmp_path, TreeSpec(records=10))

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
    generate(tmp_path, TreeSpec(records=5_000))

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
    generate(tmp_path, TreeSpec(days=1, records=300, late=1.0))

    for copy in read_tree(tmp_path).all_copies():
        assert copy.is_late
        assert copy.happened.date() == TreeSpec().first_day
        assert copy.delivered - copy.happened <= timedelta(days=40)


def test_second_copies_lie_in_another_file_mostly_soon_after(tmp_path: Path) -> None:
    generate(tmp_path, TreeSpec(accounts=1, records=2_000, duplicates=1.0))

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
    truth = generate(tmp_path, TreeSpec(records=0))

    folders = {path.parts[-6] for path in tmp_path.rglob("*.gz")}
    kinds = {"CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-Aggregated"}
    assert folders == kinds | {"elasticloadbalancing"}
    (check,) = tmp_path.glob("AWSLogs/0*/Config/ConfigWritabilityCheckFile")
    assert check.stat().st_size == 0
    for path in tmp_path.rglob("*_CloudTrail-Digest_*"):
        assert re.search(r"_CloudTrail-Digest_us-east-1_.+_us-east-1_\d{8}T\d{6}Z\.", path.name)
    assert (truth.files, truth.records, truth.skipped_files) == (0, 0, 7)


def test_every_version_occurs_from_a_thousand_records_on(tmp_path: Path) -> None:
    generate(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=1_000))

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
    generate(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=3_000))

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
    generate(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=4_000))

    copies = list(read_tree(tmp_path).all_copies())
    callers = {json.dumps(copy.record["userIdentity"]) for copy in copies}
    assert 0.02 < len(callers) / len(copies) < 0.12


def test_a_large_tree_has_one_huge_file(tmp_path: Path) -> None:
    truth = generate(tmp_path, TreeSpec(accounts=1, regions=1, days=1, records=100_000))

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
        generate(tmp_path, TreeSpec(records=1))


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
