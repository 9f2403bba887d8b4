"""The whole of params.yaml: all sections together, and the checks across them.

May import submission and the packages before it.
"""
