from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import provenances
import pytest

from podium.core.errors import UserError
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring.task import Task
from podium.submission import members
from podium.submission.members import DataVersion, Member

CLASSES = ["x", "y"]
FOLDS = pd.DataFrame({"id": list("abcdef"), "label": ["x", "y"] * 3, "fold": [0, 0, 0, 1, 1, 1]})
TEST = ["t1", "t2"]
DATA = DataVersion(Task("multiclass", CLASSES), "f", "i", "t")


def write(
    folder: Path,
    fold: int,
    *,
    oof: float,
    test: float,
    changes: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Write the predictions of one fold: `oof` is the logit of the true class, `test` that of x for
    the first test image and of y for the second, all others are 0. `changes` to the provenance of
    `oof` or `test` have keys of its training after a dot.
    """
    images = FOLDS[FOLDS["fold"] == fold]
    correct = (images["label"].to_numpy()[:, None] == np.array(CLASSES)).astype(np.float32)
    logits = {"oof": oof * correct, "test": np.array([[test, 0], [0, test]], np.float32)}
    ids = {"oof": images["id"].tolist(), "test": TEST}
    for part in ("oof", "test"):
        training, prediction = {"classes": CLASSES, "fold": fold}, {"weights_sha256": f"w{fold}"}
        prediction["images_sha256"] = "i" if part == "oof" else "t"
        for key, value in (changes or {}).get(part, {}).items():
            if key.startswith("."):
                training[key[1:]] = value
            else:
                prediction[key] = value
        provenance = provenances.prediction(provenances.training(**training), **prediction)
        path = folder / f"fold{fold}" / f"{part}.parquet"
        predictions.write(path, Predictions(ids[part], logits[part], provenance))


def load(folder: Path, folds: pd.DataFrame = FOLDS) -> Member:
    return members.load(folder, folds, test_ids=TEST, data=DATA)


def test_out_of_fold_logits_come_from_each_fold_and_test_logits_are_their_mean(
    tmp_path: Path,
) -> None:
    write(tmp_path, 0, oof=2, test=1)
    write(tmp_path, 1, oof=4, test=3)
    member = load(tmp_path)
    assert member.oof.max(axis=1).tolist() == [2, 2, 2, 4, 4, 4]
    assert member.test.tolist() == [[2, 0], [0, 2]]
    assert member.averaging == "logits"


def test_a_model_of_all_folds_joins_the_mean_of_the_test_logits_only(tmp_path: Path) -> None:
    write(tmp_path, 0, oof=2, test=1)
    write(tmp_path, 1, oof=4, test=3)
    write(tmp_path, 2, oof=9, test=8, changes={"test": {".fold": "all", ".epochs": [3]}})
    (tmp_path / "fold2").rename(tmp_path / "all")
    member = members.load(tmp_path, FOLDS, test_ids=TEST, data=DATA, has_all=True)
    assert member.oof.max(axis=1).tolist() == [2, 2, 2, 4, 4, 4]
    assert member.test.tolist() == [[4, 0], [0, 4]]
    assert [part.training.fold for part in member.provenance] == [0, 1, "all"]
    assert load(tmp_path).test.tolist() == [[2, 0], [0, 2]]
    write(tmp_path, 2, oof=9, test=8, changes={"test": {".fold": 0}})
    (tmp_path / "fold2" / "test.parquet").replace(tmp_path / "all" / "test.parquet")
    with pytest.raises(UserError, match=r"all/test\.parquet.*\(fold\)"):
        members.load(tmp_path, FOLDS, test_ids=TEST, data=DATA, has_all=True)


def test_folds_are_averaged_as_their_predictions_say(tmp_path: Path) -> None:
    changes = {part: {"averaging": "probabilities"} for part in ("oof", "test")}
    for fold, logit in enumerate((-20.0, 20.0)):
        write(tmp_path, fold, oof=1, test=logit, changes=changes)
    member = load(tmp_path)
    assert member.averaging == "probabilities"
    assert DATA.task.probabilities(member.test) == pytest.approx(np.full((2, 2), 0.5), abs=1e-6)


@pytest.mark.parametrize(
    ("part", "key", "name"),
    [
        ("oof", ".folds_sha256", "folds"),
        ("oof", ".images_sha256", "training images"),
        ("test", ".folds_sha256", "folds"),
        ("test", "images_sha256", "predicted images"),
        ("oof", ".config", "config"),  # trained before the last edit of params.yaml
        ("oof", ".seed", "seed"),
        ("oof", ".fold", "fold"),
        ("test", "weights_sha256", "weights_sha256"),  # a run was killed between the two files
    ],
)
def test_predictions_made_from_other_data_or_params_are_rejected(
    tmp_path: Path, part: str, key: str, name: str
) -> None:
    write(tmp_path, 0, oof=2, test=1)
    write(tmp_path, 1, oof=2, test=1)
    load(tmp_path)
    other = {".config": {"lr": 1}, ".seed": 9, ".fold": 9}.get(key, "other")
    write(tmp_path, 1, oof=2, test=1, changes={part: {key: other}})
    with pytest.raises(UserError, match=rf"fold1/{part}\.parquet.*\({name}\)"):
        load(tmp_path)


def test_folds_that_started_from_different_pretrained_weights_are_rejected(tmp_path: Path) -> None:
    def fold(number: int, sha256: str, revision: str | None) -> None:
        training = {".pretrained_sha256": sha256, ".pretrained_revision": revision}
        changes = {"oof": training, "test": training}
        write(tmp_path / "a", number, oof=2, test=1, changes=changes)

    fold(0, "1" * 64, "timm/x@old")
    fold(1, "1" * 64, "timm/x@new")  # another commit with the same file
    load(tmp_path / "a")
    fold(1, "2" * 64, "timm/x@new")
    with pytest.raises(UserError, match=r"timm/x@old.*timm/x@new.* train@a-0 train@a-1`"):
        load(tmp_path / "a")
    fold(1, "2" * 64, None)
    with pytest.raises(UserError, match=r"timm/x@old \(fold 0\), 222222222222 \(fold 1\)"):
        load(tmp_path / "a")


def test_an_image_that_no_fold_predicted_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, 0, oof=2, test=1)
    write(tmp_path, 1, oof=2, test=1)
    more = pd.concat([FOLDS, pd.DataFrame({"id": ["z"], "label": ["x"], "fold": [1]})])
    with pytest.raises(UserError, match=r"1 image has .*\(z\)"):
        load(tmp_path, more)
