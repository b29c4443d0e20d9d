"""Where the fuzzers run."""

import sys

if sys.platform != "linux":  # the runner asks /proc
    collect_ignore = ["test_workers.py"]
