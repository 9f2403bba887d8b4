"""The sections of params.yaml, one model each.

Only core may be imported from here.
"""
