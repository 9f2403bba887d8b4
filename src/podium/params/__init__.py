"""The whole of params.yaml: all sections together, and the checks across them.

May import submission and everything before it.
"""
