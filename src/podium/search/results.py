"""What searches have found: list it, plot it, write it to params.yaml."""

from pathlib import Path

from podium.cluster import session
from podium.cluster.pipeline import Pipeline
from podium.core import console, files, params_file, paths
from podium.core.errors import UserError
from podium.params.schema import Params
from podium.search import plots, report, space
from podium.search.study import Study, load_studies
from podium.submission import text_tables

FOLDER = Path("search")
JOURNAL = FOLDER / "journal.log"


def studies(model: str = "") -> list[Study]:
    """The searches of a model, or all, in the order in which they began."""
    found = [
        Study(study, space.parse(study.user_attrs["set"]))
        for study in load_studies(JOURNAL)
        if study.trials and model in ("", study.user_attrs["model"])
    ]
    if not found:
        raise UserError(f"No search{model and f' of {model}'} yet. Run `make search SET=…`.")
    return found


def describe(study: Study) -> str:
    """The report on a search."""
    facts = study.facts
    return report.summary(
        model=facts["model"],
        metric=facts["metric"],
        folds=facts["folds"],
        rows=study.rows(),
        best=study.best(),
        has_baseline=facts["has_baseline"],
        others=study.others,
    )


def show(model: str) -> None:
    """Print all trials."""
    for study in studies(model):
        print(f"{describe(study)}\nSET: {study.facts['set']}\n")
        print(text_tables.plain(report.table(study.rows(), study.facts["metric"])), end="\n\n")


def plot(model: str) -> None:
    """Save the plots of the last search."""
    study = studies(model)[-1]
    for path in plots.save(study.study, FOLDER / study.facts["model"]):
        print(path)


def fingerprint(pipeline: Pipeline, model: str, fold: int) -> str:
    """A hash of all that a trial's score depends on, apart from its values and folds."""
    return pipeline.fingerprint(paths.stage("train", model, fold))


def write(model: str, params: Params, text: str) -> None:
    """Write the best values of the last search to params.yaml, which has the `params` and `text`.

    Raises:
        UserError: if there are none, or if params, data or code have changed since.
    """
    study = studies(model)[-1]
    model, best = study.facts["model"], study.best()
    if best is None:
        raise UserError("No trial has a score yet. Continue the search.")
    params.model(model)  # or fail
    session.reproduce_folds()
    if study.facts["fingerprint"] != fingerprint(Pipeline(Path.cwd()), model, params.folds.run[0]):
        raise UserError(
            f"The last search of {model} was made with other params, data or code, which would not "
            "reproduce its score. Undo the edit, or search again."
        )
    files.write_text(params_file.PARAMS, space.apply(text, model, best.values))
    for key, value in best.values.items():
        console.say(f"models.{model}.{key}: {value}")
    where = report.folds_text(study.facts["folds"])
    console.say(f"run `dvc repro`: {study.facts['metric']} {best.score} on {where}")
