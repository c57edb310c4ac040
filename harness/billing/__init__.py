"""Bills and statistics out of what a head-end stored."""

# Scenarios hold tariffs, and tariffs are written in the words of scenarios: whoever comes here
# first loads those first, or each would find the other half made.
import harness.scenario  # noqa: F401
