"""The program that owns the terminal inside the container (docs/agent.md).

Only the standard library, and only what Python 3.8 knows: images bring their own Python. `link.py`, `frames.py` and
`channels.py` are the protocol, without any input or output, and are used at both ends.
"""
