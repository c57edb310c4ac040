"""What the run and Locust's side call things; imported by both, so it imports nothing."""

from __future__ import annotations

from typing import Final

CONTROL_VARIABLE: Final = "METERSTORM_CONTROL"
"""Environment variable with the path of the run's control socket."""
SCENARIO_VARIABLE: Final = "METERSTORM_SCENARIO"
"""Environment variable with a scenario file, for ``locust -f`` on its own."""
ORDER: Final = "meterstorm-order"
"""Locust message from the coordinator to the keepers."""
REPORT: Final = "meterstorm-report"
"""Locust message from a keeper to the coordinator."""
CLIENTS_VARIABLE: Final = "METERSTORM_CLIENTS"
"""Environment variable with how many Locust users are clients of HTTP systems."""
