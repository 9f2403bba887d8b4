"""Which tables are the training table, the test table and the sample submission."""

from pathlib import Path

import layouts
import pytest
import test_small_competitions as small
from test_small_competitions import Files, N, T, images, plain, table
from test_truth import SAMPLE, labels, tables

from podium.core.errors import UserError

folder = small.folder


def benchmarks(*names: str) -> Files:
    """As in galaxy-zoo-the-galaxy-challenge: no sample submission, but benchmarks."""
    targets = "Class1.1", "Class1.2", "Class2.1"
    train = [f"a{n},{n / 40:.3f},{1 - n / 40:.3f},{n / 50:.3f}" for n in N]
    return {
        **{name: data for name, data in plain().items() if not name.endswith(".csv")},
        "training_solutions_rev1.csv": table(",".join(["GalaxyID", *targets]), train),
        **{
            f"{name}.csv": table(
                ",".join(["GalaxyID", *targets]), [f"b{n},{place},{place},0.5" for n in T]
            )
            for place, name in enumerate(names)
        },
    }


@pytest.mark.parametrize(
    "names",
    [
        ("all_ones_benchmark", "all_zeros_benchmark", "central_pixel_benchmark"),
        ("sample_submission", "central_pixels", "random_forest"),
        ("sampleSubmission", "sample_submission_stage2"),
    ],
)
def test_further_sample_submissions_are_neither_training_nor_test_tables(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    found = layouts.inspect(tmp_path, benchmarks(*names))
    prepare = found.prepare
    assert prepare["train_csv"] == "training_solutions_rev1.csv" and prepare["test_csv"] is None
    sample = prepare["sample_submission"]
    assert sample.removesuffix(".csv") in names
    others = {f"{name}.csv" for name in names} - {sample}
    (note,) = found.layout.notes
    assert all(name in note for name in others)
    assert (found.layout.task, len(found.tables.test)) == ("regression", len(T))
    assert {*found.guess("sample_submission").alternatives} <= others


@pytest.mark.parametrize("inner", ["tfrecords", "a", "z/deep"])
@pytest.mark.parametrize("outer", ["", "comp"])
def test_of_tables_of_the_same_name_the_outer_one_counts(
    outer: str, inner: str, tmp_path: Path
) -> None:
    """As in siim-isic-melanoma-classification with its TFRecords."""
    more = table("id,label,width", [f"a{n},{'xyz'[n % 3]},24" for n in [*N, *N]])
    files = tables(train=labels(), test=table("id", [f"b{n}" for n in T]), sample_submission=SAMPLE)
    files |= {f"{inner}/train.csv": more, f"{inner}/test.csv": files["test.csv"]}
    if outer:
        files = {f"{outer}/{name}": data for name, data in files.items()}
    found = layouts.inspect(tmp_path, files)
    expected = [f"{outer}/{name}".lstrip("/") for name in ("train.csv", "test.csv")]
    assert [found.prepare["train_csv"], found.prepare["test_csv"]] == expected
    assert found.guess("train_csv").confidence == "likely"
    assert len(found.tables.train) == len(N)


def test_the_tables_of_one_folder_belong_together(tmp_path: Path) -> None:
    files = {name: d for name, d in plain().items() if not name.endswith(".csv")}
    files |= {
        "a/train.csv": labels(row="c{n},{x}"),
        "b/sample_submission.csv": SAMPLE,
        "a/test.csv": table("id", [f"d{n}" for n in T]),
        "b/train.csv": labels(),
        "b/test.csv": table("id", [f"b{n}" for n in T]),
        **images(more=[f"c{n}" for n in N], test_of_more=[f"d{n}" for n in T]),
    }
    prepare = layouts.inspect(tmp_path, files).prepare
    assert (prepare["train_csv"], prepare["test_csv"]) == ("b/train.csv", "b/test.csv")
    assert (prepare["train_images"], prepare["test_images"]) == ("train", "test")


def test_class_folders_without_test_images_are_refused(tmp_path: Path) -> None:
    """gan-getting-started: paintings and photos, and nothing to predict."""
    folders = {"monet_jpg": [f"m{n}" for n in N], "photo_jpg": [f"p{n}" for n in N]}
    message = r"no test images found: .*monet_jpg, photo_jpg\).* it does not generate images"
    with pytest.raises(UserError, match=message):
        layouts.inspect(tmp_path, images(**folders))
    found = layouts.inspect(tmp_path, images(**folders, test_photos=[f"b{n}" for n in T]))
    assert found.prepare["test_images"] == "test_photos"
