"""From encoded bytes to uint8 batches: codec, store, augmentation, loader.

May import core and config.
"""
