"""What happens on Kaggle: submit, history, code competitions, the winner's archive.

No stage imports it. May import everything.
"""
