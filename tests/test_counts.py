"""Numbers and lists in messages."""

from podium.core.errors import counted, listed


def test_nouns_have_the_number_of_what_is_counted() -> None:
    assert [counted(n, "test image") for n in (0, 1, 2)] == [
        "0 test images",
        "1 test image",
        "2 test images",
    ]
    assert (counted(1, "class"), counted(3, "class")) == ("1 class", "3 classes")


def test_lists_end_with_and() -> None:
    assert (listed(["a"]), listed(["a", "b"]), listed("abc")) == ("a", "a and b", "a, b and c")
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
