"""What make init and make recipe do: detect a competition's layout, write params.yaml.

No stage imports it. May import params and everything before it.
"""
