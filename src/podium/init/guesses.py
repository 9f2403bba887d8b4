"""A guess about a competition: value, confidence, reason and alternatives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from podium.core.errors import UserError, examples

Confidence = Literal["given", "certain", "likely", "guess"]


@dataclass(frozen=True)
class Guess:
    """The value of one key of params.yaml, inferred from the competition's files."""

    key: str  # "prepare.id_column"
    value: Any
    confidence: Confidence
    reason: str
    alternatives: tuple[Any, ...] = ()
    parse: Callable[[str], Any] | None = None
    """Converts an answer to a value or raises UserError; None accepts `value` and `alternatives`.
    """

    @property
    def name(self) -> str:
        """The last part of the key: "id_column"."""
        return self.key.rpartition(".")[2]

    @property
    def is_open(self) -> bool:
        """Whether the user should confirm it."""
        return self.confidence in ("likely", "guess")

    def parsed(self, answer: str) -> Any:
        """Convert the user's `answer` to a value.

        Raises:
            UserError: if the answer is not allowed.
        """
        if self.parse is not None:
            return self.parse(answer)
        values = {to_text(value): value for value in (self.value, *self.alternatives)}
        if answer not in values:
            raise UserError(f"{answer!r} is not one of {', '.join(values)}. Choose one.")
        return values[answer]

    def answered(self, answer: str) -> "Guess":
        """The same guess with the user's `answer` as its value.

        Raises:
            UserError: if the answer is not possible.
        """
        try:
            value = self.parsed(answer)
        except UserError as error:
            raise UserError(f"{option(self.key)}: {error}") from None
        return replace(self, value=value, confidence="given", reason="given by you")


def option(key: str) -> str:
    """The command-line option for a key: "prepare.id_column" -> "--id-column"."""
    return "--" + key.rpartition(".")[2].replace("_", "-")


def to_text(value: Any) -> str:
    """A value as it is printed and typed."""
    if isinstance(value, list | tuple):
        return ",".join(map(to_text, value))
    if isinstance(value, dict):
        pairs = [
            (key, text)
            for key, texts in value.items()
            for text in (texts if isinstance(texts, list) else [texts])
        ]
        return ",".join(f"{key}={text}" for key, text in pairs) or "none"
    return {None: "none", "": '""'}.get(value, str(value))


def one_of(values: Sequence[str], *, what: str, nullable: bool = False) -> Callable[[str], Any]:
    """A parser of answers that must be one of `values`, or "none" (None) if `nullable`."""

    def parse(answer: str) -> str | None:
        if answer in values:
            return answer
        if nullable and answer == "none":
            return None
        raise UserError(f"{answer!r} is not a {what}. Choose from {examples(values, most=12)}.")

    return parse


def some_of(values: Sequence[str], *, what: str, nullable: bool = False) -> Callable[[str], Any]:
    """A parser of answers that must be one of `values`, or several separated by commas; or "none"
    (None) if `nullable`.
    """

    def parse(answer: str) -> str | list[str] | None:
        parse_one = one_of(values, what=what, nullable=nullable)
        if answer in values or "," not in answer:
            return parse_one(answer)
        parse_each = one_of(values, what=what)
        return [parse_each(part.strip()) for part in answer.split(",")]

    return parse
