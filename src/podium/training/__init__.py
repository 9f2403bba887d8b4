"""What only training needs: losses, optimizers, schedules, the loop, checkpoints.

May import models and everything before it.
"""
