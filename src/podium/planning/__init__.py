"""What the pipeline costs on this device: measured for a few seconds, then multiplied. Nothing here
changes a result, and no stage uses it.
"""
