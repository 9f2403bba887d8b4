"""Measure which features suit the images, as `make init` does, for a params.yaml that exists."""

from ruamel.yaml.comments import CommentedMap

from podium.competition.archive import Archive
from podium.config.embeddings import Embedding
from podium.config.models import Backbone, Model
from podium.config.probes import METADATA
from podium.core.errors import UserError
from podium.dataset import tables
from podium.init import defaults, measure, template, yaml_edit
from podium.init.measured import Measured
from podium.params.schema import Params

PROBE = "probe"  # as `make init` calls it


def measure_again(params: Params, archive: Archive) -> Measured:
    """Compare resize modes and sizes with the first model's network.

    Raises:
        UserError: if there is not exactly one probe, as `make init` writes it, and a model; if
            there are too few images.
    """
    if [*params.probes] != [PROBE] or not params.models:
        raise UserError(
            f"WRITE=1 is for the models and the only probe, `{PROBE}`, that `make init` writes. "
            "Change params.yaml yourself."
        )
    model = next(iter(params.models.values()))
    content = tables.read(archive, params.prepare, params.task)
    with measure.excerpt(
        archive,
        params.prepare.model_dump(),
        content,
        content.task(params.task),
        image_size=model.image_size,
    ) as few:
        if not few.is_comparable:
            raise UserError("WRITE=1: there are too few images to measure with. Leave it out.")
        return measure.compare(few, _backbone(model, params.predict.views))


def apply(text: str, params: Params, measured: Measured) -> str:
    """The text of params.yaml with what was measured: the models' resize mode (and size, if the
    images are tiny), the embeddings and the probe's features, and the size of the stored images.
    """
    new = yaml_edit.load(text)
    first = next(iter(params.models.values()))
    for section in new["models"].values():
        own = dict(section.non_merged_items())
        if own.get("resize_mode") == first.resize_mode:
            section["resize_mode"] = measured.resize_mode
            if measured.image_size is not None and own.get("image_size") == first.image_size:
                section["image_size"] = measured.image_size
            if "augment" in own:
                section["augment"] = defaults.augment_after(measured.resize_mode, own["augment"])
    backbone = {"architecture": first.architecture, "pretrained": first.pretrained}
    probe = params.probes[PROBE]
    views = params.embeddings[probe.embeddings[0]].views
    template.fill_embeddings(new["embeddings"], measured.features, backbone, views)
    metadata = [METADATA] if probe.has_metadata else []
    names = yaml_edit.flow([*(kind.name for kind in measured.features), *metadata])
    yaml_edit.put(new["probes"][PROBE], "features", names)
    _enlarge(new["prepare"], params, measured)
    return yaml_edit.align(yaml_edit.dump(new))


def _enlarge(section: CommentedMap, params: Params, measured: Measured) -> None:
    """Store larger images if the features need them."""
    largest = max(kind.image_size for kind in measured.features)
    needed = round(defaults.STORED_SIZE_FACTOR * largest)
    if params.prepare.max_size is not None and params.prepare.max_size < needed:
        yaml_edit.put(section, "max_size", needed)


def _backbone(model: Model, views: list[str]) -> Embedding:
    network = {name: getattr(model, name) for name in Backbone.model_fields}
    return Embedding(**network, views=views)
