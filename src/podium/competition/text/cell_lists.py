"""Cells that list several labels: "cat dog", "cat|dog", "['cat', 'dog']"."""

import ast
import json
import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

BRACKETS = {"[": "]", "(": ")", "{": "}"}
CONFIDENCE = re.compile(  # "137790 0.98"
    r"(?P<label>.*[^ ,;|:])(?P<mark>[ ,;|:]+)(?P<value>0|1|[01]?\.\d+)", re.DOTALL
)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_WRAPPED = re.compile(  # array(['cat', 'dog'], dtype=object), frozenset({'cat'})
    r"(?:(?:np|numpy)\.)?(?:array|Index|frozenset|list|tuple|set)\((.*?)(?:,\s*dtype=[^\]})]*)?\)",
    re.DOTALL,
)
_SCALAR = re.compile(r"np\.\w+\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)")  # np.str_('cat')


def split(cells: Iterable[str], separator: str) -> dict[str, list[str]]:
    """The labels that each distinct cell lists, in its order: "cat|dog" -> cat, dog.

    If all cells that are not blank are lists in brackets, as Python, NumPy and JSON write them,
    they are read as such, whatever the `separator`.
    """
    distinct = dict.fromkeys(cells)
    if are_bracketed(distinct):
        mark = _mark_in(distinct)
        return {cell: _items(cell, mark) for cell in distinct}
    return {cell: _parts(cell, separator) for cell in distinct}


def distinct_labels(cells: Iterable[str], separator: str) -> list[str]:
    """The distinct labels in `cells`, in order of appearance."""
    lists = split(cells, separator).values()
    return list(dict.fromkeys(label for labels in lists for label in labels))


def unlike_lists(cells: Collection[str]) -> list[str]:
    """The cells that are not lists, if others are lists in brackets with quotes."""
    inner = {cell: _inside(cell) for cell in cells if cell.strip()}
    if not any(text is not None and _is_quoted(text) for text in inner.values()):
        return []
    return [cell for cell, text in inner.items() if text is None]


def are_bracketed(cells: Iterable[str]) -> bool:
    """Whether there are cells that are not blank, and all of them are lists in brackets."""
    inner = [_inside(cell) for cell in cells if cell.strip()]
    return bool(inner) and None not in inner


class ListStyle(NamedTuple):
    """How a table writes several labels in a cell."""

    separator: str = " "
    brackets: str = ""  # such as "[]"
    quote: str = ""  # around each label

    @classmethod
    def of(cls, cells: Collection[str]) -> "ListStyle | None":
        """The style of lists in brackets; None if the cells are not such lists."""
        if not are_bracketed(cells):
            return None
        texts = sorted(cell.strip() for cell in cells if cell.strip())
        longest = max(texts, key=lambda text: len(_inside(text) or ""))
        brackets = longest[0] + BRACKETS[longest[0]] if longest[0] in BRACKETS else "[]"
        inner = _inside(longest) or ""
        quoted = _QUOTED.match(inner.lstrip())
        quote = quoted[0][0] if quoted else ""
        if quote and any("'" in text for text in map(_opening, texts)):
            quote = "'"  # Python writes "it's" in double quotes, and other labels in single ones
        gaps = _QUOTED.sub("", inner) if quoted else inner
        between = re.search(r"[,;|]\s*", gaps)
        is_numpy = not between and len(_items(longest, None)) > 1
        return cls(between[0] if between else " " if is_numpy else ", ", brackets, quote)

    def join(self, labels: Iterable[str]) -> str:
        """The cell that lists `labels`."""
        text = self.separator.join(self._quote(label) for label in labels)
        return f"{self.brackets[:1]}{text}{self.brackets[1:]}"

    def is_ambiguous(self, label: str) -> bool:
        """Whether `label` contains the separator, and no quotes show where it ends."""
        return not self.quote and self.separator in label

    def _quote(self, label: str) -> str:
        if self.quote == "'":
            return repr(label)
        return json.dumps(label, ensure_ascii=False) if self.quote else label


def _parts(cell: str, separator: str) -> list[str]:
    parts = (part if separator == " " else part.strip() for part in cell.split(separator))
    return [part for part in parts if part.strip()]


def _inside(cell: str) -> str | None:
    """What is between the brackets of a cell; None if it is not one list in brackets."""
    text = cell.strip()
    if wrapped := _WRAPPED.fullmatch(text):
        text = wrapped[1].strip() or "[]"  # Python writes an empty set as set()
    if text[:1] not in BRACKETS or text[-1] != BRACKETS[text[0]]:
        return None
    inner = _SCALAR.sub(r"\1", text[1:-1])
    bare = _QUOTED.sub("", inner) if _is_quoted(inner) else inner
    return None if text[0] in bare or text[-1] in bare else inner


def _opening(cell: str) -> str:
    """The first character between the brackets."""
    return (_inside(cell) or "").lstrip()[:1]


def _is_quoted(inner: str) -> bool:
    return inner.lstrip()[:1] in ("'", '"')


def _mark_in(cells: Iterable[str]) -> str | None:
    """What separates labels without quotes in lists in brackets; None: spaces, as NumPy writes."""
    inner = [text for cell in cells if not _is_quoted(text := _inside(cell) or "")]
    return next((mark for mark in ",;|" if any(mark in text for text in inner)), None)


def _items(cell: str, mark: str | None) -> list[str]:
    """The labels in a list in brackets: quoted, or separated by `mark`."""
    inner = _inside(cell) or ""
    if _is_quoted(inner):
        return [label for label in map(_unquote, _QUOTED.findall(inner)) if label.strip()]
    return [part.strip() for part in inner.split(mark) if part.strip()]


def _unquote(text: str) -> str:
    """The label in quotes, as Python or JSON writes it; in case of an unknown escape, as it is."""
    try:
        return str(ast.literal_eval(text.replace("\\/", "/")))
    except (SyntaxError, ValueError):
        return text[1:-1]


def confidence_separator(cells: Iterable[str]) -> str | None:
    """What is between label and confidence, a number from 0 to 1, in all cells that are not empty;
    None if they are not such pairs. At least one confidence is a fraction, so that two labels which
    are numbers are no pair.
    """
    pairs = [CONFIDENCE.fullmatch(cell.strip()) for cell in cells if cell.strip()]
    found = [pair for pair in pairs if pair is not None]
    marks = {pair["mark"] for pair in found}
    is_pair = len(found) == len(pairs) and any("." in pair["value"] for pair in found)
    return marks.pop() if is_pair and len(marks) == 1 else None
