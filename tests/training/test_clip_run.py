"""CLIP, SigLIP and MobileCLIP from training to score: what is saved scores as it was validated, and as its ONNX graph."""

from pathlib import Path

import pandas as pd
import pyiqa
import pytest
import torch
from clips import MATCHING, NETWORK, folder_of, vit_folder
from pictures import make_table, options, short

from pyiqa_moeagiqa.archs.clip import ClipSemantic
from pyiqa_moeagiqa.checkpoints import export, load_network, read
from pyiqa_moeagiqa.checkpoints.start import start_network
from pyiqa_moeagiqa.data.check import check_table
from pyiqa_moeagiqa.scoring.explain import explain
from pyiqa_moeagiqa.training.run import run

GRAPHS = ('clip', 'siglip')  # a MobileCLIP's graph takes four times as long to make
LONG = 'a red fox in the snow, two cats and a dog on a sofa, a castle at night'


def options_in(folder, family, **train) -> dict:
    """A run of such a model that compares images with prompts."""
    given = short(options(folder / 'table.csv', folder), **{'total_epoch': 2, 'ema_decay': None} | train)
    network = NETWORK | {'matching': MATCHING[family], 'type': 'MoEAGIQA'}
    network |= {'weights': {'visual': str(folder / 'vit'), 'semantic': str(folder / family)}}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in network.items()}
    return given | {'network': plain}


@pytest.fixture(scope='module', params=[*GRAPHS, 'mobileclip'])
def finished(request, tmp_path_factory):
    """Family, folder and result of a run."""
    folder = tmp_path_factory.mktemp(request.param)
    make_table(folder)
    folder_of(folder / request.param, request.param)
    vit_folder(folder / 'vit')
    return request.param, folder, run(options_in(folder, request.param), folder / 'run')


def test_the_best_network_scores_as_it_was_validated(finished):
    _, folder, _ = finished
    best = folder / 'run' / 'models' / 'net_best.safetensors'
    rows = pd.read_csv(folder / 'run' / 'predictions.csv')
    rows = rows[rows['data'] == 'bright_test']
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(best))
    scores = metric(list(rows['path']), caption_list=list(rows['prompt'])).flatten()
    torch.testing.assert_close(scores, torch.tensor(rows['score'].to_numpy()).float(), atol=1e-6, rtol=0)
    assert scores.std() > 0


def test_half_of_the_towers_is_trained_and_the_rest_read_from_its_folder(finished):
    family, folder, _ = finished
    best = folder / 'run' / 'models' / 'net_best.safetensors'
    stored = {name for name in read(best).weights if name.startswith('semantic.towers.')}
    assert any('encoder.layers.1.' in name for name in stored)
    assert not any('encoder.layers.0.' in name or 'embedding' in name or 'tokenizer' in name for name in stored)
    network, _ = load_network(best)
    started, _ = start_network(options_in(folder, family)['network'])
    assert network.semantic.tokenizer_json == (folder / family / 'tokenizer.json').read_bytes()
    frozen, trained = ('text_model.encoder.layers.0.mlp.fc1.weight', 'text_model.encoder.layers.1.mlp.fc1.weight')
    for name, same in ((frozen, True), (trained, False)):
        ours, theirs = (one.semantic.towers.get_parameter(name) for one in (network, started))
        assert ours.equal(theirs) == same


def test_frozen_features_are_kept_on_disk(finished, tmp_path, monkeypatch):
    family, folder, _ = finished
    opt = options_in(folder, family, cache_frozen=True, cache_folder=str(tmp_path / 'cache'))
    opt['datasets']['train'] |= {'random_crops': False, 'hflip': False}
    opt['network']['frozen_share'] = 1.0
    seen = []
    for name in ('frozen_image_features', 'words'):
        method = getattr(ClipSemantic, name)
        monkeypatch.setattr(ClipSemantic, name, counting(method, seen))
    first = run(opt, tmp_path / 'first')
    count = len(seen)
    second = run(opt, tmp_path / 'second')
    assert count > 0
    assert len(seen) == count
    assert first['figures'] == second['figures']


def counting(method, seen: list):
    """The method, which also notes each call."""

    def noted(*inputs):
        seen.append(method.__name__)
        return method(*inputs)

    return noted


def test_words_windows_and_explanations_follow_the_tokenizer(finished, pictures):
    _, folder, _ = finished
    best = str(folder / 'run' / 'models' / 'net_best.safetensors')
    cut = pyiqa.create_metric('moeagiqa', pretrained_model_path=best)
    window = pyiqa.create_metric('moeagiqa', pretrained_model_path=best, long_prompts='window')
    image = str(pictures / 'a.png')
    with pytest.warns(UserWarning, match='1 of 1 prompts were cut .* to 16 tokens'):
        short_score = cut(image, caption_list=[LONG])
    assert not window(image, caption_list=[LONG]).equal(short_score)
    explained = explain(cut, image, LONG, places=False)
    assert explained.words + explained.unread == LONG.split()
    assert explained.unread
    assert cut.net.matrix([image], ['a fox', 'a dog']).shape == (1, 2)


def test_a_table_is_checked_with_the_tokenizer(finished):
    family, folder, _ = finished
    best = str(folder / 'run' / 'models' / 'net_best.safetensors')
    prompts = check_table(folder / 'table.csv', weights=best).prompts
    assert prompts['cut_at_16'] == 0
    # a, picture and a number, letter by letter for a SigLIP; and the special tokens
    assert prompts['tokens'][0] == len(load_network(Path(best))[0].tokenizer.encode('a picture 0').ids)
    assert prompts['tokens'] != check_table(folder / 'table.csv').prompts['tokens'], family


@pytest.fixture(scope='module')
def graph(finished):
    """The run's best network as an ONNX graph."""
    _, folder, _ = finished
    return export(folder / 'tiny.onnx', str(folder / 'run' / 'models' / 'net_best.safetensors'))


@pytest.mark.parametrize('finished', GRAPHS, indirect=True)
def test_the_graph_gives_the_scores_of_torch(finished, graph, pictures):
    _, folder, _ = finished
    best = folder / 'run' / 'models' / 'net_best.safetensors'
    metrics = (pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path)) for path in (graph, best))
    images, prompts = [str(pictures / 'a.png'), str(pictures / 'b.jpg')], ['a red fox', 'TWO cats and a dog']
    ours, expected = (metric(images, caption_list=prompts) for metric in metrics)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('finished', GRAPHS, indirect=True)
def test_a_graph_without_its_tokenizer_is_refused(graph, tmp_path):
    import onnx

    spoilt = onnx.load(graph)
    kept = [one for one in spoilt.metadata_props if one.key != 'tokenizer']
    del spoilt.metadata_props[:]
    spoilt.metadata_props.extend(kept)
    onnx.save(spoilt, tmp_path / 'spoilt.onnx')
    with pytest.raises(ValueError, match='its tokenizer is missing'):
        load_network(tmp_path / 'spoilt.onnx')
