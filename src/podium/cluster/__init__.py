"""Training on several machines: what is sent to a node, the program that runs there, the driver.

On one machine, `make train` needs only `forks.py`. Only `ray_cluster.py` knows Ray.
"""
