"""A local Functions host: serves an unmodified Python v2 app folder over HTTP, as the vendor's host does."""
