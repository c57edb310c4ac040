"""Locust as the load driver: it starts, paces and counts fleet shards, which live in children.

Locust patches the world with gevent and trio cannot live with that, so nothing here imports trio
and nothing that imports trio imports this package.
"""
