"""Prepared data and folds -> reports/data.html, and CSV lists of its findings."""

from podium.config.competition import Competition
from podium.config.embeddings import Embedding
from podium.core import files, params_file, paths, program, seeding
from podium.explore import data_page, findings
from podium.explore.data import read

SECTIONS = {"seed": int, "deterministic": bool, "competition.slug": (Competition, "slug")}


def main() -> None:
    """Find near-duplicates, label errors, drift and shortcuts."""
    seed, deterministic, slug = params_file.load(SECTIONS)
    network = files.read_json(paths.EXPLORE)
    backbone = None if network is None else Embedding.model_validate(network)
    if backbone is not None:
        seeding.set_deterministic(deterministic)
    data = read(backbone, seed=seed)
    found = findings.find(data, seed=seed)
    tables = {
        "near_duplicates.csv": findings.duplicates_table(data, found),
        "label_issues.csv": findings.issues_table(data, found),
    }
    for name, table in tables.items():
        files.write_csv(paths.REPORTS / name, table)
    path = paths.REPORTS / "data.html"
    files.write_text(path, data_page.html(data, found, slug, backbone))
    for line in data_page.summary(data, found):
        print(line)
    print(f"{path}: {len(files.read(path)) / 1e6:.1f} MB")


if __name__ == "__main__":
    program.run(main)
