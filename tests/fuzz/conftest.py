"""Lets the tests import `fuzz` and `layouts`: with importmode=importlib their folders are not on the path."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "images" / "metadata")]

if sys.platform != "linux":  # the runner asks /proc
    collect_ignore = ["test_workers.py", "test_known_hostile.py"]
