"""How a Keras model and an image are read: the graph of calls, what goes in, what comes out.

Nothing is explained here: that is done in `interpret`, by modules that use this package.
"""
