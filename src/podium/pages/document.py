"""A page: sections of text, tables, charts and images, rendered by one template."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import jinja2
from markupsafe import Markup

from podium.submission.text_tables import Rows

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Chart:
    """An SVG element with the sentence that says how to read it."""

    svg: Markup
    caption: str = ""
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Table:
    """Rows of texts, of which the first is the header. All columns but the first are numbers."""

    rows: Rows
    caption: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Card:
    """An image with what there is to say about it."""

    title: str
    pictures: list[tuple[str, str]]  # data URI, alternative text
    lines: list[str]


@dataclass(frozen=True)
class Cards:
    """A grid of images."""

    cards: Sequence[Card]
    caption: str = ""
    kind: ClassVar[str] = "cards"

    @property
    def narrow(self) -> bool:
        """Whether each card has one image, so that two fit side by side on a phone."""
        return all(len(card.pictures) == 1 for card in self.cards)


@dataclass(frozen=True)
class Section:
    """A part of a page with its own entry in the page's menu."""

    title: str
    parts: list[Chart | Table | Cards] = field(default_factory=list)
    text: str = ""

    @property
    def anchor(self) -> str:
        """The id of the section's element."""
        return self.title.lower().replace(" ", "-")


def render(title: str, facts: list[tuple[str, str, str]], sections: Sequence[Section]) -> str:
    """The page. `facts` are shown in large: a name, a value and a remark each."""
    return TEMPLATES.get_template("page.html.j2").render(
        title=title,
        facts=facts,
        sections=[section for section in sections if section.parts],
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )
