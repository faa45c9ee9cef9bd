"""`python -m ocuroot_git` is `git ocuroot`."""

import sys

from .cli import main

sys.exit(main())
