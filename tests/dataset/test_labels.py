from pathlib import Path
from typing import Any

import competitions
import pandas as pd
import pytest
from pydantic import ValidationError

from podium.competition.archive import Archive
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core.errors import UserError
from podium.dataset import class_list, tables
from podium.dataset.tables import Tables

ONE_HOT = b"id,healthy,rust,scab\n1,1,0,0\n2,0,1,0\n3,0,0,1\n4,0,1.0,0.0\n"
COLUMNS = ["healthy", "rust", "scab"]


def read(
    folder: Path, train: bytes | str, task: TaskName, sample: bytes = b"", **layout: Any
) -> Tables:
    """The tables of a competition with that training table and one test image, 9."""
    data = train if isinstance(train, bytes) else f"id,label\n{train}".encode()
    files = {"train.csv": data, "test.csv": b"id\n9\n", "sample.csv": sample}
    archive = Archive(competitions.write_zip(folder / "files.zip", files))
    name = "sample.csv" if sample else None
    return tables.read(archive, Prepare(**{"sample_submission": name, **layout}), task)


def labels_of(result: Tables) -> dict[str, str]:
    return dict(result.train[["id", "label"]].to_numpy().tolist())


def refused(folder: Path, train: bytes | str, task: TaskName, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, train, task, **options)
    assert str(caught.value).startswith("train.csv")
    return str(caught.value)


def test_one_column_a_class_names_the_class_of_each_image(tmp_path: Path) -> None:
    result = read(tmp_path, ONE_HOT, "multiclass", label_column=COLUMNS)
    assert labels_of(result) == {"1": "healthy", "2": "rust", "3": "scab", "4": "rust"}
    assert result.classes == COLUMNS
    assert result.sample.to_dict("list") == {
        "id": ["9"],
        "healthy": [""],
        "rust": [""],
        "scab": [""],
    }


def test_two_columns_are_a_binary_task(tmp_path: Path) -> None:
    train = b"id,b,a\n1,1,0\n2,0,1\n"
    result = read(tmp_path, train, "binary", label_column=["b", "a"])
    assert labels_of(result) == {"1": "b", "2": "a"} and result.classes == ["a", "b"]


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_classes_are_in_the_order_of_the_sample_submissions_columns(
    tmp_path: Path, task: TaskName
) -> None:
    sample = b"id,scab,healthy,rust\n9,0,0,0\n"
    result = read(tmp_path, ONE_HOT, task, sample, label_column=COLUMNS)
    assert result.classes == ["scab", "healthy", "rust"]
    assert labels_of(result)["2"] == "rust"


def test_a_single_column_takes_its_order_from_the_sample_submission_too(tmp_path: Path) -> None:
    sample = b"id,b,c,a\n9,0,0,0\n"
    assert read(tmp_path, "1,a\n2,b\n3,c\n", "multiclass", sample).classes == ["b", "c", "a"]
    assert read(tmp_path, "1,a b\n2,c\n", "multilabel", sample).classes == ["b", "c", "a"]


def test_rows_with_no_class_or_several_are_an_error_with_advice(tmp_path: Path) -> None:
    train = ONE_HOT + b"5,1,1,0\n6,0,0,0\n"
    text = refused(tmp_path, train, "multiclass", label_column=COLUMNS)
    assert "2 of 6 rows" in text and "5 (row 6: 'healthy, rust'), 6 (row 7: '')" in text
    assert "set task: multilabel" in text


def test_several_columns_may_be_1_or_none_of_them(tmp_path: Path) -> None:
    train = ONE_HOT + b"5,1,0,1\n6,0,0,0\n"
    result = read(tmp_path, train, "multilabel", label_column=COLUMNS)
    assert labels_of(result) == {
        "1": "healthy", "2": "rust", "3": "scab", "4": "rust", "5": "healthy|scab", "6": ""
    }  # fmt: skip


@pytest.mark.parametrize("value", ["2", "yes", "", "0.5", "-1"])
def test_values_that_are_neither_0_nor_1_are_an_error(tmp_path: Path, value: str) -> None:
    train = ONE_HOT + f"5,0,{value},1\n".encode()
    text = refused(tmp_path, train, "multilabel", label_column=COLUMNS)
    assert "1 values are neither 0 nor 1" in text and "In rust: 5 (row 6: " in text


def test_columns_are_not_for_grades(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"label_column lists 3 columns"):
        read(tmp_path, ONE_HOT, "ordinal", label_column=COLUMNS)


def test_columns_of_numbers_are_in_the_order_of_the_submission(tmp_path: Path) -> None:
    train, columns = b"id,a,b\n1, 0.5,2\n2,1e3,-1\n", ["a", "b"]
    result = read(tmp_path, train, "regression", label_column=columns)
    assert (result.train["label"].tolist(), result.classes) == (["0.5|2", "1e3|-1"], ["a", "b"])
    result = read(tmp_path, train, "regression", b"id,b,a\n9,0,0\n", label_column=columns)
    assert (result.train["label"].tolist(), result.classes) == (["2|0.5", "-1|1e3"], ["b", "a"])
    for sample, problem in ((b"id,b,c\n9,0,0\n", "not targets"), (b"id,y\n9,0\n", "per target")):
        with pytest.raises(UserError, match=problem):
            read(tmp_path, train, "regression", sample, label_column=columns)


def test_a_class_without_an_image_stays_where_the_submission_has_it(tmp_path: Path) -> None:
    train = b"id,a,b,c\n1,1,0,0\n2,0,1,0\n"
    columns = ["a", "b", "c"]
    sample = b"id,c,b,a\n9,0,0,0\n"
    result = read(tmp_path, train, "multiclass", sample, label_column=columns)
    assert result.classes == ["c", "b", "a"]
    assert result.warnings == ["1 class has no training image: c"]
    result = read(tmp_path, train, "multiclass", b"id,label\n9,a\n", label_column=columns)
    assert result.classes == ["a", "b"]
    assert read(tmp_path, train, "multiclass", label_column=columns).classes == columns


@pytest.mark.parametrize("separator", [" ", ",", ";", "|", ", "])
def test_several_labels_in_one_column(tmp_path: Path, separator: str) -> None:
    cells = [["b", "a"], ["c"], ["a", "c", "a"]]
    rows = "".join(f'{n},"{separator.join(cell)}"\n' for n, cell in enumerate(cells))
    result = read(tmp_path, rows, "multilabel", label_separator=separator)
    assert labels_of(result) == {"0": "a|b", "1": "c", "2": "a|c"}
    assert result.classes == ["a", "b", "c"]


def test_lists_in_brackets_may_be_empty(tmp_path: Path) -> None:
    rows = "1,\"['b', 'dark red', 'b']\"\n2,[]\n3,['a']\n"
    result = read(tmp_path, rows, "multilabel", b"id,label\n9,['Dark Red']\n")
    assert result.classes == ["a", "b", "dark red"]
    assert labels_of(result) == {"1": "b|dark red", "2": "", "3": "a"}


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_cells_unlike_the_lists_in_others_are_an_error(tmp_path: Path, task: TaskName) -> None:
    rows = "1,\"['b', 'a']\"\n2,nan\n3,['a']\n"
    with pytest.raises(UserError, match=r"1 of 3 labels is not in brackets.*2 \(row 3: 'nan'\)"):
        read(tmp_path, rows, task)


@pytest.mark.parametrize("cell", ["{'a': 1, 'b': 0}", "{'a': [1, 2]}"])
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_objects_are_no_lists(tmp_path: Path, task: TaskName, cell: str) -> None:
    with pytest.raises(UserError, match=r"1 of 2 labels is in braces: 1 \(row 2: .*as lists"):
        read(tmp_path, f"1,\"{cell}\"\n2,\"{{'a', 'b'}}\"\n", task)


def test_a_blank_cell_among_lists_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 \(row 3\)\. Write \[\] where there is none"):
        read(tmp_path, "1,\"['b', 'a']\"\n2,\n3,['a']\n", "multilabel")


def test_the_sample_says_how_listed_numbers_are_spelled(tmp_path: Path) -> None:
    rows = '1,"[1.0, 2.0]"\n2,[10.0]\n'
    result = read(tmp_path, rows, "multilabel", b"id,label\n9,[2]\n")
    assert result.classes == ["1", "2", "10"]


def test_labels_of_several_words_keep_their_spaces(tmp_path: Path) -> None:
    result = read(tmp_path, "1,dark red; blue\n2,blue\n", "multilabel", label_separator=";")
    assert result.classes == ["blue", "dark red"]


def test_numbered_labels_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    result = read(tmp_path, "1,10 9\n2,100\n", "multilabel")
    assert result.classes == ["9", "10", "100"] and labels_of(result)["1"] == "9|10"


@pytest.mark.parametrize("cell", ["", " ", ";", " ; "])
def test_a_cell_without_a_label_is_an_error(tmp_path: Path, cell: str) -> None:
    text = refused(tmp_path, f"1,a\n2,{cell}\n3,b\n", "multilabel", label_separator=";")
    assert "1 row has no label: 2 (row 3)" in text


def test_a_label_with_our_own_separator_is_an_error(tmp_path: Path) -> None:
    text = refused(tmp_path, b"id,label\n1,a|b c\n2,c\n", "multilabel")
    assert "1 label contains '|'" in text and ": a|b. " in text


def test_an_image_may_have_one_row_per_label(tmp_path: Path) -> None:
    result = read(tmp_path, "1,b\n2,c\n1,a\n1,b\n", "multilabel")
    assert labels_of(result) == {"1": "a|b", "2": "c"}
    assert result.warnings == ["train.csv: joined the labels of 1 duplicate id: 1"]


def test_equal_rows_are_deduplicated_with_a_warning(tmp_path: Path) -> None:
    result = read(tmp_path, "1,a\n2,b\n1,a\n3,a\n3,a\n", "multiclass")
    assert result.train.to_dict("list") == {"id": ["1", "2", "3"], "label": ["a", "b", "a"]}
    assert result.warnings == ["train.csv: dropped duplicate rows for 2 ids: 1, 3"]


def test_rows_with_different_groups_are_an_error(tmp_path: Path) -> None:
    train = b"id,label,who\n1,a,x\n1,a,y\n2,b,x\n"
    text = refused(tmp_path, train, "multiclass", group_column="who")
    assert "different groups: 1 (row 2: x, row 3: y)" in text
    text = refused(tmp_path, train, "multilabel", group_column="who")
    assert "different groups" in text


@pytest.mark.parametrize(
    ("cells", "texts"),
    [("1.5 -2 3e-2", "1.5 -2 3e-2"), ("1 2 +3", "1 2 +3"), (".5 2. 0", ".5 2. 0")],
)
def test_numbers_stay_as_they_are_written(tmp_path: Path, cells: str, texts: str) -> None:
    rows = "".join(f"{n}, {cell} \n" for n, cell in enumerate(cells.split()))
    result = read(tmp_path, rows, "regression")
    assert result.train["label"].tolist() == texts.split()
    assert result.classes == ["label"]


@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "a", '"1,5,2"', "1_000", "٣", "0x1"])
@pytest.mark.parametrize("task", ["regression", "ordinal"])
def test_a_non_finite_number_is_an_error(tmp_path: Path, cell: str, task: TaskName) -> None:
    text = refused(tmp_path, f"1,1\n2,2\n7,{cell}\n", task)
    assert "1 of 3 values of label cannot be read as a " in text and "7 (row 4: " in text


def test_grades_are_whole_numbers_in_their_order(tmp_path: Path) -> None:
    result = read(tmp_path, "1,10\n2,9\n3,9.0\n4,-1\n", "ordinal")
    assert result.train["label"].tolist() == ["10", "9", "9", "-1"]
    assert result.classes == ["-1", "9", "10"]
    assert "cannot be read as a whole number" in refused(tmp_path, "1,1\n2,1.5\n", "ordinal")


VARIANTS = "1,Cat\n2,cat\n3,cat\n4,dog\n5, dog\n6,red  fox\n7,red fox\n8,red fox\n"


def test_labels_that_look_the_same_are_an_error_with_their_rows(tmp_path: Path) -> None:
    text = refused(tmp_path, VARIANTS, "multiclass")
    assert text.startswith("train.csv: 3 labels ") and "prepare.label_variants" in text
    assert "'Cat' (1x, such as 1 (row 2)) and 'cat' (2x, such as 2 (row 3))" in text
    assert "' dog' (1x, such as 5 (row 6)) and 'dog'" in text


def test_labels_that_look_the_same_are_one_in_the_commonest_spelling(tmp_path: Path) -> None:
    result = read(tmp_path, VARIANTS, "multiclass", label_variants="merge")
    assert result.classes == ["cat", "dog", "red fox"]
    assert result.train["label"].tolist() == [*["cat"] * 3, *["dog"] * 2, *["red fox"] * 3]


def test_the_sample_submissions_spelling_goes_before_the_commonest(tmp_path: Path) -> None:
    sample = b"id,Cat,dog,red fox\n9,0,0,0\n"
    result = read(tmp_path, VARIANTS, "multiclass", sample, label_variants="merge")
    assert result.classes == ["Cat", "dog", "red fox"]


def test_labels_that_look_the_same_may_be_kept_apart(tmp_path: Path) -> None:
    result = read(tmp_path, VARIANTS, "multiclass", label_variants="keep")
    assert result.classes == [" dog", "Cat", "cat", "dog", "red  fox", "red fox"]


def test_a_label_with_stray_spaces_in_every_row_is_an_error_too(tmp_path: Path) -> None:
    assert "' cat' (2x" in refused(tmp_path, "1, cat\n2, cat\n3,dog\n", "multiclass")


def test_variants_among_several_labels_of_a_cell_are_found(tmp_path: Path) -> None:
    assert "'B' (1x, such as 2 (row 3)) and 'b'" in refused(tmp_path, "1,a b\n2,B\n", "multilabel")
    result = read(tmp_path, "1,a b\n2,B b\n", "multilabel", label_variants="merge")
    assert labels_of(result) == {"1": "a|b", "2": "b"}


def test_merged_variants_may_be_the_same_row_twice(tmp_path: Path) -> None:
    result = read(tmp_path, "1,a\n1,A\n1,a\n2,b\n", "multiclass", label_variants="merge")
    assert labels_of(result) == {"1": "a", "2": "b"}


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        ("1,a\n2,a\n", "multiclass"),
        ("1,a\n2,a\n", "binary"),
        ("1,a b\n2,b a\n", "multilabel"),
        ("1,2\n2,2.0\n", "ordinal"),
        ("1,2\n2,2.0\n", "regression"),
    ],
)
def test_equal_labels_are_an_error(tmp_path: Path, rows: str, task: TaskName) -> None:
    assert "Add images of other classes" in refused(tmp_path, rows, task)


def test_a_binary_task_has_two_classes(tmp_path: Path) -> None:
    text = refused(tmp_path, "1,a\n2,b\n3,c\n", "binary")
    assert text.startswith("train.csv") and "a, b, c" in text and "task: multiclass" in text


@pytest.mark.parametrize("task", ["regression", "ordinal"])
def test_a_submission_of_a_number_has_one_column(tmp_path: Path, task: TaskName) -> None:
    sample = b"id,x,y\n9,0,0\n"
    with pytest.raises(UserError, match=r"sample\.csv has the columns id, x, y, but .* one "):
        read(tmp_path, "1,1\n2,2\n", task, sample)


@pytest.mark.parametrize("data", [b'id,label\n1,"a\nb"\n2,c\n', b'id,label\n"1\r",a\n2,c\n'])
def test_line_breaks_in_ids_and_labels_are_an_error(tmp_path: Path, data: bytes) -> None:
    assert "contains a line break" in refused(tmp_path, data, "multiclass")


FOLDERS = ["train/dogs/2.jpg", "train/cats/b/1.jpg", "train/cats/3.jpg", "train/notes.txt"]


def folders(folder: Path, names: list[str], task: TaskName = "multiclass", **layout: Any) -> Tables:
    files = dict.fromkeys(names, b"")
    archive = Archive(competitions.write_zip(folder / "files.zip", files))
    chosen = {"train_csv": None, "test_csv": None, "sample_submission": None, **layout}
    return tables.read(archive, Prepare(**chosen), task)


def test_folders_are_classes(tmp_path: Path) -> None:
    result = folders(tmp_path, [*FOLDERS, "test/9.jpg"])
    assert labels_of(result) == {"cats/3.jpg": "cats", "cats/b/1.jpg": "cats", "dogs/2.jpg": "dogs"}
    assert result.test["id"].tolist() == ["9.jpg"]
    assert result.classes == ["cats", "dogs"]


def test_the_test_folder_is_not_a_class(tmp_path: Path) -> None:
    names = [name.removeprefix("train/") for name in FOLDERS]
    result = folders(tmp_path, [*names, "test/9.jpg"], train_images="")
    assert result.classes == ["cats", "dogs"]


def test_images_outside_class_folders_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train/: 1 of 4 images outside .*: x\.png\."):
        folders(tmp_path, [*FOLDERS, "train/x.png", "test/9.jpg"])
    with pytest.raises(UserError, match=r"^training/ .*prepare\.train_images"):
        folders(tmp_path, FOLDERS, train_images="training")


def test_labels_may_be_part_of_file_names(tmp_path: Path) -> None:
    names = ["train/red cat_1.jpg", "train/a/dog_7.JPG", "train/cats/dog_2.png", "test/cat_9.jpg"]
    result = folders(tmp_path, names, label_pattern=r"^(.+)_\d")
    assert labels_of(result) == {
        "red cat_1.jpg": "red cat",
        "a/dog_7.JPG": "dog",
        "cats/dog_2.png": "dog",
    }
    assert (result.classes, result.test["id"].tolist()) == (["dog", "red cat"], ["cat_9.jpg"])
    wrong = r"train/: 1 of 4 images that .*label_pattern '\^\(\.\+\)_.*: x\.png\."
    with pytest.raises(UserError, match=wrong):
        folders(tmp_path, [*names, "train/x.png"], label_pattern=r"^(.+)_\d")
    ages = folders(tmp_path, ["train/31_a.jpg", "train/9_b.jpg", "test/1.jpg"], "regression",
                   label_pattern=r"^(\d+)_")  # fmt: skip
    assert labels_of(ages) == {"31_a.jpg": "31", "9_b.jpg": "9"}


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        ({"label_pattern": "("}, "regular expression '\\('"),
        ({"label_pattern": "a"}, "'a' has 0 groups"),
        ({"label_pattern": "(a)(b)"}, "has 2 groups"),
        (
            {"label_pattern": "(a)", "train_csv": "train.csv"},
            "label_pattern requires train_csv: null",
        ),
        ({"test_images": "train/"}, "test_images"),
    ],
)
def test_label_settings_are_checked(layout: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Prepare(**{"train_csv": None, **layout})


def test_folders_may_be_variants(tmp_path: Path) -> None:
    names = [*FOLDERS, "train/Cats/4.jpg", "test/9.jpg"]
    with pytest.raises(UserError, match=r"'Cats' \(1x, such as Cats/4\.jpg\) and 'cats'"):
        folders(tmp_path, names)
    assert folders(tmp_path, names, label_variants="merge").classes == ["cats", "dogs"]


def test_grades_and_numbers_may_be_folders(tmp_path: Path) -> None:
    names = ["train/10/1.jpg", "train/9/2.jpg", "test/9.jpg"]
    assert folders(tmp_path, names, "ordinal").classes == ["9", "10"]


def test_the_union_of_labels_is_in_the_order_of_the_classes() -> None:
    assert class_list.union(["c|a", "", "b|a"], ["c", "b", "a"]) == "c|b|a"
    assert class_list.union([], ["a"]) == ""


def test_the_order_of_rows_plays_no_part() -> None:
    assert class_list.in_order(["b", "a"], []) == class_list.in_order(["a", "b"], []) == ["a", "b"]
    assert class_list.in_order(["b", "a"], ["b", "a"]) == ["b", "a"]


def leave_out(result: Tables, *ids: str) -> Tables:
    return tables.drop(result, [*ids], "multiclass")


def test_images_left_out_leave_the_tables_and_their_class_if_it_has_no_other(
    tmp_path: Path,
) -> None:
    result = read(tmp_path, "1,a\n2,b\n3,a\n4,c\n", "multiclass")
    assert labels_of(leave_out(result, "4", "1")) == {"2": "b", "3": "a"}
    assert leave_out(result, "4").classes == ["a", "b"]
    assert leave_out(result) is result
    with_sample = read(tmp_path, "1,a\n2,b\n4,c\n", "multiclass", b"id,a,b,c\n9,0,0,0\n")
    assert leave_out(with_sample, "4").classes == ["a", "b", "c"]


def test_too_few_images_left_are_an_error(tmp_path: Path) -> None:
    result = read(tmp_path, "1,a\n2,b\n3,a\n", "multiclass")
    with pytest.raises(UserError, match=r"1 unusable.*: all labels are 'a'"):
        leave_out(result, "2")
    with pytest.raises(UserError, match=r"3 unusable.*: none are left\. Fix"):
        leave_out(result, "1", "2", "3")


@pytest.mark.slow
def test_a_million_rows_are_read_in_seconds(tmp_path: Path) -> None:
    ids = pd.Series(range(1_000_000)).astype(str)
    train = pd.DataFrame({"id": ids, "label": "c" + (pd.Series(range(1_000_000)) % 50).astype(str)})
    result = read(tmp_path, competitions.csv(train), "multiclass")
    assert len(result.train) == 1_000_000 and len(result.classes) == 50


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["125,5", "3", "0,25"], ["125.5", "3", "0.25"]),
        (["$1,250", "$980", "$12,500"], ["1250", "980", "12500"]),
        (["1,250", "980.5", "12,500"], ["1250", "980.5", "12500"]),
        (["12.5 %", "7 %", "100 %"], ["12.5", "7", "100"]),
    ],
)
def test_numbers_are_read_however_they_are_written(
    tmp_path: Path, cells: list[str], expected: list[str]
) -> None:
    rows = "".join(f'{n},"{cell}"\n' for n, cell in enumerate(cells))
    made = read(tmp_path, rows, "regression")
    assert [*labels_of(made).values()] == expected
    assert made.warnings == [
        f"train.csv: numbers in label such as {cells[0]!r} are read as {expected[0]}"
    ]
    classes = read(tmp_path, rows, "multiclass").classes
    assert {*classes} == {*cells}, "labels of classes are names"


@pytest.mark.parametrize("other", ["2,345", "980", "12345"])
def test_ambiguous_commas_are_refused(tmp_path: Path, other: str) -> None:
    message = refused(tmp_path, f'1,"1,234"\n2,"{other}"\n', "regression")
    assert "the commas in label may be decimal or separate thousands: 1,234" in message


def test_one_of_several_targets_has_decimal_commas(tmp_path: Path) -> None:
    train = b'id,kind,price\n1,a,"2,5"\n2,b,"3,5"\n3,a,"4,25"\n'
    tasks = {"kind": "binary", "price": "regression"}
    made = read(tmp_path, train, "multitarget", label_column=tasks)
    assert labels_of(made) == {"1": "a|2.5", "2": "b|3.5", "3": "a|4.25"}
