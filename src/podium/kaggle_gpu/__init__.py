"""Training on Kaggle's GPUs: what is uploaded, the program that runs there, the driver.

`start.py`, `notebook.py` and `results.py` run there before the locked packages are installed, so
they import no third-party package.
"""
