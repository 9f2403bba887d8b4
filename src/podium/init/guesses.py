"""What is guessed about a competition: how sure it is, and whose word decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from podium.core.errors import UserError, examples

Sureness = Literal["certain", "likely", "a guess"]


@dataclass(frozen=True)
class Guess:
    """A key of params.yaml, and why it has this value."""

    key: str  # "prepare.id_column"
    value: Any
    sureness: Sureness
    why: str
    alternatives: tuple[Any, ...] = ()
    read: Callable[[str], Any] | None = None
    """What a person's answer means, or a UserError; None: it must be one of the alternatives."""

    @property
    def name(self) -> str:
        """The last part of the key: "id_column"."""
        return self.key.rpartition(".")[2]

    def answered(self, answer: str) -> Any:
        """The value that a person's `answer` stands for.

        Raises:
            UserError: if it stands for none.
        """
        if self.read is not None:
            return self.read(answer)
        known = {text(value): value for value in (self.value, *self.alternatives)}
        if answer not in known:
            raise UserError(f"{answer!r} is none of {', '.join(known)}")
        return known[answer]


class Chooser:
    """Takes each guess, or what a person says instead, and records them all."""

    def __init__(
        self, given: Mapping[str, str], *, ask: Callable[[Guess], Any] | None = None
    ) -> None:
        """`given`: by key, what the command line says; `ask` puts what is not certain to a person
        (None: the best guess is taken).
        """
        self.given, self.ask = given, ask
        self.chosen: list[Guess] = []

    def choose(self, guess: Guess) -> Any:
        """The value of a guess: from the command line, else from a person, else its own.

        Raises:
            UserError: if the command line gives a value that is not possible.
        """
        taken = guess
        if guess.key in self.given:
            try:
                value = guess.answered(self.given[guess.key])
            except UserError as error:
                raise UserError(f"{option(guess.key)}: {error}") from None
            taken = replace(guess, value=value, sureness="certain", why=f"by {option(guess.key)}")
        elif self.ask is not None and guess.sureness != "certain":
            value = self.ask(guess)
            if value != guess.value:
                taken = replace(guess, value=value, sureness="certain", why="your answer")
        self.chosen.append(taken)
        return taken.value

    def check_all_used(self) -> None:
        """Raises: UserError: if the command line gives what this competition has no use for."""
        if unused := set(self.given) - {guess.key for guess in self.chosen}:
            options = ", ".join(sorted(map(option, unused)))
            raise UserError(f"{options}: these files leave nothing to choose there; leave it out")


def option(key: str) -> str:
    """The command line's option for a key: "prepare.id_column" -> "--id-column"."""
    return "--" + key.rpartition(".")[2].replace("_", "-")


def text(value: Any) -> str:
    """A value as a person reads and writes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(text, value))
    return {None: "none", "": '""'}.get(value, str(value))


def on_terminal(guess: Guess) -> Any:
    """Ask a person about a guess until the answer is possible. Enter, or the end of input, takes
    the guess.
    """
    print(f"\n{guess.key}: {guess.sureness}: {guess.why}")
    if guess.alternatives:
        print(f"  or: {examples([text(value) for value in guess.alternatives], most=12)}")
    while True:
        try:
            answer = input(f"{guess.name} [{text(guess.value)}]: ").strip()
        except EOFError:
            print()
            return guess.value
        if not answer:
            return guess.value
        try:
            return guess.answered(answer)
        except UserError as error:
            print(f"  {error}")


def one_of(known: list[str], *, what: str, nullable: bool = False) -> Callable[[str], Any]:
    """A reader of answers that are one of `known`; "none" is None where that is possible."""

    def read(answer: str) -> str | None:
        if answer in known:
            return answer
        if nullable and answer == "none":
            return None
        raise UserError(f"there is no {what} {answer!r}; there are {examples(known, most=12)}")

    return read


def some_of(known: list[str], *, what: str) -> Callable[[str], Any]:
    """A reader of answers that are one of `known`, or several with commas between them."""

    def read(answer: str) -> str | list[str]:
        if answer in known:
            return answer
        parts = [part.strip() for part in answer.split(",")]
        one = one_of(known, what=what)
        return [one(part) for part in parts] if len(parts) > 1 else one(answer)

    return read
