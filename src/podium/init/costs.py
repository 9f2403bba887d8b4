"""What the models that `make init` may write cost on this device."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from podium.config.embeddings import Embedding
from podium.config.models import Backbone, Model
from podium.config.probes import Probe
from podium.dataset import splitting
from podium.init.budget import Costs, ModelCosts
from podium.init.measure import FOLDS, SEED, Excerpt
from podium.planning import stopwatch, timing, timing_probes
from podium.training.build import TrainingData


def measure_costs(
    few: Excerpt, configs: Mapping[str, Any], *, views: list[str], head: str | dict[str, str]
) -> Costs:
    """Train and predict some batches with each model.

    Args:
        few: the images.
        configs: the models by name, as in params.yaml.
        views: of the images, to predict.
        head: of the probe, on the features of the first model's network.

    Raises:
        UserError: if weights cannot be read, or a batch does not fit the device's memory.
    """
    folds = splitting.make_folds(few.train, few.task, count=FOLDS, seed=SEED)
    data = TrainingData(folds, few.task, few.store, "", few.store.sha256())
    ids = folds.sample(frac=1, random_state=SEED)["id"].tolist()
    models, features = dict[str, ModelCosts](), list[np.ndarray]()
    for name, config in configs.items():
        model = Model.model_validate(config)
        network = {key: getattr(model, key) for key in Backbone.model_fields}
        backbone = Embedding(**network, views=views, precision=model.precision)
        measured = timing.measure_model(model, data, fold=0, seed=SEED)
        embedding = timing_probes.measure_embedding(backbone, few.store, ids, seed=SEED)
        models[name] = ModelCosts(model.image_size, measured.training, embedding.images)
        features.append(embedding.features)
    probe = Probe(features=["x"], head=head)
    fit = timing_probes.measure_head(probe, features[:1], data, ids, seed=SEED)
    prepare = stopwatch.in_parallel(few.seconds * few.total, few.processes)
    return Costs(stopwatch.process(), prepare, models, fit)
