"""Edit YAML files and keep their comments."""

import io
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.mergevalue import MergeValue
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString
from ruamel.yaml.tokens import CommentToken

MAX_LINE_WIDTH = 100
MIN_COMMENT_COLUMN, MAX_COMMENT_COLUMN = 24, 32
UNQUOTED = re.compile(r"[A-Za-z_./~][\w./~-]*", re.ASCII)
YAML_1_1_BOOLEANS = {"y", "n", "yes", "no", "on", "off"}
PRE, EOL = 1, 2  # positions in ruamel's comments of a key: lines above it, end of its line


def load(text: str) -> CommentedMap:
    """Parse a params file.

    Ruamel attaches the lines between two sections to whatever ends the first; here they become part
    of the second, so that either can be edited.
    """
    params = _yaml().load(text)
    for key, following in pairwise(list(params)):
        _add_lines_before(params, following, _cut_lines_after(params, key))
    return params


def parse(text: str) -> Any:
    """A value that is written in YAML, in that style."""
    return _yaml().load(text)


def flow(values: list[str]) -> CommentedSeq:
    """A list in flow style: [a, b]."""
    sequence = CommentedSeq(quoted(values))
    sequence.fa.set_flow_style()
    return sequence


def dump(params: CommentedMap) -> str:
    """The text of a params file."""
    text = io.StringIO()
    _yaml().dump(params, text)
    return text.getvalue()


def put(section: CommentedMap, key: str, value: Any) -> None:
    """Set a value, quoted if necessary. The comment next to its key is kept."""
    section[key] = quoted(value)
    comment = section.ca.items.get(key)
    if comment is not None and comment[3] == []:  # a list that started at its key's column:
        comment[3] = None  # it would swallow the next line break


def fill(section: CommentedMap, values: Mapping[str, Any], comments: Mapping[str, str]) -> None:
    """Replace the contents of a section. Comments next to keys that it had are kept; new keys get
    theirs from `comments`.
    """
    had = set(section)
    for key in had:
        del section[key]
    for key, value in values.items():
        put(section, key, value)
        if key not in had and key in comments:
            section.yaml_add_eol_comment(comments[key], key, column=MIN_COMMENT_COLUMN)


def append(sequence: CommentedSeq, value: Any) -> None:
    """Add an item at the end. Comments that precede what follows the list stay there."""
    lines = _cut_lines_after(sequence, len(sequence) - 1) if sequence else ""
    sequence.append(quoted(value))
    _add_lines_after(sequence, len(sequence) - 1, lines)


def remove(container: CommentedMap | CommentedSeq, key: Any) -> None:
    """Remove the item `key`. Comments on the lines before and after it are kept, unless nothing is
    left.
    """
    keys = list(range(len(container)))
    if isinstance(container, CommentedMap):
        keys = [own for own, _ in container.non_merged_items()]
    place, lines = keys.index(key), _cut_lines_after(container, key)
    del container[key]
    if place:
        _add_lines_after(container, keys[place - 1], lines)
    elif len(keys) > 1:
        _add_lines_before(container, 0 if isinstance(container, CommentedSeq) else keys[1], lines)


def merging(base: CommentedMap, **values: Any) -> CommentedMap:
    """A new section that merges `base`: `<<: *base`; with `values` in one line with them."""
    merge = MergeValue()
    merge.append(base)
    merge.merge_pos = 0
    section = CommentedMap()
    section.add_yaml_merge(merge)
    if values:
        section.update(values)
        section.fa.set_flow_style()
    return section


def align(text: str) -> str:
    """A params file with the comments at line ends aligned within each section."""
    params = load(text)
    for section in _mappings(params):
        for comments in _commented(section):
            comments[EOL] = CommentToken(comments[EOL].value, CommentMark(0))
    params = load(dump(params))  # now the column of a comment is the length of what precedes it
    for section in _mappings(params):
        all_comments = _commented(section)
        longest = max((len(comments[EOL].value.rstrip()) for comments in all_comments), default=0)
        most = min(MAX_COMMENT_COLUMN, MAX_LINE_WIDTH - longest)
        ends = [comments[EOL].column for comments in all_comments]
        column = max([MIN_COMMENT_COLUMN, *(end for end in ends if end <= most)])
        for comments in all_comments:
            comments[EOL] = CommentToken(comments[EOL].value, CommentMark(column))
    return dump(params)


def quoted(value: Any) -> Any:
    """A value with quotes around strings that contain more than a word or a path."""
    if isinstance(value, list) and not isinstance(value, CommentedSeq):
        return [quoted(item) for item in value]
    if type(value) is not str:
        return value
    if UNQUOTED.fullmatch(value) and value.lower() not in YAML_1_1_BOOLEANS:
        return value  # ruamel quotes what would be read as another type
    is_pattern = "\\" in value and value.isprintable()
    return SingleQuotedScalarString(value) if is_pattern else DoubleQuotedScalarString(value)


def _cut_lines_after(container: CommentedMap | CommentedSeq, key: Any) -> str:
    """Remove and return what follows the line on which the value of `key` ends."""
    container, key = _end(container, key)
    comments = container.ca.items.get(key)
    position = EOL if isinstance(container, CommentedMap) else 0
    if not comments or not comments[position]:
        return ""
    token = comments[position]
    own, _, following = token.value.partition("\n")
    token.value = f"{own}\n"
    if not own:
        comments[position] = None
    return str(following)


def _add_lines_after(container: CommentedMap | CommentedSeq, key: Any, lines: str) -> None:
    """Add what `_cut_lines_after` returned after the line on which the value of `key` ends."""
    container, key = _end(container, key)
    position = EOL if isinstance(container, CommentedMap) else 0
    comments = container.ca.items.setdefault(key, [None, None, None, None])
    if lines and comments[position]:
        comments[position].value += lines
    elif lines:
        comments[position] = CommentToken(f"\n{lines}", CommentMark(0))


def _add_lines_before(container: CommentedMap | CommentedSeq, key: Any, lines: str) -> None:
    """Add what `_cut_lines_after` returned before the line of `key`."""
    if lines:
        comments = container.ca.items.setdefault(key, [None, None, None, None])
        tokens = [CommentToken(line, CommentMark(0)) for line in lines.splitlines(keepends=True)]
        comments[PRE] = tokens + (comments[PRE] or [])


def _end(container: CommentedMap | CommentedSeq, key: Any) -> tuple[Any, Any]:
    """The innermost container and its key whose line is the last of the value of `key`."""
    value = container[key]
    if isinstance(value, CommentedSeq) and value and not value.fa.flow_style():
        return _end(value, len(value) - 1)
    if isinstance(value, CommentedMap) and not value.fa.flow_style():
        own = [key for key, _ in value.non_merged_items()]
        if own:
            return _end(value, own[-1])
    return container, key


def _mappings(params: CommentedMap) -> Iterator[CommentedMap]:
    """The mappings whose keys have lines of their own, outermost first."""
    yield params
    for value in params.values():
        if isinstance(value, CommentedMap) and not value.fa.flow_style():
            yield from _mappings(value)


def _commented(section: CommentedMap) -> list[list[Any]]:
    """The comments of the keys that have one at the end of their line."""
    return [
        comments
        for key, comments in section.ca.items.items()
        if key in section and comments[EOL] is not None and comments[EOL].value.strip()
    ]


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = MAX_LINE_WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _represent_null)
    return yaml


def _represent_null(representer: Any, _: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
