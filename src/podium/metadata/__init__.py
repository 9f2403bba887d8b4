"""Metadata: columns of the competition's tables as inputs, next to the images.

Contains the stored table and the encoding of its rows as vectors for networks, probes and blends.
`dataset` selects the columns.
"""
