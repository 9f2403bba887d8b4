"""Contestant of benchmarks/score.py: AutoGluon's MultiModalPredictor with the same backbone.

Its settings are its defaults, except for the network, the size of the images, and no extra
processes. It stops at its own time limit, which is made to count CPU time, or after 20 epochs.
"""

import json
import time
from types import SimpleNamespace

import torch
from autogluon.multimodal import MultiModalPredictor
from contestant import Job, backbone, read, write
from lightning.pytorch.callbacks import timer

SHARE = 0.8  # of the time, for training; the rest is for loading and predicting
METRICS = {"accuracy", "log_loss", "roc_auc"}  # those that have the same name


def checkpoint(job: Job) -> str:
    """Write the backbone as AutoGluon reads networks that are not on a hub."""
    folder = job.folder / "backbone"
    folder.mkdir()
    net = backbone(job)
    config = {
        "architecture": job.architecture,
        "num_classes": 0,
        "num_features": net.num_features,
        "pretrained_cfg": dict(net.pretrained_cfg),
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(net.state_dict(), folder / "pytorch_model.bin")
    return str(folder)


def main() -> None:
    """Train as long as allowed, and predict the test images."""
    job = read()
    predictor = MultiModalPredictor(
        label="label",
        problem_type="binary" if job.classes == 2 else "multiclass",
        eval_metric=job.metric if job.metric in METRICS else None,
        path=str(job.folder / "model"),
        verbosity=1,
    )
    timer.time = SimpleNamespace(monotonic=time.process_time)  # the clock of its time limit
    predictor.fit(
        job.train,
        time_limit=SHARE * job.seconds - time.process_time(),
        seed=job.seed,
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": checkpoint(job),
            "model.timm_image.image_size": job.size,
            "env.accelerator": "cpu",
            "env.num_gpus": 0,
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
        },
    )
    probabilities = predictor.predict_proba(job.test, as_pandas=True)
    write(job, probabilities.reindex(columns=range(job.classes), fill_value=0.0).to_numpy())


if __name__ == "__main__":
    main()
