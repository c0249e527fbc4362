import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.deliveries import Window, log_file
from cloudtrail_parquet.formats.gzip_text import inflate
from cloudtrail_parquet.layout import Place
from cloudtrail_parquet.source.delivered_tree import FILE_BYTES, HELD_BYTES, DeliveredTree
from cloudtrail_parquet.source.unplaced import is_log_name
from cloudtrail_parquet.storage import Entry

PLACES = [Place(f"{number:012d}", region) for number in (7, 8) for region in ("aa-b-1", "cc-d-2")]
DAYS = [date(2026, 1, 9), date(2026, 1, 10), date(1, 1, 1), date(9999, 12, 31)]
RECORDS = st.tuples(
    st.sampled_from(PLACES), st.sampled_from(DAYS), st.integers(0, 99).map(b'{"n":%d}'.__mod__)
)


def written(
    records: list[tuple[Place, date, bytes]],
    file_bytes: int = FILE_BYTES,
    held_bytes: int = HELD_BYTES,
) -> list[tuple[str, bytes]]:
    files: list[tuple[str, bytes]] = []
    tree = DeliveredTree(
        lambda key, data: files.append((key, data)), file_bytes=file_bytes, held_bytes=held_bytes
    )
    for record in records:
        tree.add(*record)
    tree.finish()
    assert (tree.files, tree.bytes) == (len(files), sum(len(data) for _, data in files))
    return files


@given(st.lists(RECORDS), st.integers(1, 60), st.integers(1, 60))
def test_each_record_is_in_the_folder_of_its_place_and_day(
    records: list[tuple[Place, date, bytes]], file_bytes: int, held_bytes: int
) -> None:
    found = defaultdict[tuple[str, ...], list[object]](list)
    files = written(records, file_bytes, held_bytes)
    for key, data in files:
        root, account, folder, region, *days, name = key.split("/")
        assert (root, folder, is_log_name(key)) == ("AWSLogs", "CloudTrail", True)
        assert name.startswith(f"{account}_CloudTrail_{region}_{''.join(days)}T1")
        found[account, region, *days] += json.loads(inflate(data, 1 << 20, key))["Records"]
    wanted = defaultdict[tuple[str, ...], list[object]](list)
    for place, day, raw in records:
        wanted[*place, *f"{day.year:04d}-{day:%m-%d}".split("-")].append(json.loads(raw))

    assert found == wanted  # in order, too
    assert max(Counter(key for key, _ in files).values(), default=1) == 1
    assert files == written(records, file_bytes, held_bytes)


@pytest.mark.parametrize(("number", "last"), [(3, "T1202Z"), (700, "T2200Z")])
def test_one_unit_alone_reads_all_in_the_order_in_which_they_came(number: int, last: str) -> None:
    day, window = date(2026, 1, 10), Window(900, 7200)
    records = [(PLACES[0], day, b'{"n":%d}' % n) for n in range(number)]
    files = written(records, file_bytes=1)

    around = [day + timedelta(days=number) for number in range(-3, 4)]
    for key, data in files:
        delivered = log_file(Entry(key, len(data), datetime.now(UTC)), day).delivered
        assert [one for one in around if window.holds(delivered, one)] == [day]
    names = [key for key, _ in files]
    assert last in names[-1]
    assert names[:600] == sorted(names[:600])


def test_a_record_larger_than_a_log_file_has_one_of_its_own() -> None:
    small, large = b'{"n":1}', b'{"n":"%s"}' % (b"x" * 200)
    day = date(2026, 1, 10)
    records = [(PLACES[0], day, raw) for raw in (small, small, large, small)]

    texts = [inflate(data, 1 << 20, key) for key, data in written(records, file_bytes=50)]

    assert [len(json.loads(text)["Records"]) for text in texts] == [2, 1, 1]


def test_names_are_those_of_the_records_alone() -> None:
    day = date(2026, 1, 10)
    one, other = ((PLACES[0], day, raw) for raw in (b'{"n":1}', b'{"n":2}'))
    elsewhere = (PLACES[1], day, b'{"n":3}')

    ((name, _),) = written([one])
    assert name in dict(written([elsewhere, one]))
    assert name not in dict(written([one, other]))


def test_what_is_held_stays_within_its_bounds() -> None:
    tree = DeliveredTree(lambda *_: None, held_bytes=1000)
    for number in range(5000):
        tree.add(Place(f"{number % 97:012d}", "aa-b-1"), DAYS[0], b'{"n":%05d}' % number)
        assert sum(group.held for group in tree._groups.values()) <= 1000  # noqa: SLF001
