"""One module a verb. They import only click at the top, so that `devboxgpu --help` is quick."""
