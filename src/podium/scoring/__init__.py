"""The task, metrics, and the rules that turn probabilities into labels.

May import core and config.
"""
