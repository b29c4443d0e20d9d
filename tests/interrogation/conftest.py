"""Lets the tests of this folder import `vocabularies` and `tiny_models`: importmode=importlib has them on no path."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
