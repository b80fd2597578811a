"""Randomness: the only place that draws it."""

from __future__ import annotations

import base64
import random
import secrets

from shared.domain.names import SESSION_ID_LENGTH, SessionId


def new_session_id() -> SessionId:
    """Return an unguessable session id: 130 random bits in lower-case base32."""
    return SessionId(base64.b32encode(secrets.token_bytes(17)).decode().lower()[:SESSION_ID_LENGTH])


def new_op() -> str:
    """Return a name for one write, by which its effect is recognised when the reply was lost."""
    return secrets.token_hex(8)


def new_request_id() -> str:
    return secrets.token_hex(16)


def full_jitter_s(attempt: int, *, base_s: float = 0.01, cap_s: float = 1.0) -> float:
    """Return a random back-off in seconds: uniform up to base * 2^attempt (reliability.md 3.4: full jitter)."""
    return random.uniform(0, min(cap_s, base_s * 2**attempt))  # noqa: S311 - spreads load, guards nothing


def new_trace_id() -> str:
    return secrets.token_hex(16)


def new_span_id() -> str:
    return secrets.token_hex(8)
