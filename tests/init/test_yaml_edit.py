"""Editing YAML keeps comments and blank lines where they belong."""

import pytest
from conftest import ROOT

from podium.init import yaml_edit

TEXT = """\
# head

a: 1    # one
b:      # two
  c: x  # three
  d:
    - 1
    - 2

# about e
e:
  f: 1
  g: {h: 1}   # four


# about i
i: &x
  j: 1
k:
  <<: *x
  l: 2

m: 3
"""


@pytest.mark.parametrize("text", [TEXT, (ROOT / "params.yaml").read_text(), "a: 1\n"])
def test_an_unedited_file_is_unchanged(text: str) -> None:
    assert yaml_edit.dump(yaml_edit.load(text)) == text


def test_keys_are_removed_and_added_at_the_end_of_a_section() -> None:
    params = yaml_edit.load(TEXT)
    del params["b"]["d"]
    yaml_edit.put(params["e"], "new", 5)
    yaml_edit.put(params["e"], "g", [1])
    yaml_edit.put(params["k"], "new", 6)
    expected = TEXT.replace("  d:\n    - 1\n    - 2\n", "")
    expected = expected.replace(
        "  g: {h: 1}   # four\n", "  g:          # four\n    - 1\n  new: 5\n"
    )
    assert yaml_edit.dump(params) == expected.replace("  l: 2\n", "  l: 2\n  new: 6\n")


def test_filling_a_section_keeps_comments_and_adds_new_ones() -> None:
    params = yaml_edit.load(TEXT)
    yaml_edit.fill(params["b"], {"n": "a b", "c": "z"}, {"n": "new", "c": "unused"})
    text = yaml_edit.align(yaml_edit.dump(params))
    section = text.partition("  n")[2].partition("\n\n# about e\ne:")[0]
    assert section == ': "a b"              # new\n  c: z                  # three'


def test_long_values_move_comments_of_their_section_only() -> None:
    params = yaml_edit.load(TEXT)
    params["b"]["c"] = "y" * 24
    text = yaml_edit.align(yaml_edit.dump(params))
    assert f"  c: {'y' * 24} # three\n" in text and "a: 1                    # one\n" in text
    assert yaml_edit.align(text) == text


PLACES = """\
section:
  # about one
  one: 1    # 1
  # about two
  two: 2

  # about three
  three: 3
items:
  - one     # 1
  # about two
  - two
  - three
end: 1
"""


@pytest.mark.parametrize("key", ["one", "two", "three"])
@pytest.mark.parametrize("name", ["section", "items"])
def test_comments_around_a_removed_item_stay(name: str, key: str) -> None:
    params = yaml_edit.load(PLACES)
    container = params[name]
    yaml_edit.remove(container, key if name == "section" else container.index(key))
    lines = PLACES.splitlines(keepends=True)
    start = lines.index(f"{name}:\n")
    item = next(n for n, x in enumerate(lines) if n > start and x.lstrip(" -").startswith(f"{key}"))
    text = yaml_edit.dump(params)
    assert text == "".join([*lines[:item], *lines[item + 1 :]])
    assert yaml_edit.dump(yaml_edit.load(text)) == text


def test_a_removed_item_after_merged_ones() -> None:
    params = yaml_edit.load(TEXT.replace("  l: 2\n", "  l: 2\n  # about n\n  n: 3\n"))
    yaml_edit.remove(params["k"], "l")
    assert "  <<: *x\n  # about n\n  n: 3\n" in yaml_edit.dump(params)
