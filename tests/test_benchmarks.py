"""The benchmark of training compares like with like: both ways give the same scores, on shared weights."""

import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from reference.cases import difference, given, tensors

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig

ROOT = Path(__file__).parent.parent


def load(name: str):
    """A script of benchmarks/, which is no package; ``training`` is also the name of a folder of tests."""
    spec = importlib.util.spec_from_file_location(f'benchmark_{name}', ROOT / 'benchmarks' / f'{name}.py')
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


training = load('training')
measure = sys.modules['measure']


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    return training.Bench(training.SMALL, list(training.WAYS), tmp_path_factory.mktemp('cache'))


def test_both_ways_give_the_same_scores_before_and_after_a_change(bench):
    assert bench.difference() < 1e-4
    assert bench.network.trunk
    with torch.no_grad():
        bench.released.regressor.weight2.add_(1)
    assert bench.difference() > 1e-4  # so weights that are not the same do show
    training.share_weights(bench.released, bench.network)
    assert bench.difference() < 1e-4


@pytest.mark.parametrize('name', training.WAYS)
def test_every_way_trains(bench, name):
    if training.WAYS[name].bf16 and training.fast_dtype(torch.device('cpu')) != torch.bfloat16:
        pytest.skip('this processor has no bfloat16')
    before = {part: tensor.clone() for part, tensor in bench.network.semantic.named_parameters()}
    bench.step(name)()
    changed = {part for part, tensor in bench.network.semantic.named_parameters() if not tensor.equal(before[part])}
    trained = {part for part, tensor in bench.network.semantic.named_parameters() if tensor.requires_grad}
    assert changed == (set() if training.WAYS[name].validates else trained)


def test_what_is_given_costs_nothing(bench):
    names = ('released_graph', 'released', 'ours', 'view', 'cached')
    gmac = [training.count_gmac(bench.step(name)) for name in names]
    assert gmac == sorted(gmac, reverse=True)
    assert len(set(gmac)) == len(names)


def test_the_released_regressor_is_the_released_one():
    """On the reference case, which the released implementation answered: see tests/reference/README.md."""
    released = sys.modules['released']
    with torch.device('meta'):
        regressor = released.Regressor(MoEAGIQAConfig(), visual_width=768, text_width=768, grid=(14, 14))
    regressor.load_state_dict(tensors('regressor_v2'), assign=True)
    with torch.no_grad():
        scores = regressor(
            given('vit_features', 3, 3072, 14, 14), given('vit_prior', 3, 768), given('text_features', 3, 35, 768)
        )
    assert difference(scores, 'v2_score') < 1e-5


def test_memory_is_measured_in_a_process_of_its_own():
    memory = training.measure_memory('ours', tiny=True)
    assert 0 < memory['imports'] <= memory['built'] <= memory['peak']


def test_the_interval_is_of_the_median():
    assert measure.median_interval([3, 1, 2]) == (2, 1, 3)
    assert measure.median_interval(list(range(6))) == (2.5, 0, 5)
    assert measure.median_interval(list(range(20))) == (9.5, 5, 14)  # P(Bin(20, 1/2) <= 5) is .021


def test_the_table_names_every_way(bench, capsys):
    times, peaks = {name: [1.0, 2.0, 3.0] for name in bench.ways}, dict.fromkeys(bench.ways, 2.0)
    result = {'machine': training.machine(), 'images': 4, 'crops': 3, 'difference': 0.0, 'load_after': 1.0, 'ways': {}}
    for name, way in bench.ways.items():
        memory = {'peak': 2.0, 'built': 1.0, 'imports': 0.5}
        figures = {'seconds': times[name], 'gmac': 1.0, 'memory_gib': memory}
        result['ways'][name] = asdict(way) | figures | {'ratios': training.ratios(name, times, peaks)}
    training.show(result)
    shown = capsys.readouterr().out
    assert all(way.title in shown for way in bench.ways.values())
    assert 'threads' in shown


def test_ratios_are_of_steps_in_the_same_round():
    times = {'released': [2.0, 4.0, 6.0], 'ours': [1.0, 1.0, 6.0]}
    ratio = training.ratios('ours', times, {'released': 8.0, 'ours': 4.0})['released']
    assert ratio == {'time': (0.5, 0.25, 1), 'memory': 0.5}
    assert training.ratios('released', times, {}) == {}


inference, throughput, startup, peers, crops = map(load, ('inference', 'throughput', 'startup', 'peers', 'crops'))


def test_scoring_is_compared_only_where_both_ways_agree(capsys):
    result = inference.measure(tiny=True, rounds=1)
    assert result['difference'] < 1e-4
    way = result['ways'][inference.Way('v2').title]
    assert way['gmac'] < result['ways'][inference.Way('released').title]['gmac']
    assert set(result['limit']) <= {'float32', 'bfloat16'}
    inference.show(result)
    assert 'v1' in capsys.readouterr().out


def test_figures_are_ratios_of_the_same_round():
    way, released = inference.Way('v2'), inference.Way('released')
    times = {
        way.title: [1.0, 2.0],
        released.title: [4.0, 4.0],
    }
    figures = inference.figures(way, 10.0, times, {'float32': [20.0, 10.0]})
    assert figures['faster than']['released'] == (3, 2, 4)
    assert figures['share of limit'] == 0.5


@pytest.fixture
def table(pictures, tmp_path):
    rows = ['path,prompt', *(f'{path},a cat' for path in sorted(pictures.rglob('*.[pjw]*')))]
    (tmp_path / 'table.csv').write_text('\n'.join(rows))
    return tmp_path / 'table.csv'


def test_both_ways_through_a_folder_are_timed(table, monkeypatch, tiny_checkpoint, capsys):
    tiny = {'pretrained_model_path': str(tiny_checkpoint)}
    monkeypatch.setattr(throughput, 'WAYS', {'loop': tiny, 'float32': tiny})
    items = throughput.items_of(table, 3)
    result = throughput.measure(items, ['loop', 'float32'], {'loop': 1.0, 'float32': 1.0})
    assert result['images'] == 3
    assert all(0 < way['network busy'] <= 1 for way in result['ways'].values())
    assert result['ways']['loop']['faster than the loop'] == (1, 1, 1)
    throughput.show(result)
    assert 'float32' in capsys.readouterr().out


def test_growth_scores_every_image(table, monkeypatch, capsys):
    monkeypatch.setattr(throughput, 'GROWTH', (3, 7))
    result = throughput.growth(table)
    assert {count: figures['scored'] for count, figures in result['growth'].items()} == {3: 3, 7: 7}
    throughput.show(result)
    assert 'peak GiB' in capsys.readouterr().out


def test_a_fresh_process_is_timed(capsys):
    alone, with_plugin = (startup.WAYS[name] for name in ('import pyiqa, without the plugin', 'import pyiqa'))
    assert startup.seconds(with_plugin) > 0
    knows = "; assert 'moeagiqa' {} pyiqa.list_models()"
    startup.seconds(with_plugin.rstrip() + knows.format('in'))
    startup.seconds(alone.rstrip() + knows.format('not in'))
    times = {name: [1.0, 1.0] for name in startup.WAYS}
    startup.show({'machine': measure.machine(), 'seconds': times})
    assert '0 ms' in capsys.readouterr().out


def test_peers_are_made_without_a_download(capsys):
    metric = peers.make('topiq_nr', torch.device('cpu'))
    assert metric(torch.rand(1, 3, 96, 96)).isfinite().all()
    assert peers.make('no such metric', torch.device('cpu')) is None
    assert 'no such metric: left out' in capsys.readouterr().err
    entry = {'seconds': [1.0], 'parameters': 2_000_000, 'times ours': (1.0, 1.0, 1.0)}
    peers.show({'machine': measure.machine(), 'metrics': {'topiq_nr': entry}})
    assert '2.0 M' in capsys.readouterr().out


def test_crops_of_each_count_are_those_of_its_placement():
    config = MoEAGIQAConfig()
    scores = torch.arange(36.0)[None]
    assert crops.chosen(scores, 3, 'spread', config).item() == 1  # the first three
    assert crops.chosen(scores, 3, 'grid', config).item() == 4  # after those of the grids of one and of two
    for place in crops.PLACEMENTS.values():
        positions = place(512, 400, config, seed=1)
        assert (positions >= 0).all()
        assert (positions <= torch.tensor([512 - 224, 400 - 224])).all()
        assert len(positions) in (15, 36)
    assert crops.grid(512, 512, config, 0)[1:3].tolist() == [[144, 0], [144, 288]]


def test_the_crops_are_drawn(tmp_path):
    figures = {name: dict.fromkeys(crops.COUNTS, 0.8) for name in crops.PLACEMENTS}
    result = {'images': 9, 'seconds': {count: count / 10 for count in crops.COUNTS}, 'srcc': figures}
    crops.draw(result, tmp_path / 'crops.png')
    assert (tmp_path / 'crops.png').stat().st_size > 5000


with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, 'training', training)  # which it imports by that name
    gpu = load('gpu')


def test_the_gpu_benchmark_runs_on_a_processor(monkeypatch, capsys):
    monkeypatch.setattr(torch, 'compile', lambda function, mode: function)
    result = gpu.measure(tiny=True, rounds=1)
    assert list(result['ways']) == [way.title for way in gpu.WAYS]
    for way in result['ways'].values():
        images = gpu.BATCH if way['trains'] else gpu.SCORED
        assert way['images_a_second'] == pytest.approx(images / way['seconds'][0])
    gpu.show(result)
    assert 'scoring, bfloat16, compiled' in capsys.readouterr().out


def test_without_a_gpu_nothing_is_measured_at_full_size(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit, match='no GPU here'):
        gpu.measure(tiny=False, rounds=1)


def test_a_later_epoch_is_made_of_steps_and_validation():
    times = {'ours': [4.0], 'view': [2.0], 'validation': [1.0], 'validation_cached': [0.5]}
    assert training.later_epoch(times) == (0.5, 0.5, 0.5)
    assert training.later_epoch(times | {'view': [4.0]})[0] == pytest.approx((2088 + 149) / (2088 + 298))
    assert training.later_epoch({'ours': [4.0]}) is None


def test_the_benchmark_of_the_service_loses_no_request(tiny_checkpoint, pictures, capsys):
    pytest.importorskip('gradio', reason='the extra "serve" is not installed')
    serve = load('serve')
    items = [serve.Item(pictures / name, f'number {number}') for number in range(4) for name in ('a.png', 'b.jpg')]
    result = serve.measure(items, clients=4, rounds=2, fast=False, weights=str(tiny_checkpoint))
    assert (result['lost'], result['wrong'], len(result['latencies'])) == (0, 0, len(items))
    serve.show(result)
    assert '8 requests from 4 clients' in capsys.readouterr().out


def test_a_reward_is_compared_with_its_metric(monkeypatch, tmp_path, capsys):
    reward = load('reward')
    words = ['--tiny', str(tmp_path / 'tiny.safetensors'), '--images', '2', '--pixels', '80', '--rounds', '1']
    reward.main([*words, '--memory-of', 'loss'])
    memory = json.loads(capsys.readouterr().out)
    assert 0 < memory['before'] <= memory['peak']
    monkeypatch.setattr(reward, 'memory_of', lambda name, options: memory)  # which would start a process
    reward.main([*words, '--output', str(tmp_path / 'figures.json')])
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert set(figures['seconds']) == set(figures['ratios']) == set(reward.TITLES)
    assert figures['ratios']['metric'] == [1, 1, 1]
    assert 'Reward.loss and backward' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('corner', 'is_right'), [((slice(32), slice(32)), True), ((slice(32, 64), slice(64, 96)), False)]
)
def test_a_map_of_places_is_right_where_damage_to_its_best_place_takes_more(corner, is_right, monkeypatch):
    occlusion = load('occlusion')
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    places = torch.tensor([[1.0, 0, 0], [0, 0, -1]])
    monkeypatch.setattr(occlusion, 'explain', lambda *_: SimpleNamespace(image=image, places=places))

    def sees_one_corner(images, caption_list):
        return -(images - image / 255)[(..., *corner)].abs().mean(dim=(1, 2, 3))

    assert occlusion.check(sees_one_corner, 'a.png', 'a cat') == dict.fromkeys(
        ('blur', 'noise', 'one colour'), is_right
    )
