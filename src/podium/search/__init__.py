"""Hyper-parameter search: trials are training runs, on this machine or on a cluster.

Only `study.py` and `plots.py` know Optuna.
"""
