"""Pages to look at: self-contained HTML with charts and images.

Only the stage `page` imports it. May import kaggle and everything before it.
"""
