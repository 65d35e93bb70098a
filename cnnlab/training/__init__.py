"""How networks are trained: batches, augmentation, four heads, and several networks in parallel.

The networks and their recipes are in the notebooks, which is where a reader learns about them.
"""
