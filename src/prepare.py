"""the competition's archive -> data/images/, and its tables in one format -> data/."""

from podium.competition import zips
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core import files, machine, manifest, params_file, paths, program
from podium.dataset import build, tables
from podium.images.store import ImageStore

SECTIONS = {"competition.slug": (Competition, "slug"), "task": TaskName, "prepare": Prepare}


def main() -> None:
    """Check the competition's tables and store its images."""
    slug, task, layout = params_file.load(SECTIONS)
    path = paths.RAW / f"{slug}.zip"
    with zips.unpacking(paths.DATA / "unpacked.tmp") as scratch, Archive(path, scratch) as archive:
        found = tables.read(archive, layout, task)
        ids = {"train": found.train["id"].tolist(), "test": found.test["id"].tolist()}
        with files.atomic(paths.IMAGES) as folder:
            bad, value_range = build.store_images(
                archive, ids, folder=folder, layout=layout, processes=machine.worker_count()
            )
            found = tables.drop(found, [*bad["train"]], task)
    files.write_csv(paths.DATA / "train.csv", found.train)
    files.write_csv(paths.DATA / "test.csv", found.test)
    files.write_csv(paths.DATA / "sample_submission.csv", found.sample)
    manifest.write(
        paths.PREPARED,
        ("train.csv", "test.csv", "sample_submission.csv"),
        images_sha256={part: ImageStore(paths.IMAGES / part).sha256() for part in ids},
        task=task,
        classes=found.classes,
        value_range=value_range,
    )
    range_warnings = build.range_notes(layout, value_range)
    for note in [*found.warnings, *build.notes(bad), *range_warnings]:
        print(f"warning: {note}")
    print(tables.summary(found, task))


if __name__ == "__main__":
    program.run(main)
