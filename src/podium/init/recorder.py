"""Records guesses about a competition in its layout, and puts the user's answers in their place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podium.init.guesses import Confidence, Guess
from podium.init.layout import Layout
from podium.init.survey import Survey

BASES = {  # what a guess is derived from: if one of these is a guess, it is at most likely
    "task": ("prepare.label_column", "prepare.label_map", "prepare.train_csv"),
    "prepare.positive_class": ("prepare.label_column", "prepare.label_map", "task"),
}


class Recorder:
    """A layout that is filled in guess by guess."""

    def __init__(self, survey: Survey, answers: Mapping[str, str]) -> None:
        self.survey, self.answers = survey, answers
        self.layout = Layout()
        self.names: Mapping[str, str] = {}
        """What columns in `prepare.images` name together, by id."""

    def named(self, ids: Iterable[str]) -> list[str]:
        """What the images of `ids` are named after: the ids, or `names`."""
        return [self.names.get(image, image) for image in ids]

    def _is_open(self, keys: Sequence[str]) -> bool:
        """Whether one of the earlier inferences `keys` has the confidence "guess"."""
        return any(g.key in keys and g.confidence == "guess" for g in self.layout.guesses)

    @property
    def prepare(self) -> dict[str, Any]:
        """The section `prepare` so far."""
        return self.layout.prepare

    def take(self, guess: Guess) -> Any:
        """Record a guess, or the answer to it, and return its value."""
        if guess.key in self.answers:
            guess = guess.answered(self.answers[guess.key])
        elif guess.confidence == "certain" and self._is_open(BASES.get(guess.key, ())):
            guess = replace(guess, confidence="likely")
        self.layout.guesses.append(guess)
        section, _, name = guess.key.rpartition(".")
        if section:
            getattr(self.layout, section)[name] = guess.value
        else:
            setattr(self.layout, name, guess.value)
        return guess.value

    def drop(self, key: str, reason: str, confidence: Confidence = "certain") -> None:
        """Replace an earlier guess of a table by None."""
        guess = self.layout.guess(key)
        if guess.value is not None:
            self.revise(key, None, f"{guess.value}: {reason}", confidence)

    def revise(self, key: str, value: Any, reason: str, confidence: Confidence = "certain") -> None:
        """Replace an earlier guess."""
        guess = self.layout.guess(key)
        self.layout.guesses[self.layout.guesses.index(guess)] = replace(
            guess, value=value, confidence=confidence, reason=reason
        )
        if section := guess.key.rpartition(".")[0]:
            getattr(self.layout, section)[guess.name] = value

    def doubt(self, key: str, reason: str) -> None:
        """Lower the confidence of a certain guess to likely, with the reason."""
        for guess in self.layout.guesses:
            if guess.key == key and guess.confidence == "certain":
                self.revise(key, guess.value, f"{guess.reason}; but {reason}", "likely")
                break

    def note(self, text: str) -> None:
        """Add a note to what is printed."""
        self.layout.notes.append(text)
