"""A Keras model and an image, read: the graph of calls, what goes in, what the outputs mean."""
