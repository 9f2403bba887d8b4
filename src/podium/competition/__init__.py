"""The competition's raw files: download them, and read the archive.

May import core and config.
"""
