"""`python -m unprompt`, which is also how torchrun and accelerate start it."""

import sys

from unprompt.cli.main import main

sys.exit(main())
