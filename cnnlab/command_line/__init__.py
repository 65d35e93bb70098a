"""The command line, `cnnlab`: reads options, says what is wrong with them, and prints.

Nothing is computed here: `interpret` and `lines` do the work.
"""
