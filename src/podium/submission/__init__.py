"""From logits to the CSV and the report: blending, thresholds, formats.

May import prediction and everything before it.
"""
