"""Checks of probes and of metadata; see `checks`."""

from collections.abc import Iterable, Iterator, Mapping

from podium.config.embeddings import Embedding
from podium.config.ensemble import Ensemble
from podium.config.models import Model
from podium.config.prepare import Prepare
from podium.config.probes import METADATA, Probe
from podium.config.tasks import TaskName
from podium.core.errors import nearest
from podium.core.validation import Problem


def unknown(kind: str, name: str, registry: Iterable[str]) -> str:
    """Describe the problem of a name that is not in a registry."""
    names = list(registry)
    hint = nearest(name, names) or f". Choose from {', '.join(names)}."
    return f"unknown {kind} {name}{hint}"


def probes(
    probes: dict[str, Probe],
    embeddings: dict[str, Embedding],
    task: TaskName,
    prepare: Prepare,
) -> Iterator[Problem]:
    """Check that the embeddings and heads of probes exist and are compatible."""
    if not probes:
        return
    for name, probe in probes.items():
        known = [embeddings[feature] for feature in probe.embeddings if feature in embeddings]
        for index, feature in enumerate(probe.features):
            if feature not in (*embeddings, METADATA):
                at = f"probes.{name}.features[{index}]"
                yield at, unknown("embedding", feature, embeddings)
        if any(embedding.views != known[0].views for embedding in known):
            yield f"probes.{name}.features", "the embeddings have different views. Use the same."
        yield from _heads(f"probes.{name}.head", probe.head, task, prepare)


def _heads(
    at: str, head: str | dict[str, str], task: TaskName, prepare: Prepare
) -> Iterator[Problem]:
    """Check the head of a probe, or that of each target."""
    from podium.features.heads import HEADS

    targets: Mapping[str, TaskName] = prepare.target_tasks if task == "multitarget" else {}
    if isinstance(head, dict) and head.keys() != targets.keys():
        yield at, f"needs one head for each of the targets ({', '.join(targets) or 'none'})"
        return
    by_target = head if isinstance(head, dict) else dict.fromkeys(targets or [""], head)
    for target, kind in by_target.items():
        own = targets.get(target, task)
        if kind not in HEADS:
            yield at, unknown("head", kind, HEADS)
        elif own not in HEADS[kind].tasks:
            heads = [name for name, head in HEADS.items() if own in head.tasks]
            of = f"target {target}, " if target else ""
            text = f"{kind} does not support {of}task: {own}. Choose from {', '.join(heads)}."
            yield at, text
            return


def metadata(
    prepare: Prepare,
    models: dict[str, Model],
    probes: dict[str, Probe],
    embeddings: dict[str, Embedding],
    ensemble: Ensemble,
) -> Iterator[Problem]:
    """Check that there is metadata for everything that uses it."""
    users = [f"models.{name}.metadata" for name, model in models.items() if model.metadata]
    users += [f"probes.{name}.features" for name, probe in probes.items() if probe.has_metadata]
    users += ["ensemble.stack_metadata"] if ensemble.stack_metadata else []
    if prepare.features == "none":
        for user in users:
            yield user, "requires columns. Set prepare.features to auto, or to their names."
    for name, model in models.items():
        from podium.models import losses

        if model.metadata and losses.needs_cosines(model):
            yield (
                f"models.{name}.metadata",
                f"is not supported with loss: {model.loss}. Change one of them.",
            )
    if METADATA in embeddings:
        yield f"embeddings.{METADATA}", "is reserved for prepare.features. Choose another name."
