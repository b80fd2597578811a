"""The Cost Management stand-in: what Azure has billed for sessions' apps, as a test or a person sets it."""
