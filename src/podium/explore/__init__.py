"""Data exploration before training: near-duplicates, label errors, drift, shortcuts, their page.

May import pages and the packages before it.
"""
