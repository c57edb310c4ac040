"""The grid and its devices: trio around the engines in protocols."""
