"""What only training needs: criterion, optimizers, schedules, the loop, checkpoints.

May import models and everything before it.
"""
