"""What `make init` knows about a competition: the layout of its files, and what is predicted."""

from dataclasses import dataclass, field
from typing import Any

from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.init.guesses import Guess
from podium.init.survey import ImageStats


@dataclass
class Layout:
    """The layout of a competition, with the guesses it consists of."""

    prepare: dict[str, Any] = field(default_factory=dict)
    """The section `prepare` of params.yaml, as far as it is not the default."""
    task: TaskName = "multiclass"
    metric: str = ""
    format: str = "auto"
    """submission.format"""
    separator: str = " "
    """submission.separator"""
    image_stats: ImageStats | None = None
    """Size and colours of the training images."""
    guesses: list[Guess] = field(default_factory=list)
    """In the order in which they were made; each depends only on those before it."""
    notes: list[str] = field(default_factory=list)
    """What of the files is not used."""
    error: UserError | None = None
    """Why the files cannot be used, if the guesses are right; the layout ends there."""

    @property
    def submission(self) -> dict[str, Any]:
        """The section `submission` of params.yaml."""
        separator = {} if self.separator == " " else {"separator": self.separator}
        return {"format": self.format, **separator}

    def guess(self, key: str) -> Guess:
        """The guess for a key of params.yaml."""
        return next(guess for guess in self.guesses if guess.key == key)
