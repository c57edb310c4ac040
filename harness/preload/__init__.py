"""Filling stores with the readings of before a run, through their own interface."""
