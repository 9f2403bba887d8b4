"""The section `competition` of params.yaml."""

from typing import Annotated

from pydantic import Field

from podium.core.section import Section, Slug


class Competition(Section):
    """Where the competition's files come from."""

    source: Annotated[str, Field(min_length=1)]
    """`builtin` (a demo competition), `kaggle`, or the path to a folder or an archive (zip, 7z,
    tar, or a part of one)."""
    slug: Slug
    """The competition's name in its Kaggle URL. It also names the submission."""
    solution: str | None = None
    """Path to a CSV with the test labels, if available. Used only in the report."""
