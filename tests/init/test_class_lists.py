"""Tables that list the classes of class folders are neither training tables nor ignored."""

from pathlib import Path

import layouts
import pytest
from test_small_competitions import Files, T, images, table

from podium.core.errors import UserError

NAMES = ("cat", "dog", "fox")
TESTS = [f"b{n}" for n in T]


def class_folders(form: str = "{name}", file: str = "{name}{n}") -> Files:
    """Eight training images in the folder of each class, and test images in one folder."""
    folders = {
        f"train/{form.format(name=name, k=k)}": [file.format(name=name, k=k, n=n) for n in range(8)]
        for k, name in enumerate(NAMES, 1)
    }
    return images(**folders, test=TESTS)


def sample(label: str = "{k}", header: str = "id,label") -> bytes:
    return table(header, [f"{b},{label.format(k=n % 3 + 1)}" for n, b in enumerate(TESTS)])


LIST = table("class_id,name", [f"{k},{name}" for k, name in enumerate(NAMES, 1)])


@pytest.mark.parametrize("name", ["classes", "labels", "label_map", "train_labels", "class_names"])
@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("{name}", "{name}{n}"),
        ("{name}", "{n}"),
        ("{name}", "{k}_{n}"),  # an id in its file names
        ("{name}", "{name}_{k}_{n}"),
        ("{k:03d}.{name}", "{name}_{k}_{n}"),  # as in CUB-200
        ("{k:03d}.{name}", "{n}"),
    ],
)
def test_a_list_of_classes_is_no_training_table(
    tmp_path: Path, name: str, form: str, file: str
) -> None:
    """Its rows would be ids of many images each: all images of a class in one fold."""
    found = layouts.inspect(tmp_path, {**class_folders(form, file), f"{name}.csv": LIST})
    assert (found.prepare["train_csv"], found.prepare["images"]) == (None, None)
    classes = [form.format(k=k, name=name) for k, name in enumerate(NAMES, 1)]
    assert found.tables.classes == classes and len(found.tables.train) == 24
    assert "unit" not in found.tables.train
    assert f"not used: {name}.csv" in found.layout.notes


@pytest.mark.parametrize("name", ["classes", "labels"])
def test_a_list_of_the_labels_in_file_names_is_none_either(tmp_path: Path, name: str) -> None:
    files = images(train=[f"{x}.{n}" for x in NAMES for n in range(8)], test=TESTS)
    found = layouts.inspect(tmp_path, {**files, f"{name}.csv": LIST})
    assert found.prepare["train_csv"] is None and found.prepare["label_pattern"] is not None
    assert found.tables.classes == [*NAMES] and len(found.tables.train) == 24


@pytest.mark.parametrize("name", ["classes", "labels"])
@pytest.mark.parametrize("form", ["{name}", "{name}_"])
@pytest.mark.parametrize("label", ["{k}", "1"])
def test_the_list_says_which_labels_the_folders_stand_for(
    tmp_path: Path, name: str, form: str, label: str
) -> None:
    """They are in another order than the names."""
    numbers = {"cat": "3", "dog": "1", "fox": "2"}
    listed = table("class_id,name", [f"{number},{name}" for name, number in numbers.items()])
    files = {**class_folders(form), f"{name}.csv": listed, "sample_submission.csv": sample(label)}
    found = layouts.inspect(tmp_path, files)
    folders = {form.format(k=k, name=x): numbers[x] for k, x in enumerate(NAMES, 1)}
    assert found.prepare["label_map"] == folders
    guess = found.guess("label_map")
    assert guess.confidence == "likely"
    assert guess.reason.startswith(f"the submission has class_id of {name}.csv, which lists the")
    assert (found.layout.task, found.layout.submission["format"]) == ("multiclass", "auto")
    read = found.tables.train.set_index("id")["label"]
    assert read[f"{form.format(k=1, name='cat')}/cat0.png"] == "3"
    assert found.tables.classes == ["1", "2", "3"]
    assert not any(name in note for note in found.layout.notes)
    other = layouts.inspect(tmp_path, files, label_map="none")
    assert other.prepare["label_map"] is None


def test_a_column_per_label_of_the_list(tmp_path: Path) -> None:
    codes = table("code,name", ["c_f,fox", "c_c,cat", "c_d,dog"])
    wide = table("id,c_c,c_d,c_f", [f"{b},0,0,1" for b in TESTS])
    files = {**class_folders(), "classes.csv": codes, "sample_submission.csv": wide}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["label_map"] == {"cat": "c_c", "dog": "c_d", "fox": "c_f"}
    assert found.tables.classes == ["c_c", "c_d", "c_f"]


@pytest.mark.parametrize("numbers", [(0, 1, 2), (1, 2, 3), (2, 1, 0)])
def test_numbers_of_a_list_are_not_mistaken_for_places_of_sorted_names(
    tmp_path: Path, numbers: tuple[int, int, int]
) -> None:
    files = images(train=[f"a{n}" for n in range(24)], test=TESTS)
    files["train.csv"] = table("id,animal", [f"a{n},{NAMES[n % 3]}" for n in range(24)])
    listed = [f"{number},{name}" for number, name in zip(numbers, NAMES, strict=True)]
    files["animals.csv"] = table("animal_id,animal", listed)
    rows = [f"{b},{numbers[n % 3]}" for n, b in enumerate(TESTS)]
    files["sample_submission.csv"] = table("id,animal_id", rows)
    if numbers == (0, 1, 2):
        assert layouts.inspect(tmp_path, files).tables.classes == [*NAMES]
        return
    problem = rf"animal_id of animals\.csv, where cat is {numbers[0]}, .*Add a column animal_id to"
    with pytest.raises(UserError, match=problem):
        layouts.inspect(tmp_path, files)


@pytest.mark.parametrize("label", ["cat", "{k}.5"])
def test_the_list_is_not_needed(tmp_path: Path, label: str) -> None:
    files = {**class_folders(), "classes.csv": LIST, "sample_submission.csv": sample(label)}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["label_map"] is None and "not used: classes.csv" in found.layout.notes


def test_a_table_of_images_in_numbered_folders_is_no_list(tmp_path: Path) -> None:
    """The image 000001 is not the folder 001."""
    numbers = {f"train/{h:03d}": [f"{10 * h + n:06d}" for n in range(8)] for h in range(3)}
    ids = [image for names in numbers.values() for image in names]
    files = images(**numbers, test=TESTS)
    files["train.csv"] = table("id,label", [f"{i},{NAMES[n % 3]}" for n, i in enumerate(ids)])
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["train_csv"] == "train.csv"
    assert found.tables.classes == [*NAMES] and found.tables.train["id"].tolist() == ids


@pytest.mark.parametrize("layout", ["{id}/{n}", "{id}_{n}"])
def test_a_table_of_ids_of_several_images_is_no_list(tmp_path: Path, layout: str) -> None:
    """Even if each id has another label."""
    parts = {"train": [f"h{n}" for n in range(24)], "test": TESTS}
    folders: dict[str, list[str]] = {}
    for part, ids in parts.items():
        for image in ids:
            for n in range(2):
                folder, _, file = f"{part}/{layout.format(id=image, n=n)}".rpartition("/")
                folders.setdefault(folder, []).append(file)
    prices = table("id,price", [f"h{n},{n * 37 % 101 + 0.5}" for n in range(24)])
    files = {**images(**folders), "labels.csv": prices}
    files["sample_submission.csv"] = table("id,price", [f"{b},10.5" for b in TESTS])
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["train_csv"], found.layout.task) == ("labels.csv", "regression")
    assert found.tables.train["unit"].nunique() == 24


def test_ids_made_of_several_columns_are_named_although_folders_look_like_classes(
    tmp_path: Path,
) -> None:
    rows = [(f"p{n // 2}", f"s{n}") for n in range(12)]
    files = images(**{f"train/{p}/{s}_x": ["1", "2"] for p, s in rows}, test=TESTS)
    files["labels.csv"] = table("patient,study,label", [f"{p},{s},{s[-1]}" for p, s in rows])
    with pytest.raises(UserError, match="but patient, study do so together: p0, s0"):
        layouts.inspect(tmp_path, files)
