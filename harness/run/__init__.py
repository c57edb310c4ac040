"""A run, from a scenario to a recorded folder with its verdict."""
