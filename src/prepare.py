"""the competition's archive -> data/images/, and its tables in one format -> data/."""

from podium.competition import zips
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.config.prepare import Prepare
from podium.config.tasks import TaskName
from podium.core import files, machine, manifest, params_file, paths, program
from podium.dataset import (
    build,
    choice,
    listed,
    metadata_columns,
    shared_columns,
    submission_file,
    tables,
)
from podium.images.store import ImageStore
from podium.metadata import table as metadata_table

SECTIONS = {"competition.slug": (Competition, "slug"), "task": TaskName, "prepare": Prepare}


def main() -> None:
    """Check the competition's tables and store its images."""
    slug, task, layout = params_file.load(SECTIONS)
    path = paths.RAW / f"{slug}.zip"
    with (
        zips.unpacking(paths.DATA / "unpacked.tmp") as scratch,
        Archive(path, scratch, used=layout.names) as archive,
    ):
        read = tables.read(archive, layout, task)
        with files.atomic(paths.IMAGES) as folder:
            stored = build.store_images(
                archive,
                read.ids,
                folder=folder,
                layout=layout,
                processes=machine.decoding_processes(path.stat().st_size),
            )
            listed.check_known(read.ids, layout)
            read = tables.drop(read, [*stored.unusable["train"]], task)
        chosen = choice.choose(read, layout, task, stored.checksums)
        read = chosen.tables
        metadata = metadata_columns.read(archive, layout, read)
        shared = shared_columns.read(archive, layout, read)
        not_read = [f"not read: {problem}" for problem in archive.skipped]
    written = {
        "train.csv": read.train,
        "test.csv": read.test,
        "sample_submission.csv": read.sample if read.sample_rows is None else read.sample_rows,
        "duplicates.csv": chosen.duplicates,
        "files.csv": stored.files(),
        "shared_columns.csv": shared.table,
        submission_file.ROWS: read.file.rows_table,
    }
    for name, table in written.items():
        files.write_csv(paths.DATA / name, table)
    metadata_table.write(paths.metadata("train"), metadata.train)
    metadata_table.write(paths.metadata("test"), metadata.test)
    manifest.write(
        paths.PREPARED,
        [*written],
        images_sha256={part: ImageStore(paths.IMAGES / part).sha256() for part in read.ids},
        task=task,
        classes=read.classes,
        new_class=read.new_class,
        value_range=stored.value_range,
        label_range=tables.label_range(read, task),
        submission_file=read.file.facts,
        hidden_test=layout.hidden_test,
        features=metadata.kinds,
        shared_columns=shared.kinds,
        duplicates=layout.duplicates,
        **({} if read.targets is None else {"targets": read.targets}),
    )
    for warning in [*not_read, *read.warnings, *stored.warnings(layout), *metadata.warnings]:
        print(f"warning: {warning}")
    for line in [*metadata.lines, *chosen.lines]:
        print(line)
    print(tables.summary(read, task))


if __name__ == "__main__":
    program.run(main)
