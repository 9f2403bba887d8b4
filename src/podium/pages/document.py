"""A page: sections of text, tables, charts and images, rendered by one template."""

import itertools
import re
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
    def width(self) -> str:
        """The class of the grid: narrow if each card has one image, so that two fit side by side on
        a phone; wide if one has three or more.
        """
        most = max((len(card.pictures) for card in self.cards), default=1)
        return {1: "narrow", 2: ""}.get(most, "wide")


@dataclass(frozen=True)
class Section:
    """A part of a page with its own entry in the page's menu, where the sections of a `group` are
    together.
    """

    title: str
    parts: list[Chart | Table | Cards] = field(default_factory=list)
    text: str = ""
    group: str = ""

    @property
    def heading(self) -> str:
        """The title, with the group's."""
        return f"{self.group}: {self.title}" if self.group else self.title

    @property
    def anchor(self) -> str:
        """The id of the section's element."""
        return re.sub(r"\s+", "-", self.heading.lower())


def counted(number: int, noun: str) -> str:
    """A number with its noun, which is regular: "1 image", "2 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def render(title: str, facts: list[tuple[str, str, str]], sections: Sequence[Section]) -> str:
    """The page. `facts` are shown in large: a name, a value and a remark each."""
    shown = [section for section in sections if section.parts or section.text]
    groups = itertools.groupby(shown, key=lambda section: section.group)
    return TEMPLATES.get_template("page.html.j2").render(
        title=title,
        facts=facts,
        sections=shown,
        menu=[(group, list(members)) for group, members in groups],
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )
