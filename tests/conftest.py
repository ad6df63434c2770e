"""Shared fixtures: tiny networks, pictures made on the spot, and the real images where they are at hand."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault('HF_HUB_OFFLINE', '1')
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope='session')
def real_data() -> Path:
    """The folder that the environment variable MOEAGIQA_DATA names; tests that need it are skipped without."""
    folder = os.environ.get('MOEAGIQA_DATA')
    if not folder or not (Path(folder) / 'agiqa3k_part' / 'data.csv').is_file():
        pytest.skip('MOEAGIQA_DATA is unset: the real images of AGIQA-3K are not at hand')
    return Path(folder)
