"""`python -m avbench` is `avbench`."""

import sys

# `python -m` looks for modules in the current folder first, where a file called like a library would run in its place.
if not sys.flags.safe_path:
    del sys.path[0]

from avbench.cli import main

sys.exit(main())
