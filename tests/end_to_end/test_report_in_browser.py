"""A report as people see it, in Chromium: on a phone and on a wide screen, light, dark and printed.

``make test-pages`` runs them; pictures are left in build/report to be looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, browser
from tests.reported import html_after, organisation, with_names

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PICTURES = Path(__file__).parents[2] / "build/report"
NAME = "arn:aws:iam::012345678901:role/aws-service-role/<b>&\u202e" + "Unbreakable" * 20
OVERFLOWS = """
[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 1 || box.left < -1) && !one.closest('.wide, svg');
}).map(one => one.tagName + '.' + one.className + ' ' + one.textContent.slice(0, 40))
"""
TINY = """
[...document.querySelectorAll('body *')].filter(one =>
  [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
  && one.tagName !== 'SCRIPT' && parseFloat(getComputedStyle(one).fontSize) < 12
).map(one => one.tagName + ' ' + one.textContent.slice(0, 40))
"""
COLLIDE = """
[...document.querySelectorAll('.axis')].flatMap(axis => {
  const boxes = [...axis.querySelectorAll('text')].map(one => one.getBoundingClientRect());
  return boxes.slice(1).filter((box, number) => boxes[number].right > box.left - 2).length;
}).filter(Boolean)
"""
CUT = """
[...document.querySelectorAll('.axis text')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.right > innerWidth || box.left < 0;
}).map(one => one.textContent)
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a year of 40 accounts and 6 regions, with long and hostile names in it."""
    before, now = organisation(40, 6, 340, 60, seed=1), organisation(40, 6, 365, 60, seed=2)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_after(before, with_names(now, NAME)))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1024, 1920])
def test_nothing_is_cut_off_tiny_or_over_something_else(
    width: int, scheme: str, chromium: Browser, report: Path
) -> None:
    chromium.requested.clear()
    chromium.said.clear()

    chromium.show(report, width, scheme=scheme)

    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{width}-{scheme}.png").write_bytes(chromium.picture())
    assert chromium.requested == [report.as_uri()]
    assert chromium.said == []
    assert chromium.value("document.documentElement.scrollWidth") == width
    for fault in (OVERFLOWS, TINY, COLLIDE, CUT):
        assert chromium.value(fault) == []
    dark = chromium.value("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")


def test_rows_of_the_calendar_open_without_a_script(chromium: Browser, report: Path) -> None:
    chromium.show(report, 1024)
    opened = "document.querySelectorAll('.calendar details[open]').length"
    assert chromium.value(opened) == 0
    place = chromium.value(
        "(box => ({x: box.left + 20, y: box.top + 5}))("
        "(one => (one.scrollIntoView(), one.getBoundingClientRect()))("
        "document.querySelector('.calendar summary')))"
    )

    for kind in ("mousePressed", "mouseReleased"):
        chromium.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    assert chromium.value(opened) == 1


def test_no_script_runs(chromium: Browser, report: Path, tmp_path: Path) -> None:
    page = tmp_path / "tampered.html"
    added = (
        "<script>document.title = 'run'</script><img src='data:,x' onerror=\"document.title = 1\">"
    )
    page.write_text(report.read_text().replace("</main>", f"{added}</main>"))

    chromium.show(page, 1024)

    assert chromium.value("document.title") == "CloudTrail dataset lake"
    assert len(chromium.said) >= 2


def test_it_prints_with_all_gaps_and_nothing_cut_off(chromium: Browser, report: Path) -> None:
    chromium.show(report, 700, scheme="dark", media="print")
    assert chromium.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.value(OVERFLOWS) == []

    printed = chromium.pdf()

    (PICTURES / "printed.pdf").write_bytes(printed)
    assert printed.startswith(b"%PDF")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 20
