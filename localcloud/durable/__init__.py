"""Durable Functions on one machine: an event-sourced engine over SQLite that speaks the Python SDK's 1.x protocol."""
