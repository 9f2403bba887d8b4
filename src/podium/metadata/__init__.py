"""Metadata: columns of the competition's tables as inputs, next to the images.

Here are the table of an image's columns, and the encoding that turns its rows into vectors. Which
columns there are is decided in `dataset`; networks, probes and blends use the vectors.
"""
