"""What training and prediction share: networks, target encoding, weights, inference.

May import dataset and everything before it.
"""
