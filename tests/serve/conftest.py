"""A tiny metric, and pictures as people upload them."""

from pathlib import Path

import pytest

pytest.importorskip('gradio', reason='the extra "serve" is not installed')

INFO = {
    'model_name': 'moeagiqa',
    'dataset': 'AGIQA-3K',
    'mos_range': [0, 5],
    'interval': {'quality': [-0.1, 0.1], 'alignment': [-0.1, 0.1]},
}


@pytest.fixture(scope='session', autouse=True)
def _no_proxy():
    """Requests to this machine do not go through a proxy that it may have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('NO_PROXY', '127.0.0.1')
        yield


@pytest.fixture(scope='session')
def metric(tmp_path_factory):
    """A metric with a tiny network that knows MOS and intervals."""
    from tiny import COMPACT_LIKE, made

    from pyiqa_moeagiqa.checkpoints import Checkpoint, save
    from pyiqa_moeagiqa.scoring.metric import make_metric

    network = made(**COMPACT_LIKE)
    file = tmp_path_factory.mktemp('served') / 'tiny.safetensors'
    save(Checkpoint(network.config, network.state_dict(), INFO), file)
    return make_metric('moeagiqa', {'pretrained_model_path': str(file), 'device': 'cpu'})


@pytest.fixture
def fox(pictures) -> Path:
    """A picture with its prompt, 'a red fox', in its metadata."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text('parameters', 'a red fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1')
    Image.open(pictures / 'a.png').save(pictures / 'fox.png', pnginfo=info)
    return pictures / 'fox.png'
