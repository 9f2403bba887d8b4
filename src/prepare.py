"""the competition's archive -> data/images/, and its tables in one form -> data/."""

from pathlib import Path

from podium import config, files, machine, preparation, records, stage, tables
from podium.archive import Archive
from podium.store import ImageStore

SECTIONS = ("competition.slug", "prepare")
DATA = Path("data")


def main() -> None:
    """Check the competition's tables and store its images."""
    slug, layout = config.load(*SECTIONS)
    archive = Archive(DATA / "raw" / f"{slug}.zip")
    found = tables.read(archive, layout)
    ids = {"train": found.train["id"].tolist(), "test": found.test["id"].tolist()}
    with files.atomic(DATA / "images") as folder:
        preparation.store_images(
            archive, ids, folder=folder, layout=layout, processes=machine.processes()
        )
    files.write_csv(DATA / "train.csv", found.train)
    files.write_csv(DATA / "test.csv", found.test)
    files.write_csv(DATA / "sample_submission.csv", found.sample)
    files.write_json(DATA / "classes.json", found.classes)
    images = {part: ImageStore(DATA / "images" / part).sha256() for part in ids}
    names = ("train.csv", "test.csv", "sample_submission.csv", "classes.json")
    records.write(DATA / "prepared.json", names, images_sha256=images)
    print(
        f"{len(found.train)} training images of {len(found.classes)} classes, "
        f"{len(found.test)} test images"
    )


if __name__ == "__main__":
    stage.run(main)
