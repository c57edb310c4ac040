"""Bills and statistics out of what a head-end stored."""
