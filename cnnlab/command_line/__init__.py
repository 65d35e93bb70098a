"""The command line, `cnnlab`: reads options, says what is wrong with them, and prints."""
