"""The verbs of the command line: their arguments, and what they say of themselves."""
