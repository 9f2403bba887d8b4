"""Self-contained HTML pages with charts and images.

Only the stage `page` imports it. May import kaggle and everything before it.
"""
