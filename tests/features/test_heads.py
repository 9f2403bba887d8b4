"""Heads on frozen features, for all tasks."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import provenances
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from podium.config.probes import Probe
from podium.config.tasks import TaskName
from podium.features import probe
from podium.features.heads import HEADS
from podium.models import weights
from podium.scoring.task import Task

SRC = Path(__file__).parents[2] / "src"
TOLERANCE = 1e-4  # at which scikit-learn's logistic regression stops
RNG = np.random.default_rng(3)
STATE = RNG.bit_generator.state
IMAGES, VIEWS, SIZE = 120, 2, 6
CLASSES: dict[TaskName, list[str]] = {
    "binary": ["no", "yes"],
    "multiclass": ["a", "b", "c"],
    "multilabel": ["a", "b", "c"],
    "ordinal": ["0", "1", "2"],
    "regression": ["age"],
}


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """A test's data do not depend on the tests before it."""
    RNG.bit_generator.state = STATE


def data(task: TaskName) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, V, D] that determine the targets, up to a little noise."""
    signal = RNG.normal(size=(IMAGES, 3))
    targets: np.ndarray
    if task == "regression":
        targets = (50 + 10 * signal[:, :1]).astype(np.float32)
    elif task == "multilabel":
        targets = (signal > 0).astype(np.float32)
    elif task == "ordinal":
        targets = np.digitize(signal[:, 0], [-0.5, 0.5])
    else:
        targets = signal[:, : len(CLASSES[task])].argmax(axis=1)
    mixed = signal @ RNG.normal(size=(3, SIZE)) * 5 + 3
    noise = RNG.normal(size=(IMAGES, VIEWS, SIZE), scale=0.1)
    return (mixed[:, None] + noise).astype(np.float32), targets


def fit(
    head: str,
    features: np.ndarray,
    targets: np.ndarray,
    task: Task,
    folds: Sequence[int] | np.ndarray | None = None,
    strength: float | None = None,
) -> probe.Fitted:
    return probe.fit(
        Probe(features=["x"], head=head, strength=strength),
        features,
        targets,
        sizes=[features.shape[2]],
        task=task,
        folds=np.arange(len(features)) % 3 if folds is None else np.asarray(folds),
        seed=0,
    )


@pytest.mark.parametrize(("head", "name"), [(h, t) for h in HEADS for t in HEADS[h].tasks])
def test_a_head_learns_each_of_its_tasks(head: str, name: TaskName) -> None:
    task = Task(name, CLASSES[name])
    features, targets = data(name)
    fitted = fit(head, features[:90], targets[:90], task)
    logits = probe.predict(head, fitted.arrays, features[90:])
    assert logits.shape == (30, len(task.classes)) and logits.dtype == np.float32
    if name == "regression":
        spread = targets.std()
        assert abs(logits - targets[90:]).mean() < 0.4 * spread
    elif name == "multilabel":
        right = ((logits > 0) == (targets[90:] > 0)).mean()
        assert right > (0.85 if head == "lightgbm" else 0.9)
    else:
        assert (logits.argmax(axis=1) == targets[90:]).mean() > (0.7 if head == "knn" else 0.8)


def test_logistic_regression_is_scikit_learns() -> None:
    task = Task("multiclass", ["a", "b", "c"])
    features, targets = data("multiclass")
    fitted = fit("logistic", features, targets, task, strength=0.3)
    flat = features.reshape(-1, SIZE)
    scaled = (flat - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0).mean())
    model = LogisticRegression(C=0.3, max_iter=1000).fit(scaled, targets.repeat(VIEWS))
    scores = model.decision_function(scaled).reshape(IMAGES, VIEWS, 3).mean(axis=1)
    found = probe.predict("logistic", fitted.arrays, features)
    np.testing.assert_allclose(
        softmax(found, axis=1), softmax(scores, axis=1), atol=1e-4
    )  # fmt: skip


def test_logistic_regression_on_more_features_than_examples_is_scikit_learns() -> None:
    """It is fitted in fewer dimensions."""
    task = Task("multiclass", ["a", "b", "c"])
    features = RNG.normal(size=(30, 1, 200)).astype(np.float32) + 2
    targets, others = np.arange(30) % 3, RNG.normal(size=(9, 1, 200)).astype(np.float32) + 2
    fitted = fit("logistic", features, targets, task, strength=0.3)
    center, scale = features.mean(axis=0), np.sqrt(features.var(axis=0).mean())
    model = LogisticRegression(C=0.3, max_iter=1000, tol=1e-6)
    model.fit((features[:, 0] - center) / scale, targets)
    expected = model.predict_proba((others[:, 0] - center) / scale)
    found = softmax(probe.predict("logistic", fitted.arrays, others), axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("present", [[0, 1], [1, 2], [2]])
def test_a_class_without_training_images_is_unlikely(head: str, present: list[int]) -> None:
    task = Task("multiclass", ["a", "b", "c"])
    features, targets = data("multiclass")
    rows = np.isin(targets, present)
    fitted = fit(head, features[rows], targets[rows], task)
    found = softmax(probe.predict(head, fitted.arrays, features[rows]), axis=1)
    assert np.isfinite(found).all()
    missing = [c for c in range(3) if c not in present]
    assert (found[:, missing].sum(axis=1) < 0.4).all()
    assert (found.argmax(axis=1) == targets[rows]).mean() > 0.8


@pytest.mark.parametrize("head", [h for h in HEADS if "multilabel" in HEADS[h].tasks])
def test_a_label_of_all_or_no_images(head: str) -> None:
    task = Task("multilabel", ["a", "b", "c"])
    features, targets = data("multilabel")
    targets[:, 1], targets[:, 2] = 1, 0
    found = expit(probe.predict(head, fit(head, features, targets, task).arrays, features))
    assert (found[:, 1] > 0.7).all() and (found[:, 2] < 0.3).all()


def test_features_of_several_embeddings_count_equally() -> None:
    task = Task("binary", ["no", "yes"])
    features, targets = data("binary")
    large = np.concatenate([1000 * RNG.normal(size=features.shape), features], axis=2)
    config = Probe(features=["noise", "signal"], head="knn")
    losses = [
        probe.fit(
            config,
            large.astype(np.float32),
            targets,
            sizes=sizes,
            task=task,
            folds=np.arange(IMAGES) % 3,
            seed=0,
        ).loss
        for sizes in ([SIZE, SIZE], [2 * SIZE])
    ]
    assert losses[0] < 0.6 and losses[1] > 0.66  # of chance: 0.69


def test_the_strength_is_the_best_in_cross_validation() -> None:
    task = Task("binary", ["no", "yes"])
    features, targets = data("binary")
    noisy = np.where(RNG.random(IMAGES) < 0.3, 1 - targets, targets)
    clean, wrong = fit("logistic", features, targets, task), fit("logistic", features, noisy, task)
    assert wrong.strength < clean.strength
    for strength in HEADS["logistic"].strengths:
        alone = fit("logistic", features, noisy, task, strength=strength)
        assert alone.loss >= wrong.loss - TOLERANCE  # it starts elsewhere


@pytest.mark.parametrize("strength", [0.3, 10.0])
def test_a_neighbor_is_the_fewest(strength: float) -> None:
    task = Task("binary", ["no", "yes"])
    features, targets = data("binary")
    arrays = fit("knn", features, targets, task, strength=strength).arrays
    assert arrays["neighbors"][0] == (3 if strength == 0.3 else 1)
    assert np.isfinite(probe.predict("knn", arrays, features)).all()


def test_a_single_training_fold_is_divided_at_random() -> None:
    task = Task("binary", ["no", "yes"])
    features, targets = data("binary")
    found = fit("logistic", features, targets, task, folds=np.zeros(IMAGES, int))
    assert found.loss < 0.3


@pytest.mark.parametrize("head", HEADS)
def test_the_same_data_give_the_same_bytes(head: str) -> None:
    task = Task("multiclass", ["a", "b", "c"])
    features, targets = data("multiclass")
    first, second = (fit(head, features, targets, task).arrays for _ in range(2))
    assert {k: v.tobytes() for k, v in first.items()} == {k: v.tobytes() for k, v in second.items()}


def test_trees_learn_what_a_linear_head_cannot() -> None:
    task = Task("binary", ["no", "yes"])
    features = np.random.default_rng(0).normal(size=(400, 1, SIZE)).astype(np.float32)
    targets = (features[:, 0, 0] * features[:, 0, 1] > 0).astype(int)
    right = {}
    for head in ("lightgbm", "logistic"):
        fitted = fit(head, features[:300], targets[:300], task)
        found = probe.predict(head, fitted.arrays, features[300:]).argmax(axis=1)
        right[head] = (found == targets[300:]).mean()
    assert right["lightgbm"] > 0.85 and right["logistic"] < 0.7


@pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel", "regression"])
def test_fewer_trees_are_the_first_of_more(name: TaskName) -> None:
    task, head = Task(name, CLASSES[name]), HEADS["lightgbm"]
    features, targets = data(name)
    if name == "regression":
        targets = (targets - 50) / 10
    flat = features[:, 0]
    both = [*head.fit_path(flat, targets, task, [5, 20])]
    for arrays, strength in zip(both, (5, 20), strict=True):
        alone = head.fit(flat, targets, task, strength)
        assert {k: v.tobytes() for k, v in arrays.items()} == {
            k: v.tobytes() for k, v in alone.items()
        }
    few, more = (head.scores(arrays, flat) for arrays in both)
    assert abs(more - few).max() > 0.1


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_the_same_when_it_is_read_from_its_file(head: str, tmp_path: Path) -> None:
    task = Task("multiclass", ["a", "b", "c"])
    features, targets = data("multiclass")
    arrays = fit(head, features, targets, task).arrays
    path = tmp_path / "weights.safetensors"
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    weights.save(path, state, provenances.training())
    read = {name: tensor.numpy() for name, tensor in weights.read(path)[0].items()}
    expected = probe.predict(head, arrays, features)
    assert np.array_equal(probe.predict(head, read, features), expected)


def test_the_number_of_threads_changes_no_tree() -> None:
    task = Task("binary", ["no", "yes"])
    features, targets = data("binary")
    found = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            found.append(HEADS["lightgbm"].fit(features[:, 0], targets, task, 20)["models"])
    assert np.array_equal(*found)


def test_lightgbm_is_imported_only_when_it_is_used() -> None:
    code = "import sys, podium.features.heads; assert 'lightgbm' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": str(SRC)})
    assert done.returncode == 0


def test_normalized_features_have_no_length() -> None:
    parts = [RNG.normal(size=(IMAGES, VIEWS, SIZE)), RNG.normal(size=(IMAGES, VIEWS, 2))]
    metadata = RNG.normal(size=(IMAGES, 1))
    scaled = [part * RNG.uniform(0.1, 10, (IMAGES, VIEWS, 1)) for part in parts]
    inputs = probe.inputs(Probe(features=["a", "b", "metadata"]), scaled, metadata)
    np.testing.assert_allclose(inputs[..., :SIZE], parts[0] / length(parts[0]))
    np.testing.assert_allclose(inputs[..., SIZE:-1], parts[1] / length(parts[1]))
    assert (inputs[..., -1] == metadata).all()
    raw = probe.inputs(Probe(features=["a", "b"], normalize=False), scaled, None)
    assert (raw == np.concatenate(scaled, axis=2)).all()


def length(features: np.ndarray) -> np.ndarray:
    return np.sqrt((features**2).sum(axis=2, keepdims=True))
