"""Shared fixtures: tiny networks, pictures made on the spot, and the real images where they are at hand.

The suite answers the same wherever it runs. What a terminal, a locale, a time zone or a home folder could change is set here,
before anything that reads it is imported; processes that tests start have it from here, too.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

COLOURS = ('FORCE_COLOR', 'CLICOLOR_FORCE', 'GITHUB_ACTIONS', 'PY_COLORS', 'TTY_COMPATIBLE', 'TTY_INTERACTIVE')
OURS = ('MOEAGIQA_HOME', 'MOEAGIQA_NO_HOOK')
HOME = tempfile.mkdtemp(prefix='home-')

for variable in (*COLOURS, *OURS, 'TERMINAL_WIDTH', 'LINES', 'XDG_CACHE_HOME', 'HF_HOME', 'TORCH_HOME'):
    os.environ.pop(variable, None)
os.environ |= {
    'COLUMNS': '200',
    'NO_COLOR': '1',
    'TERM': 'dumb',
    'LC_ALL': 'C.UTF-8',
    'PYTHONUTF8': '1',
    'TZ': 'UTC',
    'HOME': HOME,
    'HF_HUB_OFFLINE': '1',
}
if 'PYTEST_XDIST_WORKER' in os.environ:  # the processes share the cores already
    os.environ['OMP_NUM_THREADS'] = '1'
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


@pytest.fixture
def columns(monkeypatch):
    """Makes the terminal of some other width: ``columns(80)``."""
    return lambda count: monkeypatch.setenv('COLUMNS', str(count))


@pytest.fixture(scope='session', autouse=True)
def _home_of_its_own(tmp_path_factory) -> None:
    """Nothing that is installed on this machine is seen, and nothing is noted there."""
    os.environ['MOEAGIQA_HOME'] = str(tmp_path_factory.mktemp('moeagiqa-home'))


@pytest.fixture(scope='session')
def real_data() -> Path:
    """The folder that the environment variable MOEAGIQA_DATA names; tests that need it are skipped without."""
    folder = os.environ.get('MOEAGIQA_DATA')
    if not folder or not (Path(folder) / 'agiqa3k_part' / 'data.csv').is_file():
        pytest.skip('MOEAGIQA_DATA is unset: the real images of AGIQA-3K are not at hand')
    return Path(folder)


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory) -> Path:
    """The file of a tiny network with random weights, always the same: for tests that need a metric, not its quality."""
    from tiny import made, saved

    return saved(made(), tmp_path_factory.mktemp('tiny') / 'tiny.safetensors')


@pytest.fixture(scope='session')
def _image_reward_weights() -> dict:
    """The reference case's tensors, with what else the released file has and no score depends on."""
    import json

    import numpy as np
    import torch
    from reference.weights_rule import fill

    shapes = json.loads(str(np.load(Path(__file__).parent / 'reference' / 'image_reward.npz')['shapes']))
    weights = {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in shapes.items()}
    return weights | {'blip.text_encoder.embeddings.position_ids': torch.arange(64)[None]}


@pytest.fixture
def image_reward_weights(_image_reward_weights, monkeypatch) -> dict:
    """What is in a small ImageReward.pt; as long as a test has it, the package takes ImageReward to be of that size."""
    from functools import partial

    from tiny import TINY_IMAGE_REWARD

    from pyiqa_moeagiqa.archs import image_reward

    monkeypatch.setattr(image_reward, 'ImageReward', partial(image_reward.ImageReward, **TINY_IMAGE_REWARD))
    return dict(_image_reward_weights)


@pytest.fixture
def image_reward_file(image_reward_weights, tmp_path) -> Path:
    """A small ImageReward.pt."""
    import torch

    torch.save(image_reward_weights, tmp_path / 'ImageReward.pt')
    return tmp_path / 'ImageReward.pt'


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of three small pictures of noise: a.png, b.jpg, sub/c.webp."""
    import numpy as np
    from PIL import Image

    folder, noise = tmp_path / 'pictures', np.random.default_rng(0)
    (folder / 'sub').mkdir(parents=True)
    for name, height, width in (('a.png', 70, 90), ('b.jpg', 90, 70), ('sub/c.webp', 50, 60)):
        Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / name)
    return folder
