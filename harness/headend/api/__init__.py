"""The head-end's HTTP API: a process of its own that asks the shards over their control sockets.

asyncio, because its web server is; nothing in here imports trio.
"""
