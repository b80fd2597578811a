"""The devboxgpu command: a shell on a GPU from a Dev Box."""

__version__ = "0.1.0"
