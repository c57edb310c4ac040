"""Clients of HTTP systems, as Locust has them: requests at times set beforehand.

Open loop: a request is due at its time whether or not those before it were answered, and its
latency counts from then. A request that nobody was free to send in time is late, and its latency
shows it; one that was never sent is counted as *unsent*, the generator's debt.
"""
