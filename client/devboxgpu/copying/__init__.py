"""Files and trees between this machine and a session, through the agent (docs/agent.md).

What the other end says is not believed: a name, a size or a link from there never leads out of the place that the
person named.
"""
