"""What may stand between a person and a GPU, looked at from this machine."""
