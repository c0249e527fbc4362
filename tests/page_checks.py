"""What is wrong with a page: elements that are not closed, what it asks of others, what it runs."""

import re
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "meta"}
_ELEMENTS = """
    html head title style body header main footer section h1 h2 h3 p dl dt dd div span small b
    code time ul li table thead tbody tr th td details summary figure figcaption svg rect path
    text script
"""
KNOWN = VOID | set(_ELEMENTS.split())
NO_BLOCKS = {"p", "span", "small", "b", "code", "time", "h1", "h2", "h3", "dt", "summary"}
BLOCKS = {"p", "div", "table", "ul", "dl", "section", "details", "figure", "h1", "h2", "h3"}


class PageChecker(HTMLParser):
    """Reads a page; `faults` says what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self._ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in KNOWN:
            self.faults.append(f"<{tag}> is no element of ours")
        if self._open and self._open[-1] in NO_BLOCKS and tag in BLOCKS:
            self.faults.append(f"<{tag}> stands in <{self._open[-1]}>")
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        for name, value in attrs:
            self._check(tag, name, value or "")
        if tag not in VOID:
            self._open.append(tag)

    def _check(self, tag: str, name: str, value: str) -> None:
        if name in {"style", "src", "href", "srcset", "action", "data"} or name.startswith("on"):
            self.faults.append(f"<{tag}> has {name}={value!r}")
        if name == "id":
            if value in self._ids:
                self.faults.append(f"the id {value} is there twice")
            self._ids.add(value)
        if tag == "script" and (name, value) not in {
            ("type", "application/json"),
            ("id", "summary"),
        }:
            self.faults.append(f"a script has {name}={value!r}")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:]}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text.append(data)

    def close(self) -> None:
        super().close()
        if self._open:
            self.faults.append(f"not closed: {self._open}")


def faults_of(html: str) -> list[str]:
    """What is wrong with a page; empty if nothing is."""
    checker = PageChecker()
    checker.feed(html)
    checker.close()
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    if len(style) != 1 or re.search(r"url\(|@import|expression", style[0]):
        checker.faults.append("there is not one style, or it asks for something")
    if re.search(r"javascript:|&\s|&[^a-z#]", html.replace(style[0], "")):
        checker.faults.append("an ampersand is not escaped, or there is a script")
    return checker.faults


def text_of(html: str) -> str:
    """The text that a person reads."""
    checker = PageChecker()
    checker.feed(html)
    checker.close()
    return " ".join(" ".join(checker.text).split())
