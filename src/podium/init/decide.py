"""Measure on a sample of the images which features suit them and what fits into a time, for `make
init`.
"""

import itertools
from typing import NamedTuple

from podium.competition.archive import Archive
from podium.config.embeddings import Embedding
from podium.core import console
from podium.core.errors import UserError
from podium.dataset.tables import Tables
from podium.init import budget, defaults, facts, measure, printout, template
from podium.init.budget import Choice, Costs, Options
from podium.init.costs import measure_costs
from podium.init.defaults import Model
from podium.init.facts import Device, Facts
from podium.init.layout import Layout
from podium.init.measure import MAX_IMAGES, MAX_MINUTES, Excerpt
from podium.init.measured import Measured
from podium.init.weights import Weights
from podium.models import pretrained

FEATURES_SHARE = 0.5  # of the minutes, at most, for the features of all images
MEASURING_SHARE = 0.1  # of the minutes, to compare features of a sample
MIN_MEASURED = 100  # images of the sample
MIN_TIMED_SIZE = 64  # of the images with which costs are measured
COMPARISONS = 6  # of features: three modes, and other sizes


class Data(NamedTuple):
    """A competition, and what to train with."""

    archive: Archive
    layout: Layout
    tables: Tables
    device: Device
    weights: Weights | None  # None: timm's

    @property
    def facts(self) -> Facts:
        """Its properties that settings depend on."""
        return facts.collect(self.layout, self.tables)

    @property
    def models(self) -> list[Model]:
        """The models to choose from."""
        return defaults.models_for(self.facts, self.device, self.weights)

    @property
    def backbone(self) -> Embedding:
        """The first model's network."""
        model = self.models[0]
        return Embedding(
            architecture=model.architecture,
            pretrained=True if self.weights is None else self.weights.path,
            image_size=model.image_size,
            views=defaults.views(self.facts),
        )


class Decision(NamedTuple):
    """The result."""

    measured: Measured | None
    choice: Choice | None  # if there is a limit on the time


def decide(data: Data, *, minutes: float | None, quick: bool) -> Decision:
    """Compare features unless it must be `quick`; if there is a limit of `minutes` for `dvc repro`,
    measure the costs and choose what fits. Prints both.

    Raises:
        UserError: with a limit, if the costs cannot be measured. Without one, this is printed.
    """
    task, backbone = data.tables.task(data.layout.task), data.backbone
    try:
        pretrained.locate(backbone.network())  # before any work
        with measure.excerpt(
            data.archive,
            data.layout.prepare,
            data.tables,
            task,
            image_size=backbone.image_size,
        ) as few:
            if minutes is not None:
                return _fit(data, few, minutes, quick=quick or not few.is_comparable)
            if not few.is_comparable:
                raise UserError("there are too few images")
            return Decision(_compare(few, backbone), None)
    except UserError as error:
        if minutes is not None:
            raise UserError(f"--minutes: not measured: {error}") from None
        console.say(f"\nThe models' settings were not measured: {error}")
        return Decision(None, None)


def _compare(
    few: Excerpt,
    backbone: Embedding,
    *,
    max_minutes: float = MAX_MINUTES,
    max_images: int = MAX_IMAGES,
) -> Measured:
    console.say("\nMeasuring how the images should become square (ARGS=--quick skips it)")
    measured = measure.compare(few, backbone, max_minutes=max_minutes, max_images=max_images)
    console.say(printout.measured(measured))
    return measured


def _fit(data: Data, few: Excerpt, minutes: float, *, quick: bool) -> Decision:
    """Choose what fits."""
    known, backbone, models = data.facts, data.backbone, data.models
    console.say("\nMeasuring how long training and prediction take")
    settings = defaults.model_settings(data.layout, known, data.device, None, budget.MIN_EPOCHS)
    start = {"pretrained": backbone.pretrained}
    timed = budget.at(tuple(models), MIN_TIMED_SIZE)
    configs = {model.name: template.model_values(model, start, settings) for model in timed}
    head = defaults.probe_head(data.layout)
    costs = measure_costs(few, configs, views=backbone.views, head=head)
    measured = None
    if not quick:
        measured = _compare(
            few,
            backbone,
            max_minutes=min(MAX_MINUTES, FEATURES_SHARE * minutes),
            max_images=_affordable(costs, seconds=MEASURING_SHARE * 60 * minutes),
        )
    kinds = defaults.features(known, models[0], measured)
    size = models[0].image_size
    largest = size if measured is None else measured.image_size or size
    enlarged = itertools.takewhile(lambda step: step <= largest, measure.larger_sizes(size))
    options = Options(
        folds=defaults.fold_count(known, data.device),
        probe_folds=defaults.fold_count(known, data.device, trains_models=False),
        kinds=kinds,
        models=tuple(models),
        enlarged=tuple(enlarged),
        sizes=tuple(sorted({k.image_size for k in kinds if k.image_size > largest})),
        batch_size=defaults.batch_size(known, data.device),
        training_images=known.train_images,
        test_images=known.test_images,
    )
    choice = budget.choose(options, costs, seconds=60 * minutes)
    console.say(printout.choice(choice, options, costs, seconds=60 * minutes))
    return Decision(measured, choice)


def _affordable(costs: Costs, *, seconds: float) -> int:
    """The number of images to compare features with."""
    slowest = next(iter(costs.models.values())).prediction.unit
    images = int(seconds / COMPARISONS / slowest)
    return max(MIN_MEASURED, min(MAX_IMAGES, images))
