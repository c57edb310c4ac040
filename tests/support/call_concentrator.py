"""Call the first concentrator of a provisioning file, and a port where nobody listens.

Prints its address, how long the connection took in seconds, and what became of the other.
"""

from __future__ import annotations

import csv
import socket
import sys
import time

PATIENCE_S = 30.0


def main() -> None:
    with open(sys.argv[1], newline="") as file:
        line = next(csv.DictReader(file))
    began = time.monotonic()
    with socket.create_connection((line["address"], int(line["port"])), PATIENCE_S):
        print(line["address"], time.monotonic() - began)  # noqa: T201
    try:
        socket.create_connection((line["address"], 9), PATIENCE_S).close()
    except OSError as error:
        print(type(error).__name__)  # noqa: T201


if __name__ == "__main__":
    main()
