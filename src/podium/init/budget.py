"""Choose models, epochs, folds and sizes whose training fits into a number of minutes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from podium.core import console
from podium.init.defaults import Model
from podium.init.measured import Kind
from podium.params.backbone import MAX_SIZE
from podium.planning import overview
from podium.planning.cost import HeadTime, Process, Rate, Split, Training
from podium.planning.overview import Row

LIGHT_STAGES = 9  # fetch, prepare, folds, ensemble, submission, report; and three for DVC
MIN_FOLDS = 3
MIN_EPOCHS = 3
MAX_STEPS = 2_000  # of a training: more epochs gain little
MAX_EPOCHS = 30  # however few steps these are
ENOUGH_EPOCHS = 8  # however many steps these are


@dataclass(frozen=True)
class ModelCosts:
    """What was measured with a model."""

    image_size: int
    training: Training
    prediction: Rate  # images, with all views, which is also the time of their features

    def at(self, image_size: int) -> "ModelCosts":
        """The costs with images of another size: of larger ones in proportion to their pixels, of
        smaller ones the same, since small images are dominated by what each one takes.
        """
        factor = max(1.0, (image_size / self.image_size) ** 2)
        training, prediction = self.training.scaled(factor), self.prediction.scaled(factor)
        return ModelCosts(image_size, training, prediction)


@dataclass(frozen=True)
class Costs:
    """What was measured on this device."""

    process: Process
    prepare: float  # seconds for all images
    models: dict[str, ModelCosts]  # by the model's name
    head: HeadTime  # of a probe


@dataclass(frozen=True)
class Choice:
    """What `make init` writes instead of its defaults."""

    folds: int
    kinds: tuple[Kind, ...]  # of the probe's features; () for no probe
    models: tuple[Model, ...] = ()  # to fine-tune
    epochs: int = 0  # of each model


@dataclass(frozen=True)
class Options:
    """What there is to choose from, and how many images there are."""

    folds: int  # at most
    probe_folds: int  # at most, if no model is trained
    kinds: tuple[Kind, ...]  # of features, the most helpful first; () for no probe
    models: tuple[Model, ...]  # in the order of preference
    enlarged: tuple[int, ...]  # sizes to which a model enlarges tiny images, ascending
    sizes: tuple[int, ...]  # larger image sizes for the models, if features profit from them
    batch_size: int
    training_images: int
    test_images: int


def choose(options: Options, costs: Costs, *, seconds: float) -> Choice:
    """The best choice that takes at most `seconds`; the cheapest if there is none."""
    choices = [*ladder(options)]
    fitting = [choice for choice in choices if total(choice, options, costs) <= seconds]
    return fitting[-1] if fitting else min(choices, key=lambda c: total(c, options, costs))


def ladder(options: Options) -> Iterator[Choice]:
    """What there is to choose from, better and better: a probe, a short fine-tuning that starts
    from it, all folds, longer trainings, more models, larger images. Tiny images are enlarged
    step by step, once a training is long enough.
    """
    few, models = min(MIN_FOLDS, options.folds), options.models[:1]
    for count in range(1, len(options.kinds) + 1):
        yield Choice(options.folds, options.kinds[:count])
    if options.kinds:
        for folds in range(options.folds + 1, options.probe_folds + 1):
            yield Choice(folds, options.kinds)
    for folds in range(few, options.folds + 1):
        yield Choice(folds, options.kinds[:1], models, MIN_EPOCHS)
    for size in (models[0].image_size, *options.enlarged):
        choice = Choice(options.folds, options.kinds, at(models, size), MIN_EPOCHS)
        is_last = size == max(options.enlarged, default=size)
        for epochs in range(MIN_EPOCHS, 1 + (max_epochs(options) if is_last else ENOUGH_EPOCHS)):
            choice = replace(choice, epochs=epochs)
            yield choice
    for count in range(2, len(options.models) + 1):
        choice = replace(choice, models=at(options.models[:count], size))
        yield choice
    for size in options.sizes:
        yield replace(choice, models=at(choice.models, size))


def at(models: tuple[Model, ...], size: int) -> tuple[Model, ...]:
    """The models with images of `size`, unless their own are larger."""
    return tuple(replace(model, image_size=max(model.image_size, size)) for model in models)


def max_epochs(options: Options) -> int:
    """The number of epochs after which more are not worth their time."""
    images = Split.of(options.training_images, 0, folds=options.folds).training
    steps = max(1, images // options.batch_size)
    return max(ENOUGH_EPOCHS, min(MAX_EPOCHS, math.ceil(MAX_STEPS / steps)))


def total(choice: Choice, options: Options, costs: Costs) -> float:
    """The time of `dvc repro`, in seconds."""
    return overview.total(rows(choice, options, costs))


def rows(choice: Choice, options: Options, costs: Costs) -> list[Row]:
    """The time of each part of `dvc repro`."""
    split = Split.of(options.training_images, options.test_images, folds=choice.folds)
    backbone, start = costs.models[options.models[0].name], costs.process.start
    network = start + backbone.training.network
    result = [Row("check", network), Row("prepare", costs.prepare)]
    images = options.training_images + options.test_images
    # About twice the features of one view, and so about those of all.
    looked = backbone.at(min(options.models[0].image_size, MAX_SIZE)).prediction
    result.append(Row("explore", network + looked.seconds(images)))
    for kind in choice.kinds:
        features = backbone.at(kind.image_size).prediction
        result.append(Row(f"{kind.name} (embedding)", network + features.seconds(images)))
    if choice.kinds:
        fit = costs.head.fit(split.training, len(choice.kinds), choice.folds)
        result.append(Row("probe", start / choice.folds + fit, folds=choice.folds))
    for model in choice.models:
        cost = costs.models[model.name].at(model.image_size)
        epochs = [*[1] * (len(cost.training.batches) - 1), choice.epochs]
        training = start + cost.training.seconds(epochs, options.batch_size, split)
        predicted = cost.prediction.seconds(split.validation + split.test)
        prediction = start + cost.training.network + predicted
        result.append(Row(model.name, training, prediction, choice.folds))
    return [*result, Row("other stages", LIGHT_STAGES * costs.process.light)]


def notes(choice: Choice, options: Options, *, seconds: float, needed: float) -> list[str]:
    """What to know about a choice that was made for `seconds` and needs `needed`."""
    lines = []
    if needed > seconds:
        lines.append(f"no plan fits into {console.duration(seconds)}; this is the fastest one")
    if not choice.models:
        lines.append("no model is fine-tuned: not even a short training fits")
    if choice.folds < options.folds:
        lines.append(f"{choice.folds} folds: there is no time for {options.folds}")
    if len(choice.kinds) < len(options.kinds):
        names = ", ".join(kind.name for kind in options.kinds[1:])
        lines.append(f"features that are left out for lack of time: {names}")
    if [*ladder(options)][-1] == choice:
        lines.append("more minutes would not be used: longer trainings gain little")
    return lines
