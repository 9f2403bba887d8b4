"""Compute one backbone's frozen features -> data/features/<name>/{train,test}.parquet."""

import argparse

from podium.config.embeddings import Embedding
from podium.core import params_file, paths, program, seeding
from podium.core.manifest import Manifest
from podium.features import tables
from podium.features.extract import Extractor
from podium.images.store import ImageStore
from podium.prediction.tta import VIEWS

SECTIONS = {"seed": int, "deterministic": bool, "embeddings.{embedding}": Embedding}


def main() -> None:
    """Compute the features of all training and test images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedding", required=True)
    options = parser.parse_args()
    seed, deterministic, config = params_file.load(SECTIONS, embedding=options.embedding)
    seeding.set_deterministic(deterministic)
    prepared = Manifest(paths.PREPARED)
    stores = {part: ImageStore(paths.IMAGES / part) for part in ("train", "test")}
    extractor = Extractor(config, seed=seed, channels=stores["train"].channels)
    views = [VIEWS[name] for name in config.views]
    for part, store in stores.items():
        ids = prepared.csv(f"{part}.csv")["id"].tolist()
        features = extractor.extract(store, ids, views)
        tables.write(paths.embedding(options.embedding, part), features)
        count, _, size = features.values.shape
        print(f"{options.embedding}: {size} features of {count} {part} images, ", end="")
        print(f"views {', '.join(config.views)}")


if __name__ == "__main__":
    program.run(main)
