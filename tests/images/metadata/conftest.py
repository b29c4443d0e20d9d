"""Lets the tests of this folder import `layouts`: with importmode=importlib their folder is not on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
