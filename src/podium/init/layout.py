"""What `make init` knows about a competition: the layout of its files, and what is predicted."""

from dataclasses import dataclass, field
from typing import Any

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.init.guesses import Guess
from podium.init.survey import ImageStats


@dataclass
class Layout:
    """The layout of a competition, and the guesses that led to it."""

    prepare: dict[str, Any] = field(default_factory=dict)
    """The section `prepare` of params.yaml, without defaults."""
    task: TaskName = "multiclass"
    metric: str = ""
    submission: dict[str, Any] = field(default_factory=lambda: {"format": "auto"})
    """The section `submission`."""
    image_stats: ImageStats | None = None
    """Size of the training images, and whether they are grayscale."""
    guesses: list[Guess] = field(default_factory=list)
    """In the order in which they were made; each depends only on earlier ones."""
    notes: list[str] = field(default_factory=list)
    """Unused columns and files, and how tables of pixels are read."""
    error: UserError | None = None
    """Why the files cannot be used if the guesses are right; no guesses follow."""

    @property
    def has_metadata(self) -> bool:
        """Whether columns of the tables are inputs."""
        return bool(self.prepare.get("features", "none") != "none")

    def guess(self, key: str) -> Guess:
        """The guess for a key of params.yaml."""
        return next(guess for guess in self.guesses if guess.key == key)
