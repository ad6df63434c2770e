"""Official downloads as stand-ins, and the official annotation files where they are at hand."""

import shutil
from pathlib import Path

import downloads
import pandas as pd
import pytest


@pytest.fixture(scope='session')
def _made(tmp_path_factory):
    """Each download is made once."""
    made = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            getattr(downloads, name)(made[name])
        return made[name]

    return make


@pytest.fixture
def download(_made, tmp_path):
    """The folder of a data set's made-up download, for one test to change."""
    return lambda name: Path(shutil.copytree(_made(name), tmp_path / 'download'))


@pytest.fixture
def source(download) -> Path:
    """The made-up download of AGIQA-3K: twenty pictures of ten prompts."""
    return download('agiqa3k')


@pytest.fixture
def change(source):
    """Put another value into AGIQA-3K's official file; ``row`` as an editor counts."""

    def change(column, row, value):
        table = pd.read_csv(source / 'data.csv', dtype=str, keep_default_na=False)
        table.loc[row - 2, column] = value
        table.to_csv(source / 'data.csv', index=False)

    return change


@pytest.fixture(scope='session')
def annotations(real_data) -> Path:
    """The folder of the official annotation files."""
    folder = real_data / 'annotations'
    if not folder.is_dir():
        pytest.skip('the official annotation files are not in MOEAGIQA_DATA')
    return folder


@pytest.fixture(scope='session')
def prepared_part(real_data, tmp_path_factory) -> Path:
    """The table of AGIQA-3K's real part."""
    from pyiqa_moeagiqa.data.prepare import prepare

    output = tmp_path_factory.mktemp('prepared') / 'agiqa3k.csv'
    prepare('agiqa3k', real_data / 'agiqa3k_part', output)
    return output
