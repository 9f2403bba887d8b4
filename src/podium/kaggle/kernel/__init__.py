"""A code competition: export weights and code, push them, and what runs on Kaggle."""
