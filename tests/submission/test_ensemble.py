from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import provenances
import pytest

from podium.config.ensemble import Ensemble
from podium.core.errors import UserError
from podium.prediction import predictions
from podium.prediction.predictions import Predictions
from podium.scoring import metrics
from podium.scoring.task import Task
from podium.submission import ensemble

CLASSES = ["x", "y"]
FOLDS = pd.DataFrame({"id": list("abcdef"), "label": ["x", "y"] * 3, "fold": [0, 0, 0, 1, 1, 1]})
TEST = ["t1", "t2"]


DATA = ensemble.Data(Task("multiclass", CLASSES), "f", "i", "t")


def write(
    folder: Path, fold: int, *, right: float, test: float, other: dict[str, Any] | None = None
) -> None:
    """Predictions of one fold: `right` is the logit of the true class, the other is 0. `other` is
    what `oof` or `test` say otherwise of what they were made from.
    """
    here = FOLDS[FOLDS["fold"] == fold]
    truth = (here["label"].to_numpy()[:, None] == np.array(CLASSES)).astype(np.float32)
    logits = {"oof": right * truth, "test": np.array([[test, 0], [0, test]], np.float32)}
    ids = {"oof": here["id"].tolist(), "test": TEST}
    for part in ("oof", "test"):
        changes = (other or {}).get(part, {})
        keys = ("config", "seed", "fold", "pretrained_sha256", "pretrained_revision")
        of_training = {k: v for k, v in changes.items() if k in keys}
        if "folds" in changes:
            of_training["folds_sha256"] = "other"
        if "training images" in changes:
            of_training["images_sha256"] = "other"
        trained = provenances.training(**{"classes": CLASSES, "fold": fold} | of_training)
        provenance = provenances.prediction(
            trained,
            weights_sha256=changes.get("weights_sha256", f"w{fold}"),
            images_sha256=changes.get("predicted images", "i" if part == "oof" else "t"),
        )
        made = Predictions(ids[part], logits[part], provenance)
        predictions.write(folder / f"fold{fold}" / f"{part}.parquet", made)


def load(folder: Path, folds: pd.DataFrame = FOLDS) -> ensemble.Member:
    return ensemble.load_member(folder, folds, test_ids=TEST, data=DATA)


def test_out_of_fold_logits_come_from_each_fold_and_test_logits_are_their_mean(
    tmp_path: Path,
) -> None:
    write(tmp_path, 0, right=2, test=1)
    write(tmp_path, 1, right=4, test=3)
    member = load(tmp_path)
    assert member.oof.max(axis=1).tolist() == [2, 2, 2, 4, 4, 4]
    assert member.test.tolist() == [[2, 0], [0, 2]]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("oof", "folds"),
        ("oof", "training images"),
        ("test", "folds"),
        ("test", "predicted images"),  # the test images are others by now
        ("oof", "config"),  # trained before the last edit, unlike fold 0
        ("oof", "seed"),
        ("oof", "fold"),
        ("test", "weights_sha256"),  # of the run before, where a kill came between
    ],
)
def test_predictions_made_from_other_data_or_params_are_refused(
    tmp_path: Path, part: str, key: str
) -> None:
    write(tmp_path, 0, right=2, test=1)
    write(tmp_path, 1, right=2, test=1)
    load(tmp_path)
    write(tmp_path, 1, right=2, test=1, other={part: {key: "other"}})
    with pytest.raises(
        UserError, match=rf"fold1/{part}.parquet was made with different .* \({key}\)"
    ):
        load(tmp_path)


def test_folds_that_started_from_other_pretrained_weights_are_refused(tmp_path: Path) -> None:
    def fold(number: int, sha256: str, revision: str | None) -> None:
        changes = {"pretrained_sha256": sha256, "pretrained_revision": revision}
        other = {"oof": changes, "test": changes}
        write(tmp_path / "a", number, right=2, test=1, other=other)

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
    write(tmp_path, 0, right=2, test=1)
    write(tmp_path, 1, right=2, test=1)
    more = pd.concat([FOLDS, pd.DataFrame({"id": ["z"], "label": ["x"], "fold": [1]})])
    with pytest.raises(UserError, match="1 images have no prediction: z"):
        load(tmp_path, more)


def test_scores_are_given_by_fold_and_together(tmp_path: Path) -> None:
    write(tmp_path / "good", 0, right=5, test=1)
    write(tmp_path / "good", 1, right=5, test=1)
    write(tmp_path / "bad", 0, right=1, test=-1)
    write(tmp_path / "bad", 1, right=-1, test=-1)
    members = {name: load(tmp_path / name) for name in ("good", "bad")}
    oof, test, _, scores = ensemble.combine(
        members,
        FOLDS,
        test_ids=TEST,
        options=Ensemble(members=["good", "bad"]),
        metric=metrics.get("accuracy", "multiclass"),
    )
    bad = scores["members"]["bad"]
    assert (bad["oof"], bad["mean"], bad["folds"]) == (0.5, 0.5, {0: 1.0, 1: 0.0})
    assert bad["std"] == pytest.approx(np.std([0, 1], ddof=1))
    assert bad["weight"] == 0.5
    assert scores["ensemble"]["oof"] == 1.0
    assert oof.ids == FOLDS["id"].tolist() and test.ids == TEST
    assert test.logits == pytest.approx(np.zeros((2, 2)))


def test_weighting_leans_on_the_better_member(tmp_path: Path) -> None:
    for fold in (0, 1):
        write(tmp_path / "good", fold, right=5, test=1)
        write(tmp_path / "bad", fold, right=-5, test=1)
    members = {name: load(tmp_path / name) for name in ("good", "bad")}
    options = Ensemble(members=["good", "bad"], method="weighted")
    _, test, _, scores = ensemble.combine(
        members, FOLDS, test_ids=TEST, options=options, metric=metrics.get("log_loss", "multiclass")
    )
    assert scores["members"]["good"]["weight"] == pytest.approx(1, abs=1e-3)
    assert test.provenance.weights["bad"] == pytest.approx(0, abs=1e-3)
