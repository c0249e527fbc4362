"""What digest files prove, and that nothing is found where nothing is wrong."""

import gzip
import json
import random
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.digests.check import check_digests, digested_places
from cloudtrail_parquet.digests.logs import Period
from cloudtrail_parquet.digests.public_keys import PublicKeys, keys_in
from cloudtrail_parquet.sample_logs import TreeSpec, generate_tree
from cloudtrail_parquet.sample_logs.digests import keys_of as keys_path
from cloudtrail_parquet.source.discover import discover
from cloudtrail_parquet.storage import UnionStore, open_store
from tests.unit.digests.signed_tree import (
    ABOVE,
    HOUR,
    REGION,
    START,
    TRAIL,
    SignedTree,
    generated,
    keys_of,
    kinds,
    log_text,
    signed_tree,
    signing_key,
    writer_into,
    wrong,
)


def test_nothing_is_found_in_a_bucket_as_cloudtrail_has_written_it() -> None:
    assert signed_tree().check() == []


def test_on_a_disk_all_signatures_but_the_last_are_known_from_the_chain() -> None:
    tree = signed_tree()

    (finding,) = tree.check(metadata=False)

    assert (finding.kind, finding.where) == ("signature unknown", tree.digests()[-1])
    assert not finding.is_wrong


def test_a_generated_tree_is_as_it_was_delivered() -> None:
    files, keys_text = generated()
    keys = PublicKeys(keys_in(keys_text, "keys"))

    findings = SignedTree(dict(files)).check(keys, uri="memory:///")

    assert set(kinds(findings)) <= {"signature unknown", "moved"}
    assert kinds(findings)["signature unknown"] == 3  # two trails in one account, one in the other


@pytest.mark.parametrize("metadata", [True, False])
def test_a_log_file_with_other_text_is_named(*, metadata: bool) -> None:
    tree = signed_tree()
    key = tree.logs()[7]
    tree.files[key] = gzip.compress(
        gzip.decompress(tree.files[key]).replace(b"eventID", b"eventId")
    )

    assert wrong(tree.check(metadata=metadata)) == [("log altered", key)]


@pytest.mark.parametrize("trail", ["a_trail", "z_trail"])
def test_an_unsigned_digest_file_does_not_vouch_for_what_a_signed_one_speaks_against(
    trail: str,
) -> None:
    tree = signed_tree()
    key = tree.logs()[7]
    text = gzip.decompress(tree.files[key]).replace(b"eventID", b"eventId")
    tree.files[key] = gzip.compress(text)
    name = next(
        each for each in tree.digests() if key.encode() in gzip.decompress(tree.files[each])
    )
    forged = name.replace(TRAIL.name, trail)
    log = json.loads(gzip.decompress(tree.files[name]))["logFiles"][0]
    tree.files[forged] = tree.files[name]
    tree.change_digest(
        forged,
        digestS3Object=forged,
        previousDigestS3Object=None,
        logFiles=[log | {"s3Object": key, "hashValue": sha256(text).hexdigest()}],
    )

    assert wrong(tree.check(metadata=False)) == [("log altered", key)]
    assert wrong(tree.check()) == [("signature missing", forged), ("log altered", key)]


@pytest.mark.parametrize("metadata", [True, False])
def test_nothing_excuses_a_log_file_in_a_bucket_but_a_signature(*, metadata: bool) -> None:
    tree = signed_tree()
    text, data = log_text(999, START + 7.5 * HOUR)
    tree.files[text.key] = data
    name = tree.digests()[8]
    forged = name.replace(TRAIL.name, "z_trail")
    log = json.loads(gzip.decompress(tree.files[name]))["logFiles"][0]
    tree.files[forged] = tree.files[name]
    tree.change_digest(
        forged,
        digestS3Object=forged,
        previousDigestS3Object=None,
        logFiles=[log | {"s3Object": text.key, "hashValue": text.sha256}],
    )

    found = tree.check(metadata=metadata)

    kind = "signature missing" if metadata else "signature unknown"
    assert (kind, forged) in [(finding.kind, finding.where) for finding in found]
    assert bool(wrong(found)) == metadata


def test_a_digest_file_of_nothing_but_brackets_is_damaged() -> None:
    tree = signed_tree()
    key = tree.digests()[3]
    tree.files[key] = gzip.compress(b'{"x":' + b"[" * 99_999 + b"]" * 99_999 + b"}")

    assert wrong(tree.check()) == [("digest unreadable", key)]


def test_a_log_file_that_was_only_compressed_again_is_as_it_was() -> None:
    tree = signed_tree()
    for key in tree.logs():
        tree.files[key] = gzip.compress(gzip.decompress(tree.files[key]), 1)

    assert tree.check() == []


def test_a_flipped_byte_of_a_log_file_is_found_wherever_it_is() -> None:
    tree, rng = signed_tree(), random.Random(1)
    key = tree.logs()[5]
    whole = tree.files[key]
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.randrange(10, len(whole))] ^= 1 << rng.randrange(8)
        tree.files[key] = bytes(damaged)

        assert wrong(tree.check(PublicKeys()))[-1:] == [("log altered", key)]


@pytest.mark.parametrize("which", [0, 10, -1])
def test_a_log_file_that_is_gone_is_named(which: int) -> None:
    tree = signed_tree()
    key = tree.logs()[which]
    del tree.files[key]

    assert wrong(tree.check()) == [("log missing", key)]


def test_a_log_file_that_nobody_delivered_is_named() -> None:
    tree = signed_tree()
    text, data = log_text(999, START + 7 * HOUR)
    tree.files[text.key] = data

    assert wrong(tree.check()) == [("log added", text.key)]


def test_two_log_files_that_have_changed_places_are_told_apart_from_altered_ones() -> None:
    tree = signed_tree()
    one, other = tree.logs()[3], tree.logs()[20]
    tree.files[one], tree.files[other] = tree.files[other], tree.files[one]

    assert sorted(wrong(tree.check())) == [("log swapped", one), ("log swapped", other)]


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("which", [1, 12, -2])
def test_a_digest_file_that_is_gone_is_named_by_the_one_after_it(
    *, metadata: bool, which: int
) -> None:
    tree = signed_tree()
    key = tree.digests()[which]
    del tree.files[key]

    assert wrong(tree.check(metadata=metadata)) == [("digest missing", key)]


def test_two_digest_files_in_a_row_are_missed_although_nobody_names_the_first() -> None:
    tree = signed_tree()
    first, second = tree.digests()[11:13]
    del tree.files[first], tree.files[second]

    findings = tree.check()

    assert wrong(findings) == [("digest missing", second)]
    (what,) = [finding.what for finding in findings if finding.kind == "digest missing"]
    assert what.endswith(
        "Nothing covers 2026-01-10T16:01:31Z to 2026-01-10T18:01:31Z, so about 2 are missing"
    )
    assert kinds(findings)["not covered"] == 1  # the log files of those hours


def test_the_first_digest_file_is_missed_while_there_are_logs_of_its_day() -> None:
    tree = signed_tree()
    key = tree.digests()[0]
    del tree.files[key]

    assert wrong(tree.check()) == [("digest missing", key)]


def test_what_a_lifecycle_rule_has_removed_is_not_wrong() -> None:
    tree = signed_tree()
    for key in [key for key in tree.files if "/2026/01/10/" in key]:
        del tree.files[key]

    findings = tree.check()

    assert wrong(findings) == []
    assert set(kinds(findings)) == {"expired"}


def test_logs_that_remain_of_a_day_whose_digest_files_are_gone_give_that_away() -> None:
    tree = signed_tree()
    gone = [key for key in tree.digests() if "/2026/01/10/" in key]
    for key in gone:
        del tree.files[key]

    assert ("digest missing", gone[-1]) in wrong(tree.check())


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("which", [0, 14, -2])
def test_a_digest_file_that_was_altered_is_named(*, metadata: bool, which: int) -> None:
    tree = signed_tree()
    key = tree.digests()[which]
    tree.change_digest(key, awsAccountId="999999999999")

    assert wrong(tree.check(metadata=metadata)) == [("digest altered", key)]


def test_the_last_digest_file_is_proved_by_its_metadata_alone() -> None:
    tree = signed_tree()
    last = tree.digests()[-1]
    tree.change_digest(last, newestEventTime=None)

    assert wrong(tree.check()) == [("digest altered", last)]
    assert wrong(tree.check(metadata=False)) == []


def test_without_keys_the_chain_alone_gives_away_an_altered_digest_file() -> None:
    tree = signed_tree()
    key = tree.digests()[14]
    tree.change_digest(key, awsAccountId="999999999999")
    source = tree.store()
    places = digested_places(source, discover(source, ["CloudTrail"]))
    period = Period.of_days(date.min, date.max)
    (report,) = check_digests(lambda: source, places, period, None)

    assert wrong(report.findings) == [("digest altered", key)]
    assert report.signed == 0


def test_who_alters_a_digest_file_and_all_hashes_after_it_lacks_the_signatures() -> None:
    tree = signed_tree()
    digests = tree.digests()
    tree.change_digest(digests[11], logFiles=[])
    for before, after in pairwise(digests[11:]):
        text = gzip.decompress(tree.files[before])
        tree.change_digest(after, previousDigestHashValue=sha256(text).hexdigest())

    found = wrong(tree.check(metadata=False))

    assert ("digest altered", digests[-2]) in found
    assert not [kind for kind, _ in found if kind not in {"digest altered", "log added"}]


@pytest.mark.parametrize("metadata", [True, False])
def test_a_signature_in_a_digest_file_that_was_replaced_is_blamed_on_that_file(
    *,
    metadata: bool,
) -> None:
    tree = signed_tree()
    key = tree.digests()[15]
    tree.change_digest(key, previousDigestSignature="00" * 256)

    assert wrong(tree.check(metadata=metadata)) == [("digest altered", key)]


def test_the_last_digest_file_is_blamed_for_a_hash_of_one_that_is_signed() -> None:
    tree = signed_tree()
    last = tree.digests()[-1]
    tree.change_digest(last, previousDigestHashValue="00" * 32)

    assert wrong(tree.check(metadata=False)) == [("digest altered", last)]


def test_metadata_with_another_signature_are_told_apart_from_an_altered_text() -> None:
    tree = signed_tree()
    key = tree.digests()[15]
    tree.signatures[key] = "00" * 256

    assert wrong(tree.check()) == [("signature wrong", key)]


def test_two_digest_files_that_have_changed_places_are_named() -> None:
    tree = signed_tree()
    one, other = tree.digests()[3], tree.digests()[9]
    tree.files[one], tree.files[other] = tree.files[other], tree.files[one]

    found = wrong(tree.check(metadata=False))

    assert sorted(found) == [("digest swapped", one), ("digest swapped", other)]


def test_a_damaged_digest_file_is_named() -> None:
    tree = signed_tree()
    key = tree.digests()[3]
    tree.files[key] = tree.files[key][:-9]

    assert wrong(tree.check()) == [("digest unreadable", key)]


def test_a_trail_that_was_stopped_is_noted_and_its_log_files_are_not_wrong() -> None:
    tree = signed_tree([*range(12), *range(18, 30)])
    text, data = log_text(999, START + 14 * HOUR)
    tree.files[text.key] = data

    findings = tree.check()

    assert wrong(findings) == []
    assert kinds(findings) == {"restarted": 1, "not covered": 1}
    (restarted,) = [finding for finding in findings if finding.kind == "restarted"]
    assert "nothing covers 2026-01-10T17:01:31Z to 2026-01-10T23:01:31Z" in restarted.what


def test_log_files_from_before_validation_was_switched_on_are_not_wrong() -> None:
    tree = signed_tree()
    for number in range(3):
        text, data = log_text(900 + number, START - (number + 1) * HOUR)
        tree.files[text.key] = data

    (finding,) = tree.check()

    assert finding.kind == "not covered"
    assert finding.what.startswith("3 log files of 2026-01-10T02:01:00Z to 2026-01-10T04:01:00Z")


def test_hours_that_linked_digest_files_leave_out_are_noted() -> None:
    tree = SignedTree()
    writer = writer_into(tree)
    for hour in (0, 1, 3):
        start = START + hour * HOUR
        written = writer.add([], start, start + HOUR)
        tree.signatures[written.key] = written.signature

    (finding,) = tree.check()

    assert (finding.kind, finding.where) == ("gap", tree.digests()[-1])


def test_a_backfill_digest_file_vouches_for_what_the_others_have_left_out() -> None:
    tree = signed_tree()
    start = START + 7 * HOUR
    text, data = log_text(999, start + HOUR / 2)
    tree.files[text.key] = data
    assert kinds(tree.check()) == {"log added": 1}

    written = writer_into(tree).add([text], start, start + HOUR, "_backfill")
    tree.signatures[written.key] = written.signature

    assert tree.check() == []


def test_several_trails_in_one_folder_have_chains_of_their_own() -> None:
    tree = signed_tree()
    other = replace(TRAIL, name="other")
    writer = writer_into(tree, other)
    for hour in range(30):
        start = START + hour * HOUR + timedelta(minutes=20)
        text, data = log_text(1000 + hour, start + HOUR / 3)
        tree.files[text.key] = data
        written = writer.add([text], start, start + HOUR)
        tree.signatures[written.key] = written.signature

    assert tree.check() == []

    gone = [key for key in tree.digests() if "_other_" in key][4]
    del tree.files[gone]
    assert wrong(tree.check())[0] == ("digest missing", gone)


def test_a_copied_tree_is_verified_where_it_lies_and_the_place_it_came_from_is_noted() -> None:
    tree = signed_tree()
    tree.files = {f"copies/of/{key}": data for key, data in tree.files.items()}
    tree.signatures = {f"copies/of/{key}": text for key, text in tree.signatures.items()}

    (finding,) = tree.check()

    assert finding.kind == "moved"
    assert finding.what.endswith("delivered to s3://example-logs/AWSLogs/o-abcdefghij/")


def test_a_key_that_nobody_knows_is_named() -> None:
    other = signing_key("us-east-1", 8)

    found = wrong(signed_tree().check(keys_of(other)))

    assert {kind for kind, _ in found} == {"key unknown"}


def test_a_key_is_valid_for_a_time_and_a_day_around_it() -> None:
    late = {"ValidityStartTime": (START + 34 * HOUR).isoformat()}

    found = wrong(signed_tree().check(keys_of(signing_key(), **late)))

    assert [kind for kind, _ in found] == ["key expired"] * 9


def test_a_backfill_digest_file_is_signed_with_a_key_of_its_own_day() -> None:
    tree, start = signed_tree(range(3)), START - 40 * 24 * HOUR
    text, data = log_text(999, start + HOUR / 2)
    tree.files[text.key] = data
    written = writer_into(tree).add([text], start, start + HOUR, "_backfill")
    tree.signatures[written.key] = written.signature

    assert tree.check() == []
    tree.generated[written.key] = START.isoformat()
    assert tree.check() == []
    tree.generated[written.key] = start.isoformat()
    assert wrong(tree.check()) == [("key expired", written.key)]


def test_a_key_of_another_region_does_not_count() -> None:
    found = wrong(signed_tree().check(keys_of(signing_key(), Region="eu-west-1")))

    assert {kind for kind, _ in found} == {"key elsewhere"}


def test_only_the_digest_files_of_a_period_are_looked_at() -> None:
    tree = signed_tree()
    tree.change_digest(tree.digests()[2], awsAccountId="999999999999")
    tree.change_digest(tree.digests()[-1], awsAccountId="999999999999")

    assert tree.check(period=Period(START + 5 * HOUR, START + 15 * HOUR)) == []


def test_a_log_file_of_the_last_minutes_may_be_in_the_next_digest_file() -> None:
    tree = signed_tree()
    text, data = log_text(999, START + 30 * HOUR - timedelta(minutes=9))
    tree.files[text.key] = data

    assert kinds(tree.check()) == {"not covered": 1}


def test_a_log_file_that_cannot_be_inflated_is_told_apart() -> None:
    tree = signed_tree()
    key = tree.logs()[3]
    tree.files[key] = tree.files[key][:-20]

    (finding,) = tree.check()

    assert (finding.kind, finding.where) == ("log altered", key)
    assert finding.what.startswith("its gzip stream is damaged")


def test_all_log_files_are_missed_when_their_folder_is_gone() -> None:
    tree = signed_tree()
    logs = tree.logs()
    for key in logs:
        del tree.files[key]

    assert sorted(wrong(tree.check())) == [("log missing", key) for key in logs]


def test_a_folder_of_other_logs_that_was_not_copied_is_noted() -> None:
    tree = SignedTree()
    text, data = log_text(1, START + HOUR / 2)
    insight = text._replace(key=text.key.replace("CloudTrail", "CloudTrail-Insight"))
    tree.files[text.key] = data
    written = writer_into(tree).add([text, insight], START, START + HOUR)
    tree.signatures[written.key] = written.signature

    (finding,) = tree.check()
    assert (finding.kind, finding.where) == (
        "folder missing",
        f"{ABOVE}CloudTrail-Insight/{REGION}/",
    )

    tree.files[insight.key] = data
    assert tree.check() == []

    other = insight._replace(key=insight.key.replace("0001.json", "0002.json"))
    written = writer_into(tree).add([other], START + HOUR, START + 2 * HOUR)
    tree.signatures[written.key] = written.signature
    assert wrong(tree.check()) == [("log missing", other.key)]


def test_several_locations_are_verified_as_one_source() -> None:
    one, other = signed_tree(), signed_tree(range(4))
    stores = [one.store("s3://example-logs"), other.store("s3://copies/of")]
    source = UnionStore(stores)
    places = digested_places(source, discover(source, ["CloudTrail"]))
    period, keys = Period.of_days(date.min, date.max), keys_of(signing_key())

    copied, delivered = check_digests(lambda: source, places, period, keys)

    assert [finding.kind for finding in copied.findings] == ["moved"]
    assert (delivered.findings, delivered.digests, delivered.signed) == ([], 30, 30)


def test_a_damaged_log_file_of_a_generated_tree_is_named(tmp_path: Path) -> None:
    spec = TreeSpec(accounts=1, regions=2, days=1, records=900, corrupt=0.2, digests=True)
    truth = generate_tree(tmp_path / "logs", spec)
    opener = partial(open_store, tmp_path / "logs")
    source = opener()
    places = digested_places(source, discover(source, ["CloudTrail"]))
    keys = PublicKeys(keys_in(keys_path(tmp_path / "logs").read_bytes(), "keys"))
    period = Period.of_days(date.min, date.max)

    reports = list(check_digests(opener, places, period, keys, workers=2))

    found = [each for report in reports for each in wrong(report.findings)]
    assert sorted(found) == sorted(("log altered", file.key) for file in truth.corrupt_files)
    assert sum(report.log_files for report in reports) == truth.files


def test_only_the_log_files_of_a_period_are_looked_at() -> None:
    tree = signed_tree()
    early, late = tree.logs()[1], tree.logs()[-1]
    del tree.files[early], tree.files[late]
    day = date(2026, 1, 11)

    assert wrong(tree.check(period=Period.of_days(day, day))) == [("log missing", late)]


@given(st.data())
def test_whatever_one_file_is_replaced_by_is_found(data: st.DataObject) -> None:
    tree = signed_tree(range(6), 1)
    key = data.draw(st.sampled_from(sorted(tree.files)))
    whole = tree.files[key]
    text = bytearray(gzip.decompress(whole))
    change = data.draw(st.sampled_from(["text", "remove", "empty", "other"]))
    if change == "text":
        text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
        tree.files[key] = gzip.compress(bytes(text))
    elif change == "remove":
        del tree.files[key]
    elif change == "empty":
        tree.files[key] = gzip.compress(b"{}")
    else:
        tree.files[key] = tree.files[data.draw(st.sampled_from(sorted(tree.files)))]
    is_same = tree.files.get(key) == whole
    is_last = change == "remove" and key == max(signed_tree(range(6), 1).digests())

    assert bool(wrong(tree.check())) != (is_same or is_last)
