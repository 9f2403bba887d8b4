"""Numbers and lists in messages."""

from podium.core.errors import counted, listed


def test_nouns_have_the_number_of_what_is_counted() -> None:
    assert [counted(n, "test image") for n in (0, 1, 2)] == [
        "0 test images",
        "1 test image",
        "2 test images",
    ]
    assert (counted(1, "class"), counted(3, "class")) == ("1 class", "3 classes")
    assert (counted(1, "id", "has"), counted(2, "id", "has")) == ("1 id has", "2 ids have")


def test_the_verb_agrees_with_the_part_and_the_noun_with_the_whole() -> None:
    assert counted(1, "row", "has", of=9) == "1 of 9 rows has"
    assert counted(2, "row", "has", of=9) == "2 of 9 rows have"
    assert counted(1, "row", "has", of=1) == "1 of 1 row has"


def test_lists_end_with_and() -> None:
    assert (listed(["a"]), listed(["a", "b"]), listed("abc")) == ("a", "a and b", "a, b and c")
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert listed(["a"], verb="has") == "a has"
    assert listed(["a", "b"], verb="has") == "a and b have"
    assert listed("abcdefg", verb="is") == "a, b, c, d, e and 2 more are"
