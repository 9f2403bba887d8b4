"""Basics without machine learning: errors, atomic files, CSV, checksums, seeds, params.yaml.

Imports nothing else of Podium.
"""
