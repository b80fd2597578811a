"""`devboxgpu install` and `uninstall`: what is wanted, what of it is missing, and how it is put there and taken away.

`wanted` says what should be there, `planning` and `undoing` compare that with the disk and give steps, `applying` takes
the steps. Everything is looked at through `machine.Machine`, so that a test can be any machine.
"""
