"""`python -m devboxgpu` is `devboxgpu`."""

from devboxgpu.main import main

main()
