"""Test-time augmentation, the predictor, and the tables of logits.

May import training and everything before it.
"""
