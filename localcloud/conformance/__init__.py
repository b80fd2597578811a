"""Holds this project's functions host against what was recorded of the vendor's own."""
