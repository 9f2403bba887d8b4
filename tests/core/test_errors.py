import pytest

from podium.core.errors import counted


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (1, ("model",), "1 model"),
        (2, ("model",), "2 models"),
        (0, ("row", "has"), "0 rows have"),
        (1, ("class", "has"), "1 class has"),
        (2, ("class", "has"), "2 classes have"),
        (3, ("copy",), "3 copies"),
        (2, ("id", "matches"), "2 ids match"),
        (1, ("test image", "is"), "1 test image is"),
    ],
)
def test_a_number_agrees_with_its_noun_and_verb(
    count: int, words: tuple[str, ...], expected: str
) -> None:
    assert counted(count, *words) == expected
