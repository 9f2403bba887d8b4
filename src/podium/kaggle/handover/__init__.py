"""The archive that Kaggle asks of prize winners."""
