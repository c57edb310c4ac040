"""The batteries as values and rules: no input or output, no clock; time is an argument.

`batteries.Batteries` is the whole; the other modules are its parts, each of which can be read and
tested alone. Source of the rules: TrustDER final report (2024), Task 2, sections III.2.
"""
