"""Markup: what is put into it cannot become more than text."""

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from cloudtrail_parquet.printable import printable
from cloudtrail_parquet.reporting.drawing.markup import element, joined, literal, number
from tests.page_checks import PageChecker


def test_children_and_attributes_are_escaped_unless_they_are_markup() -> None:
    inner = element("b", "<i>", title='"&')

    assert inner == '<b title="&quot;&amp;">&lt;i&gt;</b>'
    assert element("p", inner, None, 3, literal("<br>")) == f"<p>{inner}3<br></p>"
    assert joined("a", "<", by=" & ") == "a &amp; &lt;"


def test_attributes_are_named_as_in_html() -> None:
    assert element("div", class_="n", aria_label="x", hidden=True, id=None, open=False) == (
        '<div class="n" aria-label="x" hidden></div>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert element("p", name="x") == '<p name="x"></p>'


@given(st.text(st.characters(categories=None), max_size=290))
def test_any_text_comes_out_as_text(value: str) -> None:
    made = element("td", value, title=value)

    checker = PageChecker()
    checker.feed(made)
    checker.close()
    assert "".join(checker.text) == unescape("".join(checker.text)) == printable(value)
    assert checker.faults == []


def test_a_text_of_any_length_is_cut() -> None:
    assert len(element("td", "x" * 10**7)) < 400


def test_coordinates_are_short() -> None:
    assert [number(value) for value in (0, 0.0, 0.004, 0.25, 1, 12.5, 33.3333, 100.0)] == [
        *("0", "0", "0", ".25", "1", "12.5", "33.33", "100"),
    ]
