"""``python -m netem.probe``."""

from netem.probe.process import main

main()
