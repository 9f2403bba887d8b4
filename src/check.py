"""params.yaml -> data/params.checked, metric.json, explore.json: validate everything first."""

from podium.config import trackers
from podium.core import files, params_file, paths, program
from podium.core.errors import UserError
from podium.dataset import listed
from podium.params import backbone, schema
from podium.scoring import metrics
from podium.submission import blend, new_class

# Read, but not declared in dvc.yaml: it may be missing, and does not affect any result.
UNDECLARED = ("trackers",)
SECTIONS = tuple(name for name in schema.Params.model_fields if name not in UNDECLARED)


def main() -> None:
    """Validate the whole params file, build its models without weights, and load the metric.

    params.checked is constant, so no stage reruns for it. metric.json changes with the metric and,
    if that is user-defined, with its code; if images share rows of the submission, with
    ensemble.aggregate, too. The stages that score depend on it.
    explore.json changes with the network that the stage explore uses.
    """
    params = schema.validate(params_file.read(params_file.PARAMS), build_models=True)
    trackers.require(params.trackers)
    metric = metrics.get(params.metric, params.task)
    for key, problem in blend.problems(params.ensemble, metric):
        raise UserError(f"{key}: {problem}")
    if params.prepare.new_class is not None and (text := new_class.problem(metric)):
        raise UserError(f"prepare.new_class: {text}")
    listed.check(params.prepare)
    files.write_text(paths.CHECKED, "params.yaml is valid\n")
    files.write_json(paths.METRIC, params.scored_by(metric))
    network = backbone.of(params)
    facts = None if network is None else network.model_dump()
    files.write_json(paths.EXPLORE, facts)


if __name__ == "__main__":
    program.run(main)
