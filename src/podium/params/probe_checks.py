"""Checks of probes and of metadata; see `checks`."""

from collections.abc import Iterable, Iterator

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
    probes: dict[str, Probe], embeddings: dict[str, Embedding], task: TaskName
) -> Iterator[Problem]:
    """Check that the embeddings and heads of probes exist and are compatible."""
    if not probes:
        return
    from podium.features.heads import HEADS

    for name, probe in probes.items():
        known = [embeddings[feature] for feature in probe.embeddings if feature in embeddings]
        for index, feature in enumerate(probe.features):
            if feature not in (*embeddings, METADATA):
                at = f"probes.{name}.features[{index}]"
                yield at, unknown("embedding", feature, embeddings)
        if any(embedding.views != known[0].views for embedding in known):
            yield f"probes.{name}.features", "the embeddings have different views. Use the same."
        if probe.head not in HEADS:
            yield f"probes.{name}.head", unknown("head", probe.head, HEADS)
        elif task not in HEADS[probe.head].tasks:
            heads = [name for name, head in HEADS.items() if task in head.tasks]
            text = f"{probe.head} does not support task: {task}. Choose from {', '.join(heads)}."
            yield f"probes.{name}.head", text


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
        from podium.models.losses import LOSSES

        if model.metadata and model.loss in LOSSES and LOSSES[model.loss].cosine_head:
            yield (
                f"models.{name}.metadata",
                f"is not supported with loss: {model.loss}. Change one of them.",
            )
    if METADATA in embeddings:
        yield f"embeddings.{METADATA}", "is reserved for prepare.features. Choose another name."
