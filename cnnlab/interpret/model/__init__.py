"""A Keras model and an image, read: the graph of calls, what goes in, and what the outputs mean.

Explanations themselves are one floor up, in `interpret`.
"""
