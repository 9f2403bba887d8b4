"""Log some epochs to a tracker, as a training run does, and die: python log_epochs.py TRACKER FIRST
LAST [kill | stop]. The training run resumes with the curves up to FIRST, and trains up to LAST.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from podium.models import device
from podium.training.epochs import Epoch
from podium.training.tracker_kinds import RunName
from podium.training.tracking import Tracking


def curves(count: int) -> list[Epoch]:
    """Epochs with distinct numbers."""
    scores = dict.fromkeys(("accuracy", "precision", "recall", "f1"), 0.5)
    return [
        Epoch(i, 1, 1 / i, 2 / i, i / 100, **scores, lr=0.1 / i, backbone_lr=None,
              micro_batches=1, images_per_s=9.0, seconds=i)
        for i in range(1, count + 1)
    ]  # fmt: skip


def main() -> None:
    """Log, and end as asked."""
    name, first, last, *end = sys.argv[1:]
    device.accelerator("fp32")  # accelerate's trackers need its state
    tracking = Tracking([name], RunName("project", "a-fold0", "a-0-123", Path.cwd()))
    tracking.begin({"model": "a", "nested": {"lr": 0.1}}, curves(int(first)))
    for count in range(int(first) + 1, int(last) + 1):
        tracking.log(curves(count))
    if end == ["kill"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if not end:
        tracking.finish(lambda: np.zeros((8, 8, 3), np.uint8))
    tracking.close()


if __name__ == "__main__":
    main()
