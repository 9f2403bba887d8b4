"""Run stages of the project in the current folder one after another: `run_stages.py fetch.py …`.

Each runs in a fork of this process, which imports torch and the like once instead of every time.
"""

import importlib
import os
import runpy
import sys

for name in ("accelerate", "albumentations", "pandas", "pyarrow.parquet", "scipy.optimize"):
    importlib.import_module(name)
for name in ("sklearn.metrics", "sklearn.model_selection", "timm.optim"):
    importlib.import_module(name)

sys.path.insert(0, "src")
for command in sys.argv[1:]:
    if (child := os.fork()) == 0:
        sys.argv = f"src/{command}".split()
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit()
    if status := os.waitpid(child, 0)[1]:
        sys.exit(f"{command} ended with status {status}")
