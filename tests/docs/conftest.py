"""The stand-ins of other folders' tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path += [str(TESTS / 'data'), str(TESTS / 'checkpoints')]
