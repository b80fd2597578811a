"""A module for each verb, and what verbs share.

What declares a verb imports only click at the top, so that `devboxgpu --help` is quick.
"""
