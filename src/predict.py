"""one model and fold, all views -> data/predictions/<model>/fold<k>/{oof,test}.parquet."""

import argparse

from podium.config.predict import Predict
from podium.core import params_file, paths, program, seeding
from podium.core.errors import counted
from podium.core.manifest import Manifest
from podium.images.store import ImageStore
from podium.metadata import table
from podium.prediction import knn, predictions
from podium.prediction.predictor import Predictor
from podium.scoring.task import with_known_class

SECTIONS = {"deterministic": bool, "predict": Predict}


def main() -> None:
    """Predict the held-out fold's images and the test images with one trained model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--fold", type=int, required=True)
    options = parser.parse_args()
    deterministic, predict = params_file.load(SECTIONS)
    seeding.set_deterministic(deterministic)
    name = paths.fold_name(options.model, options.fold)
    predictor = Predictor(paths.weights(options.model, options.fold), predict)
    manifest = Manifest(paths.FOLDS)
    folds = manifest.csv("folds.csv").astype({"fold": int})
    images = {
        "oof": folds[folds["fold"] == options.fold],
        "test": Manifest(paths.PREPARED).csv("test.csv"),
    }
    ids = {part: rows["id"].tolist() for part, rows in images.items()}
    units = {part: rows.set_index("id").get("unit") for part, rows in images.items()}
    metadata = {part: table.read(paths.metadata(part)) for part in ("train", "test")}
    predictor.enforce_time_limit(
        ImageStore(paths.IMAGES / "test"), ids["test"], metadata["test"], units["test"]
    )
    predictor.learn_neighbors(
        ImageStore(paths.IMAGES / "train"),
        knn.voters(with_known_class(folds, manifest), options.fold),
        paths.neighbors(options.model, options.fold),
    )
    for part, store in (("oof", "train"), ("test", "test")):
        predicted = predictor.predict(
            ImageStore(paths.IMAGES / store), ids[part], metadata[store], units[part]
        )
        predictions.write(paths.PREDICTIONS / name / f"{part}.parquet", predicted)
        print(
            f"{name}: {counted(len(ids[part]), f'{part} image')}, views "
            f"{', '.join(predictor.views)}"
        )


if __name__ == "__main__":
    program.run(main)
