import pytest

from podium.submission import text_tables

ROWS = [["class", "images", "score"], ["a|b", "5", "0.5 ± 0.1"], ["cat", "120", "**1.25e-3**"]]


def test_markdown_escapes_bars_and_right_aligns_numbers() -> None:
    assert text_tables.markdown(ROWS).splitlines() == [
        "| class | images |       score |",
        "| ----- | -----: | ----------: |",
        "| a\\|b  |      5 |   0.5 ± 0.1 |",
        "| cat   |    120 | **1.25e-3** |",
    ]


def test_plain_columns_are_aligned_up_to_a_width() -> None:
    rows = [["name", "n"], ["a" * 9, "10"], ["b", ""]]
    assert text_tables.plain(rows).splitlines() == ["name        n", "aaaaaaaaa  10", "b"]
    assert text_tables.plain(rows, indent="> ", max_width=4).splitlines() == [
        "> name   n",
        "> aaaaaaaaa  10",
        "> b",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("class_10", "class_10"),
        ("R&D <b>x</b>", "R&D &lt;b&gt;x&lt;/b&gt;"),
        ("&amp;", "&amp;amp;"),
        ("a|b`c`*d* _e_ [f](g)", r"a\|b\`c\`\*d\* \_e\_ \[f\](g)"),
        ("one\ntwo\rthree\tfour", "one two three four"),
        ("\\| a\\b c\\", "\\\\\\| a\\b c\\\\"),
        ("~~x~~ $y$", r"\~\~x\~\~ \$y\$"),
        ("**-1.5e-3**", "**-1.5e-3**"),
        (text_tables.Markup("**mean**"), "**mean**"),
        ("**mean**", r"\*\*mean\*\*"),
        ("(none)", "(none)"),
    ],
)
def test_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert text_tables.escape(text) == shown
    table = text_tables.markdown([["class"], [text]])
    assert table.splitlines()[2] == f"| {shown} |" and len(table.splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "shown"), [("a_b*", "`a_b*`"), ("a`b``c", "``` a`b``c ```"), ("a|b\nc", r"`a\|b c`")]
)
def test_code_is_shown_as_it_is(text: str, shown: str) -> None:
    assert text_tables.code(text) == shown
