"""What a person is told when the local cloud cannot do what was asked."""

from __future__ import annotations


class StackProblemError(Exception):
    """A problem in words for people: what is wrong, where, and what to do."""
