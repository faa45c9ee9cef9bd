"""`python -m ocuroot_git` is `git ocuroot`."""

import sys

from .cli.main import main

sys.exit(main())
