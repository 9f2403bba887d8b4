"""one model, one fold, all views -> data/predictions/<model>/fold<k>/{oof,test}.parquet."""

import argparse
from pathlib import Path

from podium import config, predictions, stage
from podium import seed as seeding
from podium.predicting import Predictor
from podium.records import Record
from podium.store import ImageStore

SECTIONS = ("deterministic", "predict")
DATA, MODELS = Path("data"), Path("models")


def main() -> None:
    """Predict the validation fold's images and the test images with one trained model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--fold", type=int, required=True)
    chosen = parser.parse_args()
    deterministic, options = config.load(*SECTIONS)
    seeding.set_deterministic(deterministic)
    name = f"{chosen.model}/fold{chosen.fold}"
    predictor = Predictor(MODELS / name / "weights.safetensors", options)
    folds = Record(DATA / "folds.json").csv("folds.csv")
    ids = {
        "oof": folds.loc[folds["fold"] == str(chosen.fold), "id"].tolist(),
        "test": Record(DATA / "prepared.json").csv("test.csv")["id"].tolist(),
    }
    predictor.keep_to_the_limit(ImageStore(DATA / "images" / "test"), ids["test"])
    for part, store in (("oof", "train"), ("test", "test")):
        predicted = predictor.predict(ImageStore(DATA / "images" / store), ids[part])
        predictions.write(DATA / "predictions" / name / f"{part}.parquet", predicted)
        print(f"{name}: {len(ids[part])} {part} images, as {', '.join(predictor.views)}")


if __name__ == "__main__":
    stage.run(main)
