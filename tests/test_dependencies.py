"""The range of pyiqa versions that the package asks for has the newest release in it."""

import re
import subprocess
import sys
from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version


def pyiqa_range() -> Requirement:
    return next(r for r in map(Requirement, requires('pyiqa-moeagiqa')) if r.name == 'pyiqa')


def test_the_installed_pyiqa_is_in_range():
    assert version('pyiqa') in pyiqa_range().specifier
    assert '0.1.15' not in pyiqa_range().specifier


def test_the_newest_pyiqa_is_in_range():
    command = [sys.executable, '-m', 'pip', 'index', 'versions', 'pyiqa']
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f'the package index does not answer: {answer.stderr.strip().splitlines()[-1:]}')
    newest = Version(re.search(r'pyiqa \(([\d.]+)\)', answer.stdout)[1])
    assert newest in pyiqa_range().specifier
