import params_md


def test_the_tables_are_up_to_date() -> None:
    text = params_md.DOCUMENT.read_text()
    assert text == params_md.updated(text), "run params_md.py"


def test_every_section_has_a_table() -> None:
    markers = {match[2] for match in params_md.TABLE.finditer(params_md.DOCUMENT.read_text())}
    without = {"Constant", "Cosine", *params_md.SCHEDULES}  # no keys, or in one table
    assert markers == {*params_md.SECTIONS, "tasks", "metrics", "views", "schedules"} - without


def test_every_key_has_a_meaning() -> None:
    for kind in params_md.SECTIONS.values():
        params_md.section_rows(kind)
