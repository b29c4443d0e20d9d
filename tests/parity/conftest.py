"""Lets the tests of this folder import `tiny_open_clip`: with importmode=importlib the tests are not on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
