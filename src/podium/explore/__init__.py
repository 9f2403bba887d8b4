"""Looking at the data before training: faults of images, labels and splits, and their page.

May import pages and the packages before it.
"""
