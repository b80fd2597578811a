"""Everything that stands in for Azure on one machine, for development and tests. Never deployed."""
