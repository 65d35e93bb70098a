"""How networks are trained: batches, augmentation, four heads, and trainings next to each other.

The networks and their recipes are in the notebooks, which is where a reader learns about them.
"""
