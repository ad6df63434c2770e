"""pyiqa's own benchmark on a prompt-aware data set: its loop replayed, and its script as it is."""

import subprocess
import sys
import tarfile

import numpy as np
import pandas as pd
import pyiqa
import pytest
import torch
import yaml
from PIL import Image
from pyiqa.data import build_dataloader, build_dataset
from scipy.stats import spearmanr

from pyiqa_moeagiqa.data.info import shared_folder
from pyiqa_moeagiqa.options import OptionError

UPSTREAM = {'num_worker_per_gpu': 2, 'prefetch_mode': 'cpu', 'num_prefetch_queue': 8, 'phase': 'test'}


@pytest.fixture
def options(tmp_path):
    """Eight pictures with prompts and MOS, as an entry of a --data_opt file."""
    random, rows = np.random.default_rng(0), []
    for number in range(8):
        pixels = random.integers(0, 256, (90, 80 + number % 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'{number}.png')
        rows.append((f'{number}.png', f'prompt {number}', number / 2, 'test' if number % 2 else 'train'))
    table = pd.DataFrame(rows, columns=['path', 'prompt', 'quality', 'part'])
    table.to_csv(tmp_path / 'set.csv', index=False)
    return {
        'name': 'set',
        'type': 'PromptBenchmarkDataset',
        'meta_info_file': str(tmp_path / 'set.csv'),
        'mos_range': [0, 5],
    }


def replay(metric, options):
    """What upstream's loop does with a metric and a data set: scores and MOS."""
    loader = build_dataloader(build_dataset(options), options, num_gpu=0)
    scores, labels = [], []
    for data in loader:
        scores += metric(data['img']).flatten().tolist()
        labels += data['mos_label'].tolist()
    return scores, labels


def test_our_metric_gets_the_prompts_and_others_plain_tensors(options, tiny_checkpoint, tmp_path, monkeypatch):
    ours = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    scores, labels = replay(ours, options | UPSTREAM)
    paths, prompts = [str(tmp_path / f'{n}.png') for n in range(8)], [f'prompt {n}' for n in range(8)]
    own = ours(paths, caption_list=prompts).flatten()
    torch.testing.assert_close(torch.tensor(scores), own, atol=1e-5, rtol=0)
    assert len(set(scores)) == 8
    assert labels == [n / 2 for n in range(8)]
    piqe, seen = pyiqa.create_metric('piqe'), []
    forward = piqe.net.forward
    monkeypatch.setattr(piqe.net, 'forward', lambda image: seen.append(type(image)) or forward(image))
    scores, _ = replay(piqe, options | UPSTREAM)
    assert set(seen) == {torch.Tensor}
    assert scores[0] == pytest.approx(float(piqe(paths[0])), abs=1e-4)


def test_a_list_of_images_of_unequal_sizes_brings_its_prompts(options, tiny_checkpoint):
    ours = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    images = [item['img'] for item in build_dataset(options)][:2]
    own = ours([image.as_subclass(torch.Tensor) for image in images], caption_list=['prompt 0', 'prompt 1'])
    assert ours(images).equal(own)


def test_a_part_of_the_rows(options):
    dataset = build_dataset(options | {'split_column': 'part', 'split': 'train'})
    assert [item['mos_label'].item() for item in dataset] == [0, 1, 2, 3]


def test_an_image_that_upstream_would_wait_for_is_refused_at_once(options, tmp_path):
    data = (tmp_path / '5.png').read_bytes()
    (tmp_path / '5.png').write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r'the image cannot be decoded in row 7 \('):
        build_dataset(options)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'batch_size_per_gpu': 4}, 'have 2 different sizes'),
        ({'split_column': 'fold'}, "'fold' is missing"),
        ({'split_column': 'part', 'split': 'val'}, "no row has part 'val'"),
        ({'split_file': 'a.pkl'}, 'split_file'),
        ({'target': 'beauty'}, "'beauty' is missing"),
    ],
)
def test_what_cannot_be_is_named(options, change, words):
    with pytest.raises(ValueError, match=words):
        build_dataset(options | change)
    assert issubclass(OptionError, ValueError)


def test_the_files_that_ship_are_what_upstream_reads():
    folder = shared_folder('datasets_meta') / 'benchmark'
    metrics = yaml.safe_load((folder / 'metrics.yml').read_text())
    for name, entry in metrics.items():
        metric = pyiqa.create_metric('moeagiqa', **entry['metric_opts'])
        assert metric.net.target == ('alignment' if 'alignment' in name else 'quality')
    for name in ('agiqa1k', 'agiqa3k', 'aigciqa2023', 'aigiqa20k'):
        (entry,) = yaml.safe_load((folder / f'{name}.yml').read_text()).values()
        assert entry['mos_range'] == yaml.safe_load((folder.parent / f'{name}.yml').read_text())['mos_range']
        with pytest.raises(ValueError, match='there is no such file'):
            build_dataset(entry)


@pytest.fixture(scope='session')
def checkout(tmp_path_factory):
    """pyiqa's source distribution, which has the script; nothing of it is kept."""
    folder = tmp_path_factory.mktemp('upstream')
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--no-binary', 'pyiqa', f'pyiqa=={pyiqa.__version__}']  # fmt: skip
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if answer.returncode:
        pytest.skip(f"pyiqa's source distribution cannot be had: {answer.stderr[-200:]}")
    (archive,) = folder.glob('*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(folder, filter='data')
    return next(path for path in folder.iterdir() if path.is_dir())


def test_upstreams_script_as_it_is(options, checkout, tmp_path, tiny_checkpoint):
    tiny = {
        'metric_opts': {'type': 'MoEAGIQAMetric', 'pretrained_model_path': str(tiny_checkpoint)},
        'metric_mode': 'NR',
    }
    (tmp_path / 'metrics.yml').write_text(yaml.safe_dump({'moeagiqa': tiny}))
    (tmp_path / 'data.yml').write_text(yaml.safe_dump({'set': options}))
    result = subprocess.run(
        [sys.executable, '-P', 'benchmark_results.py', '-m', 'entropy', '--metric_opt', str(tmp_path / 'metrics.yml'),
         '--data_opt', str(tmp_path / 'data.yml'), '--save_result_path', str(tmp_path / 'results.csv')],
        cwd=checkout, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert 'Error in testing' not in result.stdout
    rows = pd.read_csv(tmp_path / 'results.csv').set_index('Metric name').iloc[:, 0].str.split('/')
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    scores = metric([str(tmp_path / f'{n}.png') for n in range(8)], caption_list=[f'prompt {n}' for n in range(8)])
    expected = abs(spearmanr(scores.flatten(), range(8)).statistic)
    assert float(rows['moeagiqa'][1]) == pytest.approx(expected, abs=2e-4)
    assert set(rows.index) == {'entropy', 'moeagiqa'}
