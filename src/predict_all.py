"""one model of all folds, all views -> data/predictions/<model>/all/test.parquet."""

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
    """Predict the test images with a model that was trained on all folds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    model = parser.parse_args().model
    deterministic, predict = params_file.load(SECTIONS)
    seeding.set_deterministic(deterministic)
    predictor = Predictor(paths.weights(model, "all"), predict)
    images, store = Manifest(paths.PREPARED).csv("test.csv"), paths.IMAGES / "test"
    ids, units = images["id"].tolist(), images.set_index("id").get("unit")
    metadata = table.read(paths.metadata("test"))
    predictor.enforce_time_limit(ImageStore(store), ids, metadata, units)
    manifest = Manifest(paths.FOLDS)
    folds = manifest.csv("folds.csv").astype({"fold": int})
    predictor.learn_neighbors(
        ImageStore(paths.IMAGES / "train"),
        knn.voters(with_known_class(folds, manifest), "all"),
        paths.neighbors(model, "all"),
    )
    name = paths.fold_name(model, "all")
    predicted = predictor.predict(ImageStore(store), ids, metadata, units)
    predictions.write(paths.PREDICTIONS / name / "test.parquet", predicted)
    print(f"{name}: {counted(len(ids), 'test image')}, views {', '.join(predictor.views)}")


if __name__ == "__main__":
    program.run(main)
