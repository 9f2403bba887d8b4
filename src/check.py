"""params.yaml -> data/params.checked and data/metric.json: find mistakes before anything runs."""

from podium.config import trackers
from podium.core import files, params_file, paths, program
from podium.core.errors import UserError
from podium.params import schema
from podium.scoring import metrics
from podium.submission import blend, new_class

# Read, but not declared in dvc.yaml: it may be missing, and does not affect any result.
UNDECLARED = ("trackers",)
SECTIONS = tuple(name for name in schema.Params.model_fields if name not in UNDECLARED)


def main() -> None:
    """Validate the whole params file, build its models without weights, and load the metric.

    params.checked is constant, so no stage reruns for it. metric.json changes with the metric and,
    if that is user-defined, with its code: the stages that use the metric depend on it.
    """
    params = schema.validate(params_file.read(params_file.PARAMS), build_models=True)
    trackers.require(params.trackers)
    metric = metrics.get(params.metric, params.task)
    for key, problem in blend.problems(params.ensemble, metric):
        raise UserError(f"{key}: {problem}")
    if params.prepare.new_class is not None and (text := new_class.problem(metric)):
        raise UserError(f"prepare.new_class: {text}")
    files.write_text(paths.CHECKED, "params.yaml is valid\n")
    files.write_json(paths.METRIC, metric.facts())


if __name__ == "__main__":
    program.run(main)
