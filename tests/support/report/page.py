"""Reads a page as a browser and a screen reader would, strictly."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "hr", "img", "link", "input"}
_SELF_CLOSING = {"path", "rect", "circle", "use"}


@dataclass
class Element:
    """One start tag with what it stands in."""

    tag: str
    attributes: dict[str, str | None]
    within: tuple[str, ...]


@dataclass
class Page(HTMLParser):
    """All elements of a page and its text; `errors` are tags that do not match."""

    text: list[str] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        page.errors += [f"<{tag}> is never closed" for tag in page.open]
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), tuple(self.open)))
        if len({name for name, _ in attrs}) != len(attrs):
            self.errors.append(f"<{tag}> has an attribute twice")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), tuple(self.open)))
        if tag not in _SELF_CLOSING:
            self.errors.append(f"<{tag}/> closes nothing in HTML")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag: str) -> list[Element]:
        """Those with this tag."""
        return [element for element in self.elements if element.tag == tag]

    def values(self, attribute: str) -> list[str]:
        """Of all elements that have it."""
        return [value for element in self.elements if (value := element.attributes.get(attribute)) is not None]

    @property
    def words(self) -> str:
        """Its text, spaces made one."""
        return " ".join(" ".join(self.text).split())
