"""The Dev Center stand-in: projects, Dev Boxes and administrators of the made-up people."""
