"""`make init` on small competitions that are laid out like real ones, which are named."""

from pathlib import Path

import layouts
import pytest
import test_small_competitions as small
from test_small_competitions import Files, N, T, image, images, plain, table, with_sample

from podium.config.prepare import Prepare
from podium.core.errors import UserError
from podium.dataset import build
from podium.dataset.tables import read as read_tables

folder = small.folder


@pytest.mark.parametrize("long", [False, True])
def test_flags_are_not_the_ids_of_numbered_slices(*, long: bool, tmp_path: Path) -> None:
    """rsna-2023-abdominal-trauma-detection, rsna-2022-cervical-spine-fracture-detection: each study
    is a folder with the images 0.png, 1.png, …; the columns of labels contain 0 and 1.
    """
    labels = "any_injury", "bowel", "liver"
    flags = [[int((n + place) % 3 == 0) for place in range(3)] for n in N]
    rows = [f"{n % 2},{','.join(map(str, flags[n]))},s{n}" for n in N]
    files = {
        "train.csv": table(f"leaked,{','.join(labels)},study", rows),
        **images(**{f"train/s{n}": ["0", "1"] for n in N}, **{f"test/t{n}": ["0", "1"] for n in T}),
    }
    if long:
        ids = [f"t{n}_{label}" for n in T for label in labels]
        files["sample_submission.csv"] = table("row_id,value", [f"{name},0.5" for name in ids])
    else:
        rows = [f"t{n},0.5,0.5,0.5" for n in T]
        files["sample_submission.csv"] = table(f"study,{','.join(labels)}", rows)
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["id_column"], found.prepare["images"]) == ("study", "{id}/*")
    assert found.prepare["label_column"] == [*labels]
    assert (found.prepare["train_images"], found.prepare["test_images"]) == ("train", "test")
    assert len(found.tables.test) == 2 * len(T)


def test_a_column_of_masks_or_boxes_is_recognized_next_to_others(tmp_path: Path) -> None:
    """severstal-steel-defect-detection, hpa-single-cell-image-classification."""
    files = {**plain(), "train.csv": table("id,ClassId", [f"a{n},{n % 3}" for n in N])}
    for header, row, job in (
        ("id,EncodedPixels,ClassId", "b{},1 9,0", "segmentation"),
        ("id,ImageWidth,ImageHeight,PredictionString", "b{},24,24,0 1 eNoL", "object detection"),
    ):
        files["sample_submission.csv"] = table(header, [row.format(n) for n in T])
        with pytest.raises(UserError, match=f"this is {job}"):
            layouts.inspect(tmp_path, files)


def test_a_training_table_without_images_is_not_blamed_for_its_labels(tmp_path: Path) -> None:
    """imaterialist-challenge-fashion-2018: only URLs of images."""
    rows = [f"{n},https://example.org,66" for n in N]
    with pytest.raises(UserError, match=r"no labeled training images \(no image files\)"):
        layouts.inspect(tmp_path, {"train.csv": table("imageId,host,label", rows)})


@pytest.mark.parametrize("values", ["0", "01", ["0.5"]])
def test_class_folders_finer_than_0_and_1(values: list[str], tmp_path: Path) -> None:
    """alaska2-image-steganalysis."""
    rows = [f"b{n}.png,{values[n % len(values)]}" for n in T]
    files = {**images(Test=[f"b{n}" for n in T]), "sample_submission.csv": table("Id,Label", rows)}
    for place, name in enumerate(("Cover", "JMiPOD", "UERD")):
        files |= {f"{name}/{n}.png": image(10 * place + n) for n in range(8)}
    found = layouts.inspect(tmp_path, files)
    assert found.layout.task == "binary"
    assert found.prepare["label_map"] == {"Cover": "0", "JMiPOD": "1", "UERD": "1"}
    for key in ("task", "label_map", "train_images"):
        assert found.guess(key).confidence != "certain"


def in_folders(*folders: str, name: str = "{n}") -> Files:
    """Images of the same names in several folders, and test images; nothing else."""
    names = {folder: [name.format(n=n) for n in range(1, 9)] for folder in folders}
    return images(**names, Test=[f"b{n}" for n in T])


def test_versions_of_a_picture_in_several_folders_stay_in_one_fold(tmp_path: Path) -> None:
    """alaska2-image-steganalysis; without a table, only the names tell the versions."""
    sample = table("Id,Label", [f"b{n}.png,0.5" for n in T])
    files = {**in_folders("Cover", "JMiPOD", "UERD"), "sample_submission.csv": sample}
    found = layouts.inspect(tmp_path, files)
    assert (found.guess("group_pattern").value, found.guess("group_pattern").is_open) == (
        r"^(.+)\.",
        True,
    )
    train = found.tables.train.set_index("id")["group"]
    assert train["Cover/3.png"] == train["JMiPOD/3.png"] == train["UERD/3.png"] == "3"
    assert train.nunique() == 8
    assert "group" not in layouts.inspect(tmp_path, files, group_pattern="none").tables.train
    first = layouts.inspect(tmp_path, files, group_pattern=r"^(.)").tables.train["group"]
    assert {*first} == {*"12345678"}
    with pytest.raises(UserError, match=r"--group-pattern: 'x\(.\)' does not match"):
        layouts.inspect(tmp_path, files, group_pattern="x(.)")
    layout = Prepare(**found.layout.prepare | {"group_pattern": "^([1-7])"})
    problem = r"finds no group in 3 of 24 file names: Cover/8.png, JMiPOD/8.png, UERD/8.png"
    with pytest.raises(UserError, match=problem):
        read_tables(found.archive, layout, "multiclass")


def test_numbers_in_each_class_folder_are_no_versions(tmp_path: Path) -> None:
    def has_groups(**names: str) -> bool:
        return (
            "group" in layouts.inspect(tmp_path, in_folders("cats", "dogs", **names)).tables.train
        )

    assert not has_groups() and not has_groups(name="img_{n:03d}")
    assert has_groups(name="{n}_IMG_{n}")


@pytest.mark.parametrize(
    ("column", "cells", "task"),
    [
        ("growth_stage", ["5.84", "2.31"], "regression"),  # cgiar-wheat-growth-stage-challenge
        ("growth_stage", ["3", "2"], "ordinal"),
        ("growth_stage", ["0.0"], "ordinal"),  # a placeholder
        ("growth_stage", ["1.0", "2.0"], "ordinal"),  # whole numbers, as pandas writes floats
    ],
)
def test_fractions_in_the_sample_are_not_levels(
    column: str, cells: list[str], task: str, tmp_path: Path
) -> None:
    files = plain("12345")
    files["train.csv"] = files["train.csv"].replace(b"id,label", f"id,{column}".encode())
    rows = [f"b{n},{cells[n % len(cells)]}" for n in T]
    found = layouts.inspect(
        tmp_path, {**files, "sample_submission.csv": table(f"id,{column}", rows)}
    )
    assert found.layout.task == task


def test_one_image_with_several_targets(tmp_path: Path) -> None:
    """csiro-biomass: a row per image and target, and the sample has a single image."""
    targets = "Dry_Clover_g", "Dry_Dead_g", "GDM_g"
    rows = [f"a{n}__{t},train/a{n}.png,{n / 7},{t},{n / 3}" for n in N for t in targets]
    files = {
        "train.csv": table("sample_id,image_path,Height,target_name,target", rows),
        "test.csv": table("sample_id,target_name", [f"b0__{t},{t}" for t in targets]),
        "sample_submission.csv": table("sample_id,target", [f"b0__{t},0.0" for t in targets]),
        **images(train=[f"a{n}" for n in N], test=["b0"]),
    }
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["id_label_separator"], found.prepare["label_column"]) == ("__", "target")
    read = found.tables
    assert found.layout.task == "regression" and read.classes == [*targets]
    assert read.train["id"].tolist() == [f"a{n}" for n in N]
    assert read.test["id"].tolist() == ["b0"]


def test_wells_of_a_plate_are_not_labels(tmp_path: Path) -> None:
    """recursion-cellular-image-classification: id_code is experiment, plate and well, and the test
    set has a part of the wells.
    """
    train = [f"HEPG2-0{plate}_1_B{well}" for plate in (1, 2, 3) for well in range(8)]
    test = [f"HEPG2-08_1_B{well}" for well in T]
    files = {
        "train.csv": table("id_code,sirna", [f"{name},{n % 3}" for n, name in enumerate(train)]),
        "sample_submission.csv": table("id_code,sirna", [f"{name},0" for name in test]),
        **{f"{part}/{name}_w1.png": image(n) for part, names in (("train", train), ("test", test))
           for n, name in enumerate(names)},
    }  # fmt: skip
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["id_label_separator"] is None and found.layout.task == "multiclass"
    assert len(found.tables.test) == len(T)


def test_the_target_may_be_spelled_otherwise(tmp_path: Path) -> None:
    """fungiclef2022: class_id, and ClassId in the sample submission."""
    files = plain("012")
    rows = [f"a{n},species {n % 4},{n % 3}" for n in N]
    files["train.csv"] = table("id,species,class_id", rows)
    files["sample_submission.csv"] = table("id,ClassId", [f"b{n},1" for n in T])
    guess = layouts.inspect(tmp_path, files).guess("label_column")
    assert (guess.value, guess.confidence) == ("class_id", "certain")


def test_ids_in_the_names_of_nested_files(tmp_path: Path) -> None:
    """geolifeclef-2022: patches/00/19/10561900_rgb.jpg."""
    names = {"a": [f"a{n}" for n in N], "b": [f"b{n}" for n in T]}
    files = {
        "train.csv": table("id,label", [f"a{n},{'xyz'[n % 3]}" for n in N]),
        "sample_submission.csv": table("id,label", [f"b{n},x" for n in T]),
    }
    for ids in names.values():
        files |= {f"patches/{i[-1]}/{i[0]}/{i}_rgb.png": image(len(files)) for i in ids}
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["images"] == "*/{id}_*"
    assert len(found.tables.train) == len(N) and len(found.tables.test) == len(T)


def test_ids_may_have_no_images(tmp_path: Path) -> None:
    """petfinder-adoption-prediction: pets without photos."""
    files = {
        "train.csv": table("id,label", [f"a{n},{'xyz'[n % 3]}" for n in N]),
        "sample_submission.csv": table("id,label", [f"b{n},x" for n in T]),
        **images(
            train=[f"a{n}-{k}" for n in N if n != 7 for k in (1, 2)],
            test=[f"b{n}-{k}" for n in T if n != 2 for k in (1, 2)],
        ),
    }
    found = layouts.inspect(tmp_path, files)
    guess = found.guess("on_bad_image")
    assert (guess.value, guess.confidence) == ("blank", "guess")
    assert "a7" in guess.reason and "1 test image is missing: b2" in guess.reason
    assert guess.alternatives == ("error",)  # a test image cannot be skipped
    with pytest.raises(UserError, match="'skip' is not one of blank, error"):
        layouts.inspect(tmp_path, files, on_bad_image="skip")
    assert found.tables.test["unit"].nunique() == len(T)


def test_image_names_in_another_column_and_other_ids_in_the_sample(tmp_path: Path) -> None:
    """fungiclef2022: several photos per observation, which only the test table lists."""
    files = {
        "train.csv": table("image_path,class_id", [f"a{n}.png,{n % 3}" for n in N]),
        "test.csv": table("ObservationId,filename", [f"{70 + n // 2},b{n}.png" for n in T]),
        "sample_submission.csv": table("ObservationId,ClassId", [f"{n},1" for n in (70, 71, 72)]),
        **images(DF20=[f"a{n}" for n in N], DF21=[f"b{n}" for n in T]),
    }
    found = layouts.inspect(tmp_path, files)
    prepare = found.prepare
    assert (prepare["test_id_column"], prepare["submission_id_column"]) == (
        "filename",
        "ObservationId",
    )
    assert (prepare["test_images"], prepare["hidden_test"]) == ("DF21", False)
    assert found.tables.test["unit"].tolist() == ["70", "70", "71", "71", "72", "72"]


def patients(test: str = "test_images/p90") -> Files:
    """rsna-breast-cancer-detection: a folder of images per patient, a single one for testing."""
    rows = [f"p{n // 3},i{n},{'xyz'[n % 3]}" for n in N]
    return {
        "train.csv": table("patient_id,image_id,label", rows),
        "test.csv": table("patient_id,image_id", [f"p90,t{n}" for n in range(3)]),
        "sample_submission.csv": table("image_id,label", [f"t{n},x" for n in range(3)]),
        **images(**{f"train_images/p{n}": [f"i{3 * n + k}" for k in range(3)] for n in range(8)}),
        **images(**{test: [f"t{n}" for n in range(3)]}),
    }


def test_hidden_test_images_will_be_in_further_folders(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, patients())
    guess = found.guess("test_images")
    assert (guess.value, guess.confidence) == ("test_images", "likely")
    assert "all in test_images/p90" in guess.reason and "code competition" in guess.reason
    assert len(found.tables.test) == 3
    other = layouts.inspect(tmp_path, patients("test_images")).guess("test_images")
    assert (other.value, other.confidence) == ("test_images", "certain")


def test_test_images_need_not_be_as_deep_as_those_of_classes(tmp_path: Path) -> None:
    """herbarium-2021: train/images/<class>/<id>.jpg, test/images/<id>.jpg."""
    files = {
        "train.csv": table("image_id,label", [f"a{n},{'xyz'[n % 3]}" for n in N]),
        "sample_submission.csv": table("image_id,label", [f"b{n},x" for n in T]),
        **images(**{f"train/images/{x}": [f"a{n}" for n in N if "xyz"[n % 3] == x] for x in "xyz"}),
        **images(**{"test/images": [f"b{n}" for n in T]}),
    }
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["train_images"], found.prepare["test_images"]) == (
        "train/images",
        "test/images",
    )


def test_where_hidden_test_images_will_be_if_some_are_there(tmp_path: Path) -> None:
    files = patients() | {
        "sample_submission.csv": table("image_id,label", [f"t{n},x" for n in range(9)])
    }
    found = layouts.inspect(tmp_path, files)
    assert (found.prepare["hidden_test"], found.prepare["test_images"]) == (True, "test_images")


@pytest.mark.parametrize("other", ["{study}_severe", "{study}"])
def test_a_sample_with_rows_of_two_kinds_is_refused(other: str, tmp_path: Path) -> None:
    """rsna-str-pulmonary-embolism-detection: rows of images, and rows of studies' labels."""
    header = "study,image,mild,severe"
    ids = [f"b{n}" for n in T] + [other.format(study=f"u{n // 2}") for n in range(0, len(T), 2)]
    files = {
        "train.csv": table(header, [f"s{n // 4},a{n},{n % 2},{n % 3 % 2}" for n in N]),
        "test.csv": table("study,image", [f"u{n // 2},b{n}" for n in T]),
        "sample_submission.csv": table("id,label", [f"{name},0.5" for name in ids]),
        **images(train=[f"a{n}" for n in N], test=[f"b{n}" for n in T]),
    }
    with pytest.raises(UserError, match=r"rows of 2 kinds: 6 are values of image \(b0\) and 3"):
        layouts.inspect(tmp_path, files)


@pytest.mark.parametrize(
    "listed",
    [
        table("image", ["b1", "b3", "b4"]),
        table("image,reason", ["b1,lost", "b3,lost", "b4,x"]),
        table("first,second", ["b0,b2", "b2,b5", "b5,b0"]),  # duplicates
    ],
)
def test_a_list_of_some_images_is_not_a_kind_of_rows(listed: bytes, tmp_path: Path) -> None:
    """The listed ones are missing, or not."""
    files = with_sample(plain()) | {"listed.csv": listed}
    for name in ("b1", "b3", "b4") if b"b1" in listed else ():
        del files[f"test/{name}.png"]
    found = layouts.inspect(tmp_path, files)
    assert found.prepare["id_column"] == "id" and found.layout.task == "multiclass"


def test_tables_with_a_row_per_label_are_all_reported(tmp_path: Path) -> None:
    """csiro-biomass: `image__target`, with columns that no image of the test table has."""
    labels = "dry", "green"
    train = [f"a{n}__{x},{'NSW' if n % 2 else 'Tas'},{x},{n * 0.5}" for n in N for x in labels]
    ids = [f"b{n}__{x}" for n in T for x in labels]
    files = {
        "train.csv": table("sample_id,State,target_name,target", train),
        "test.csv": table("sample_id,target_name", [f"{i},{i.split('__')[1]}" for i in ids]),
        "sample_submission.csv": table("sample_id,target", [f"{i},0.0" for i in ids]),
        **images(train=[f"a{n}" for n in N], test=[f"b{n}" for n in T]),
    }
    found = layouts.inspect(tmp_path, files)
    guess = found.guess("test_csv")
    assert guess.value is None
    assert guess.reason == "test.csv has the rows of the sample submission, whose ids are used"
    assert "train.csv: columns not used: State" in found.layout.notes
    assert len(found.tables.test) == len(T)


def test_a_test_table_without_ids_is_not_certainly_missing(tmp_path: Path) -> None:
    files = plain() | {"test.csv": table("note", ["x"] * len(T))}
    files = {name: data for name, data in files.items() if name != "train.csv"}
    files |= images(**{f"train/{x}": [f"{x}{n}" for n in range(4)] for x in "xyz"})
    files = {n: d for n, d in files.items() if not n.startswith("train/a")}
    guess = layouts.inspect(tmp_path, files).guess("test_csv")
    assert (guess.value, guess.confidence) == (None, "likely")
    assert "no column of test.csv identifies images" in guess.reason


def test_a_second_training_table_is_no_test_table(tmp_path: Path) -> None:
    """fathomnet-2023: image names in one training table, their stems in another."""
    rows = [f"{n}.png,{'xyz'[n % 3]}" for n in N]
    files = {
        "detection/train.csv": table("file_name,label", rows),
        "multiclass/train.csv": table("id,kind", [f"{n},{n % 5}" for n in N][:-2]),
        "sample_submission.csv": table("file_name,label", [f"b{n}.png,x" for n in T]),
        **images(train=[f"{n}" for n in N], test=[f"b{n}" for n in T]),
    }
    found = layouts.inspect(tmp_path, files)
    guess = found.guess("test_csv")
    assert guess.reason == "not found" and "multiclass/train.csv" in str(found.layout.notes)


def ads(*, has_items: bool = True) -> Files:
    """avito-demand-prediction: some ads have no image, so their cell is empty."""
    sample = table("item_id,price", [f"item_b{n},0" for n in T])
    train = [f"item_a{n}{',a' if n % 8 else ','}{n if n % 8 else ''},{n}.5" for n in N]
    test = [f"item_b{n}{',b' if n else ','}{n or ''}" for n in T]
    name = "item_id" if has_items else "url"
    return {
        **images(train=[f"a{n}" for n in N if n % 8], test=[f"b{n}" for n in T if n]),
        "train.csv": table(f"{name},image,price", train),
        "test.csv": table("item_id,image", test),
        "sample_submission.csv": sample,
    }


def test_rows_without_an_image_are_ids_without_images(tmp_path: Path) -> None:
    found = layouts.inspect(tmp_path, ads())
    blank = [n for n in N if not n % 8]
    guess = found.guess("on_bad_image")
    assert guess.value == "blank"
    assert guess.reason.startswith(
        f"{len(blank)} training images are missing: item_a0 (no image), "
    )
    assert "1 test image is missing: item_b0 (no image)" in guess.reason
    assert found.guess("train_images").reason == "contains images for all ids"
    tables = found.tables
    assert tables.train.loc[blank, "id"].tolist() == [f"item_a{n} (no image)" for n in blank]
    assert tables.test.iloc[0].tolist() == ["item_b0 (no image)", "item_b0"]
    ids = {"train": tables.train["id"].tolist(), "test": tables.test["id"].tolist()}
    matched = build.match_images(found.archive, ids, Prepare(**found.layout.prepare))
    assert [image for image, file in matched["test"] if file is None] == ["item_b0 (no image)"]
    with pytest.raises(UserError, match=r"rows without an id: .* set prepare\.on_bad_image: skip"):
        print(layouts.inspect(tmp_path, ads(), on_bad_image="error").tables)


def test_rows_without_an_image_and_without_an_id_have_their_number(tmp_path: Path) -> None:
    train = layouts.inspect(tmp_path, ads(has_items=False)).tables.train
    assert train["id"].tolist()[:2] == ["train.csv row 2", "a1"]


def test_ids_and_images_are_counted_apart(tmp_path: Path) -> None:
    """petfinder-adoption-prediction: ids of several images, some of none."""
    files = {
        **images(train=[f"a{n}-{k}" for n in N if n % 8 for k in (1, 2)]),
        **images(test=[f"b{n}-{k}" for n in T for k in (1, 2)]),
        "train.csv": table("pet,label", [f"a{n},{n % 2}" for n in N]),
        "test.csv": table("pet", [f"b{n}" for n in T]),
        "sample_submission.csv": table("pet,label", [f"b{n},0" for n in T]),
    }
    blank = sum(not n % 8 for n in N)
    found = layouts.inspect(tmp_path, files)
    reason = found.guess("train_images").reason
    assert reason == f"contains {2 * (len(N) - blank)} images; {blank} ids have none"
    assert found.guess("test_images").reason == "contains images for all ids"
