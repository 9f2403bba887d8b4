"""Text in tables and archives, read in one way: names, and cells that list labels.

May import core only, since stages without the archive use it, too.
"""
