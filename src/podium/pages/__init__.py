"""Pages to look at: self-contained HTML with charts and images.

May import everything before it but no commands; only the stage `page` and commands import it.
"""
