"""A folder with small stand-ins of all files that the pages name, and the package's large parts made tiny."""

import sys
from pathlib import Path
from types import SimpleNamespace

import downloads
import numpy as np
import pandas as pd
import pyiqa.default_model_configs
import pytest
import skimage
import timm
import yaml
from option_files import FILES, VIT, as_tiny, make_tables, read_options, tiny_weights
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file
from stand_ins import released_config, write_released

from pyiqa_moeagiqa import checkpoints
from pyiqa_moeagiqa.checkpoints.start import start_network
from pyiqa_moeagiqa.data import shared_files
from pyiqa_moeagiqa.data.info import shared_folder
from pyiqa_moeagiqa.data.prepare import prepare
from pyiqa_moeagiqa.data.shared_files import write_options
from pyiqa_moeagiqa.training import paper_tables, recipe

INFO = {
    'model_name': 'moeagiqa',
    'dataset': 'AGIQA-3K',
    'mos_range': [0, 5],
    'interval': {'quality': [-0.1, 0.1], 'alignment': [-0.1, 0.1]},
}
PHOTO = Path(skimage.data.__file__).parent / 'chelsea.png'


def fill(folder: Path) -> None:
    """Write the stand-ins: pictures, tables, downloads, checkpoints, option files."""
    Image.open(PHOTO).save(folder / 'cat.png')
    _pictures(folder)
    _download_and_tables(folder)
    options = _tiny_options(folder)
    _checkpoints(folder, options['moeagiqa_compact.yml'])


def _pictures(folder: Path) -> None:
    rows = [(name, f'a cat, {name}') for name in ('0.png', '1.png', '2.png', 'cat.png')]
    for place in ('images', 'A', 'B'):
        (folder / place).mkdir()
        for name, _ in rows:
            _noise(folder / place / name)
    _generated(folder / 'generated')
    pd.DataFrame(rows, columns=['path', 'prompt']).to_csv(folder / 'prompts.csv', index=False)


def _generated(folder: Path) -> None:
    """Pictures with what AUTOMATIC1111 writes into them."""
    folder.mkdir()
    said = PngInfo()
    said.add_text(
        'parameters', 'a (cat:1.2) in the snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1'
    )
    for name in ('0.png', '1.png'):
        _noise(folder / name)
        Image.open(folder / name).save(folder / name, pnginfo=said)


def _noise(path: Path) -> None:
    seed = sum(map(ord, path.parent.name + path.name))
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def _download_and_tables(folder: Path) -> None:
    """AGIQA-3K as downloaded and as prepared; the other sets as prepared; a table of one's own."""
    (folder / 'AGIQA-3K').mkdir()
    # So many that each split has enough images to validate on.
    downloads.agiqa3k(folder / 'AGIQA-3K', ('AttnGAN_normal', 'sd1.5_highcorr', 'midjourney_normal', 'xl2.2_normal'))
    annotations = pd.read_csv(folder / 'AGIQA-3K' / 'data.csv', keep_default_na=False)
    rising = np.linspace(0, 5, len(annotations))  # in small splits, too, no two are the same
    annotations['mos_quality'], annotations['mos_align'] = rising, rising[::-1]
    annotations.to_csv(folder / 'AGIQA-3K' / 'data.csv', index=False)
    for picture in (folder / 'AGIQA-3K' / 'images').iterdir():
        _noise(picture)
    (folder / 'datasets').mkdir()
    make_tables(folder / 'datasets')
    prepare('agiqa3k', folder / 'AGIQA-3K', folder / 'datasets' / 'agiqa3k.csv')
    parts = ['train'] * 4 + ['val'] * 3 + ['test'] * 3
    own = (
        pd.read_csv(folder / 'datasets' / 'koniq10k.csv')
        .drop(columns='alignment')
        .assign(quality=np.linspace(1, 5, 10), part=parts)
    )
    own.assign(path='datasets/' + own['path']).to_csv(folder / 'my.csv', index=False)


def _checkpoints(folder: Path, compact: dict) -> None:
    """The default's stand-in, one that a run has left, and the paper's released files."""
    network, _ = start_network(compact['network'])
    tiny = checkpoints.Checkpoint(network.config, network.state_dict(), INFO)
    checkpoints.save(tiny, folder / 'default' / 'moeagiqa.safetensors')
    checkpoints.save(tiny, folder / 'experiments' / 'NAME' / 'models' / 'net_best.safetensors')
    released = write_released(folder / 'released')
    released['finetuned_v2'].rename(folder / 'best.pth')
    released['prior'].rename(folder / 'prior_best.pth')


def _tiny_options(folder: Path) -> dict[str, dict]:
    """All option files for networks that train in a second, one epoch long, where ``options write`` will find them."""
    (folder / 'encoders').mkdir()
    weights = tiny_weights(folder / 'encoders')
    made = {name: _short(as_tiny(read_options(name), Path('datasets'), weights, folder)) for name in FILES}
    made['moeagiqa_compact.yml']['network'] |= _two_layers(folder / 'encoders', weights)
    for name, options in made.items():
        path = folder / 'shared' / 'options' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(options, sort_keys=False))
    return made


def _two_layers(folder: Path, weights: dict[str, str]) -> dict:
    """A visual encoder of two layers for the compact network, which is exported, scored with and trained most often."""
    vit = VIT | {'depth': 2}
    network = timm.create_model('vit_small_patch14_dinov2', pretrained=False, num_classes=0, img_size=28, **vit)
    save_file(network.state_dict(), folder / 'two_layers.safetensors')
    files = {'visual': str(folder / 'two_layers.safetensors'), 'semantic': weights['bert']}
    return {'visual_options': vit, 'layers': [1, 2], 'weights': files}


def _short(options: dict) -> dict:
    """One epoch of four pictures a step; two crops a picture in testing."""
    options['train'] = {key: value for key, value in options['train'].items() if key != 'total_iter'}
    options['train']['total_epoch'] = 1
    options['datasets']['train']['global_batch_size'] = 4
    if options['model_type'] == 'MoEAGIQAModel':
        for section in (options['network'], options['datasets']['val']):
            section['crops'] = 2
    return options


def enter(folder: Path, patch: pytest.MonkeyPatch, tiny_default: bool) -> None:
    """Work in the folder, with the tiny option files and, if so wished, the tiny default."""
    patch.chdir(folder)
    patch.setenv('MOEAGIQA_HOME', str(folder / 'home'))
    patch.setenv('COLUMNS', '120')
    patch.setattr('pyiqa_moeagiqa.archs.tokenizer.PromptTokenizer.size', 200)  # of the stand-ins' text encoder
    shared = {'options': folder / 'shared' / 'options', 'datasets_meta': shared_folder('datasets_meta')}
    for module in (shared_files, paper_tables, recipe):
        patch.setattr(module, 'shared_folder', shared.__getitem__)
    if tiny_default:
        find = sys.modules['pyiqa_moeagiqa.checkpoints.find']  # the package has a function of that name
        patch.setattr(find, 'resources', SimpleNamespace(files=lambda package: folder / 'default'))
    convert = checkpoints.convert_released
    patch.setattr(
        checkpoints,
        'convert_released',
        lambda finetuned, prior, visual, *rest, **named: convert(
            finetuned,
            prior,
            visual or folder / 'released' / 'visual.pth',
            *rest,
            config=released_config('v2' if prior else 'v1'),
            **named,
        ),
    )
    musiq = {'metric_opts': {'type': 'MUSIQ', 'pretrained': False}, 'metric_mode': 'NR'}
    patch.setitem(pyiqa.default_model_configs.DEFAULT_CONFIGS, 'musiq', musiq)
    write_options(folder)
