"""Emulated batteries: physics, the lines they are reached over, and the process they live in."""
