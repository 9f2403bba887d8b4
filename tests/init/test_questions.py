"""Questions are asked in order, each once, and only about what is uncertain."""

from pathlib import Path
from typing import Any

import layouts
import pytest
from competitions import competition, write_zip

from commands.init import resolve
from podium.competition.archive import Archive
from podium.core.errors import UserError
from podium.init.guesses import Guess
from podium.init.survey import Survey, survey


def survey_of(folder: Path, files: dict[str, bytes]) -> Survey:
    return survey(Archive(write_zip(folder / "shapes.zip", files)))


class Person:
    """Answers some questions, accepts the guesses of others, and remembers what was asked."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, guess: Guess) -> str | None:
        assert guess.is_open
        self.asked.append(guess.name)
        return self.answers.get(guess.name)


def test_each_uncertain_guess_is_asked_about_once_in_order(tmp_path: Path) -> None:
    content = survey_of(tmp_path, layouts.extra_columns().files)
    person = Person()
    layout = resolve(content, {}, person)
    assert person.asked == ["metric", "group_column"]
    assert [guess.confidence for guess in layout.guesses if guess.name in person.asked] == [
        "guess",
        "likely",
    ]


def test_an_answer_changes_the_questions_after_it(tmp_path: Path) -> None:
    content = survey_of(tmp_path, layouts.integers().files)
    person = Person(task="regression")
    layout = resolve(content, {}, person)
    assert person.asked == ["task", "metric"]
    assert (layout.task, layout.metric) == ("regression", "rmse")
    assert "log_loss" not in layout.guess("metric").alternatives


def test_what_the_command_line_answers_is_not_asked(tmp_path: Path) -> None:
    content = survey_of(tmp_path, layouts.extra_columns().files)
    person = Person()
    layout = resolve(content, {"metric": "log_loss"}, person)
    assert person.asked == ["group_column"] and layout.metric == "log_loss"


def test_nothing_is_asked_without_a_person(tmp_path: Path) -> None:
    content = survey_of(tmp_path, layouts.extra_columns().files)
    assert resolve(content, {}, None).metric == "accuracy"


def test_a_question_is_asked_before_its_guess_becomes_an_error(tmp_path: Path) -> None:
    files = competition()
    for number in range(35):  # too many for the ids to be recognized
        del files[f"train/{number:04d}.png"]
    content = survey_of(tmp_path, files)
    assert "--id-column" in str(resolve(content, {}, None).error)
    person = Person(id_column="id")
    layout = resolve(content, {}, person)
    assert layout.error is None and layout.prepare["on_bad_image"] == "skip"
    assert person.asked == ["id_column", "metric", "train_images", "on_bad_image"]


def test_an_error_is_returned_after_all_questions(tmp_path: Path) -> None:
    files = competition()
    files["train.csv"] = b"code,label\nq,r\ns,t\n"
    person = Person()
    layout = resolve(survey_of(tmp_path, files), {}, person)
    assert "id_column" in person.asked and "--id-column" in str(layout.error)


@pytest.mark.parametrize(
    ("answers", "option"),
    [({"prepare.id_column": "id"}, "--id-column"), ({"prepare.group_column": "x"}, "--group")],
)
def test_an_answer_without_a_question_is_an_error(
    answers: dict[str, Any], option: str, tmp_path: Path
) -> None:
    content = survey_of(tmp_path, layouts.class_folders().files)
    with pytest.raises(UserError, match=option):
        resolve(content, answers, None)
