"""The HTTP API of a battery layer: a process that asks the layer over its control socket.

asyncio, because its web server is; nothing in here imports trio.
"""
