"""The command `unprompt`, and `python -m unprompt`, which is also how torchrun and accelerate start it."""

import os
import signal
import sys


def main() -> int:
    """Run the command line on sys.argv; returns the exit code, or raises SystemExit with it.

    A Ctrl-C that comes while it is imported ends the process at once: there is nothing yet to be cleaned up, and an
    exception would leave the imports as a traceback, or not at all.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from unprompt.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
