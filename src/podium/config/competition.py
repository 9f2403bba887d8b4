"""The section `competition` of params.yaml."""

from typing import Annotated

from pydantic import Field

from podium.core.section import Section, Slug


class Competition(Section):
    """Where the competition's files come from."""

    source: Annotated[str, Field(min_length=1)]
    """`builtin`, `kaggle`, or the path of a folder or zip archive."""
    slug: Slug
    """The competition's name in its URL on Kaggle; names the archive and the submission."""
    solution: str | None = None
    """A CSV with the test images' labels, if you have them: only the report reads it."""
