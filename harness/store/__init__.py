"""Where a head-end keeps readings: one interface, DuckDB or PostgreSQL underneath."""
