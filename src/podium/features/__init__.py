"""Frozen features: computed once per backbone, stored, and read by the heads of probes.

May import models and everything before it.
"""
