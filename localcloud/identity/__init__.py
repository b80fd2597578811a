"""The identity stand-in: signed tokens of made-up people, their public keys, and a managed identity."""
