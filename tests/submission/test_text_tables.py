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
