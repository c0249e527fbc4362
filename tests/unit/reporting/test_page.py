"""The page: valid, self-contained, small, and safe whatever names are in it."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from cloudtrail_parquet.reporting.changes import summary_in
from cloudtrail_parquet.version import __version__
from tests.page_checks import faults_of, text_of
from tests.reported import html_after, html_of, organisation, with_names

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "--></style><svg onload=alert(1)>",
    "&lt;b&gt;\u202eevil\x1b[31m\r\n\x00\udcff",
    "javascript:alert(1)",
    "x" * 5000,
    "",
)
MOST_BYTES = 3_000_000


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_others_are_text_and_nothing_else(name: str) -> None:
    before, now = (with_names(organisation(2, 2, 9, 3, seed), name) for seed in (1, 2))
    now.coverage.pop(next(iter(now.coverage)))

    html = html_after(before, now)

    found = [fault for fault in faults_of(html) if "javascript:" not in name]
    assert found == []
    assert not {"\x1b", "\u202e"} & set(html)
    assert html.count("<script") == html.count("</script>") == 1
    assert html.isascii() or html.encode()
    summary = summary_in(html.encode("utf-8", "surrogatepass"))
    assert summary is not None
    assert summary.places == len(now.coverage)


def test_a_page_asks_nothing_of_a_network_and_its_policy_says_so() -> None:
    html = html_of(with_names(organisation(3, 2, 30, 5), "arn:aws:iam::012345678901:user/dora"))

    assert faults_of(html) == []
    assert not re.search(r"https?:|//[a-z]", html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert policy in html.replace("&#x27;", "'")


def test_a_page_says_what_it_is_about_and_what_made_it() -> None:
    text = text_of(html_of(organisation(2, 2, 9, 0), where="s3://example-lake/cloudtrail"))

    assert text.startswith(
        "CloudTrail dataset s3://example-lake/cloudtrail"
        " CloudTrail dataset s3://example-lake/cloudtrail 2025-01-01 to 2025-01-09"
    )
    assert "All days and times are UTC" in text
    assert f"Made by cloudtrail-parquet {__version__} 2026-01-01T08:00:00Z" in text


@pytest.mark.parametrize(
    ("accounts", "regions", "gaps"), [(300, 17, 200), (5100, 1, 200), (300, 17, 60_000)]
)
def test_5_100_places_of_a_year_fit(accounts: int, regions: int, gaps: int) -> None:
    html = html_of(organisation(accounts, regions, 365, gaps))

    assert len(html.encode()) < MOST_BYTES


@pytest.mark.parametrize("days", [1, 2, 40, 2190])
def test_any_number_of_days_has_a_page(days: int) -> None:
    html = html_of(organisation(2, 2, days, 2))

    assert faults_of(html) == []


def test_days_without_any_figures_have_a_page() -> None:
    figures = organisation(1, 1, 3, 0)
    figures.days, figures.lateness = {}, {}

    assert "Records each day: none." in text_of(html_of(figures))


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(part * weight for part, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_in_light_dark_and_print() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", html_of(organisation(1, 1, 3, 0)), re.DOTALL)
    schemes = [
        dict(re.findall(r"--(\w+): (#\w+)", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]

    assert len(schemes) == 3
    for scheme in schemes:
        for paper in ("paper", "wash"):
            for ink in ("ink", "soft", "lack", "old", "part", "good"):
                assert contrast(scheme[ink], scheme[paper]) >= 4.5 - (paper == "wash"), (
                    ink,
                    scheme,
                )
        for plot in ("have", "soon", "bar", "late"):
            assert contrast(scheme[plot], scheme["paper"]) >= 3, (plot, scheme)
