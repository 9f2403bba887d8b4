"""Basics without machine learning: errors, atomic files, CSV, checksums, seeds, params.yaml.

Imports nothing else of Podium.
"""

import os

# After a parallel loop, OpenMP's threads spin for milliseconds, on cores that the threads that load
# images need. libgomp reads this when torch loads it.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "30000"  # about 0.1 ms
