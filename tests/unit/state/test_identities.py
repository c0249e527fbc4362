"""Fingerprints, and what can be told of them."""

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.state.identities import Fingerprint, is_without

files = st.lists(st.tuples(st.text(max_size=3), st.integers(1, 9)), max_size=4)


def fingerprint(places: list[list[tuple[str, int]]]) -> Fingerprint:
    total = Fingerprint()
    for place in places:
        total.merge(of_place(place))
    return total


def of_place(place: list[tuple[str, int]]) -> Fingerprint:
    total = Fingerprint()
    for file in place:
        total.add(*file)
    return total


@given(st.lists(files, max_size=5), st.lists(files, min_size=1, max_size=5), files)
def test_what_is_left_without_some_places_is_told_by_their_short_fingerprints(
    rest: list[list[tuple[str, int]]],
    gone: list[list[tuple[str, int]]],
    more: list[tuple[str, int]],
) -> None:
    before, now = str(fingerprint(rest + gone)), str(fingerprint(rest))
    short = [of_place(place).short for place in gone]

    assert is_without(now, before, short)
    assert is_without(str(fingerprint([*rest, more])), before, short) == (not more)
    assert not is_without(now, before, [])


@given(files)
def test_a_fingerprint_of_another_form_is_without_nothing(some: list[tuple[str, int]]) -> None:
    place = of_place(some)

    assert not is_without("00", str(place), [place.short])
    assert not is_without(str(place), "00", [place.short])
