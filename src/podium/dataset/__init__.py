"""From raw tables and images to data/: labels, ids, image stores, folds.

May import scoring and everything before it.
"""
