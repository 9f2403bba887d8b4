"""the competition's archive -> data/images/, and its tables in one form -> data/."""

from pathlib import Path

from podium import config, files, machine, nested, preparation, records, stage, tables
from podium.archive import Archive
from podium.store import ImageStore

SECTIONS = ("competition.slug", "task", "prepare")
DATA = Path("data")


def main() -> None:
    """Check the competition's tables and store its images."""
    slug, task, layout = config.load(*SECTIONS)
    path = DATA / "raw" / f"{slug}.zip"
    with nested.unpacking(DATA / "unpacked.tmp") as scratch, Archive(path, scratch) as archive:
        found = tables.read(archive, layout, task)
        ids = {"train": found.train["id"].tolist(), "test": found.test["id"].tolist()}
        with files.atomic(DATA / "images") as folder:
            bad = preparation.store_images(
                archive, ids, folder=folder, layout=layout, processes=machine.processes()
            )
            found = tables.leave_out(found, [*bad["train"]], task)
    files.write_csv(DATA / "train.csv", found.train)
    files.write_csv(DATA / "test.csv", found.test)
    files.write_csv(DATA / "sample_submission.csv", found.sample)
    files.write_json(DATA / "classes.json", found.classes)
    images = {part: ImageStore(DATA / "images" / part).sha256() for part in ids}
    names = ("train.csv", "test.csv", "sample_submission.csv", "classes.json")
    records.write(DATA / "prepared.json", names, images_sha256=images, task=task)
    for note in [*found.notes, *preparation.notes(bad)]:
        print(f"warning: {note}")
    print(tables.summary(found, task))


if __name__ == "__main__":
    stage.run(main)
