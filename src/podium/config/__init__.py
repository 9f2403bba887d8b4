"""The sections of params.yaml, one pydantic model per section.

May import core.
"""
