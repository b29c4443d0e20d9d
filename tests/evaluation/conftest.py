"""Lets the tests of this folder import `tiny_models` and `scored_runs`: importmode=importlib has no path to them."""

import sys
from pathlib import Path

sys.path[:0] = map(str, Path(__file__).parents[:2])
