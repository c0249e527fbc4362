"""Digests in columns are compared as sets of them would be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.verification.tables import (
    DISCARDED,
    OPTIONAL,
    REQUIRED,
    RecordDigests,
    Ref,
    RowDigests,
    compare,
    repeated,
)

digests = st.integers(0, 5).map(lambda number: bytes([number]) * 16)
rows = st.lists(digests, max_size=12)
records = st.lists(
    st.tuples(digests, st.sampled_from([DISCARDED, OPTIONAL, REQUIRED])), max_size=12
)


@given(rows, records)
def test_they_are_compared_as_sets_would_be(
    stand: list[bytes], delivered: list[tuple[bytes, int]]
) -> None:
    of_rows, of_records = RowDigests(), RecordDigests()
    for number, digest in enumerate(stand):
        of_rows.add(digest, number % 3, number)
    for number, (digest, need) in enumerate(delivered):
        of_records.add(digest, number % 2, number, need)

    compared = compare(of_rows.table(), of_records.table())

    needs: dict[bytes, int] = {}
    for digest, need in delivered:
        needs[digest] = max(need, needs.get(digest, DISCARDED))
    missing = {digest for digest, need in needs.items() if need == REQUIRED} - set(stand)
    assert {delivered[ref.position][0] for ref in compared.missing} == missing
    assert len(compared.missing) == len(missing)
    numbers = range(len(stand))
    assert sorted(ref.position for ref in compared.unvouched) == [
        n for n in numbers if stand[n] not in needs
    ]
    assert sorted(ref.position for ref in compared.discarded) == [
        n for n in numbers if needs.get(stand[n]) == DISCARDED
    ]
    more = {digest: count - 1 for digest, count in Counter(stand).items() if count > 1}
    again = Counter(stand[ref.position] for ref in repeated(of_rows.table()))
    assert again == more
    assert {ref for ref, _ in compared.repeated} == set(repeated(of_rows.table()))
    for ref, of in compared.repeated:
        digest = stand[ref.position]
        assert {one.position for one in of} == {
            n for n, (other, _) in enumerate(delivered) if other == digest
        }


def test_references_hold_large_numbers() -> None:
    rows = RowDigests()
    rows.add(b"a" * 16, 70_000, 2**31)
    rows.add(b"a" * 16, 70_000, 2**31 + 1)

    assert repeated(rows.table()) == [Ref(70_000, 2**31 + 1)]
