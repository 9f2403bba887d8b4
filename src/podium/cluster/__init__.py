"""Training on several machines: what is sent to a node, the program that runs there, the driver.

Only `ray_cluster.py` knows Ray; imports nothing of Podium but `core`.
"""
