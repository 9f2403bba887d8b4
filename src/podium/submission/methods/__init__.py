"""How members are blended: a module per method, and what they share."""
