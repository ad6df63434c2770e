"""The ONNX graph answers as torch does, for any number of images."""

import sys

import numpy as np
import onnx
import onnxruntime
import pyiqa
import pytest
import torch
from command_line import refused, run
from PIL import Image
from tiny import COMPACT_LIKE, inputs, made, saved

from pyiqa_moeagiqa.checkpoints import CheckpointError, export, find, load_network
from pyiqa_moeagiqa.checkpoints.export import NAMES
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.scoring.explain import explain


@pytest.fixture(scope='module')
def exported(tiny_checkpoint, tmp_path_factory):
    """What the command says, and the file that it writes."""
    path = tmp_path_factory.mktemp('onnx') / 'sub' / 'tiny.onnx'
    return run('export', path, '--weights', tiny_checkpoint).stdout, path


@pytest.fixture(scope='module')
def graph(exported):
    return exported[1]


def test_the_command_writes_one_file(exported):
    said, path = exported
    assert said.strip().endswith(str(path))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('images', [1, 3])
def test_the_graph_gives_the_scores_of_torch(graph, tiny_checkpoint, images):
    network, _ = load_network(tiny_checkpoint)
    given = inputs(network, images)
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    answers = session.run(None, {name: tensor.numpy() for name, tensor in zip(NAMES, given, strict=True)})
    with torch.no_grad():
        targets = network(*given).targets
    names = [f'{target}{ending}' for target in targets for ending in ('', '_crops', '_gate', '_chosen')]
    assert [output.name for output in session.get_outputs()] == names
    parts = [part for scores in targets.values() for part in (scores.score.mean(dim=1, keepdim=True), *scores)]
    for expected, answer in zip(parts, answers, strict=True):
        np.testing.assert_allclose(answer, expected.numpy(), atol=1e-5, rtol=0)


def test_a_graph_is_a_checkpoint_of_the_metric(graph, tiny_checkpoint, tmp_path):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(graph))
    exact = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    images, prompts = torch.rand(2, 3, 90, 80), ['a cat', 'a dog']
    scores, details = metric(images, caption_list=prompts, return_details=True)
    expected, same = exact(images, caption_list=prompts, return_details=True)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(details.scores['alignment'], same.scores['alignment'], atol=1e-5, rtol=0)
    torch.testing.assert_close(details.gate, same.gate, atol=1e-5, rtol=0)
    assert details.chosen.equal(same.chosen)
    Image.new('RGB', (70, 70)).save(tmp_path / 'a.png')
    both = [str(tmp_path / 'a.png')] * 2
    matrix = metric(both, caption_list=prompts)
    torch.testing.assert_close(matrix, exact(both, caption_list=prompts), atol=1e-5, rtol=0)
    assert metric.net.made_by['weights'] != exact.net.made_by['weights']


def test_a_graph_is_explained_as_its_checkpoint(graph, tiny_checkpoint, pictures):
    of_graph, expected = (
        explain(pyiqa.create_metric('moeagiqa', pretrained_model_path=str(file)), pictures / 'a.png', 'a cat in snow')
        for file in (graph, tiny_checkpoint)
    )
    assert of_graph.boxes == expected.boxes
    torch.testing.assert_close(of_graph.places, expected.places, atol=1e-5, rtol=0)
    assert of_graph.word_shares == pytest.approx(expected.word_shares, abs=1e-5)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'crops': 7}, 'was exported with 2'),
        ({'fast': True}, 'fast is True, but an ONNX graph'),
        ({'dtype': 'bfloat16'}, "dtype is 'bfloat16', but an ONNX graph"),
        ({'compile': True}, 'compile is True'),
        ({'crop_size': 80}, 'crop_size is 80'),
        ({'target': 'beauty'}, 'scores quality, alignment'),
    ],
)
def test_what_a_graph_cannot_do_is_said(graph, options, words):
    with pytest.raises(ValueError, match=words):
        pyiqa.create_metric('moeagiqa', pretrained_model_path=str(graph), **options)


def test_other_numbers_of_crop_positions_are_refused(graph):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(graph))
    places = torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(ValueError, match='has 3 crops, but this ONNX graph takes 2'):
        metric(torch.rand(1, 3, 90, 80), caption_list=['a cat'], crop_positions=places)


def test_a_network_too_large_for_one_file_is_refused(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[export.__module__], 'LARGEST', 1000)
    with pytest.raises(OptionError, match='an ONNX file holds less than 2'):
        export(tmp_path / 'a.onnx', str(tiny_checkpoint))


@pytest.mark.parametrize('address', ['https://example.org/a.onnx', 'hf://one/two/a.onnx'])
def test_graphs_are_not_downloaded(address):
    with pytest.raises(CheckpointError, match='download it, then give its path'):
        find(address)


def test_a_graph_gives_no_gradient(graph):
    metric = pyiqa.create_metric('moeagiqa', as_loss=True, pretrained_model_path=str(graph))
    with pytest.raises(CheckpointError, match='no gradient'):
        metric(torch.rand(1, 3, 70, 70, requires_grad=True), caption_list=['a cat'])


def test_other_graphs_are_refused(graph, tmp_path):
    (tmp_path / 'torn.onnx').write_bytes(graph.read_bytes()[:1000])
    foreign = onnx.load(graph)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / 'foreign.onnx')
    for name, words in (('torn', 'not an ONNX graph that can be run'), ('foreign', 'an ONNX graph, but no MoE-AGIQA'), ('gone', 'no such file')):  # fmt: skip
        with pytest.raises(CheckpointError, match=words):
            load_network(tmp_path / f'{name}.onnx')


def test_without_onnxruntime_it_is_said_what_to_install(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(CheckpointError, match='pip install onnxruntime'):
        load_network(graph)


def test_a_graph_is_not_exported_again(graph, tmp_path):
    with pytest.raises(OptionError, match='exported already'):
        export(tmp_path / 'b.onnx', str(graph))


def test_the_graph_of_a_network_as_the_compact_one_gives_the_scores_of_torch_with_crops_of_its_own(tmp_path):
    path = saved(made(**COMPACT_LIKE), tmp_path / 'tiny.safetensors')
    graph = export(tmp_path / 'tiny.onnx', str(path), crops=5)
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(graph))
    exact = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path), crops=5)
    assert metric.net.crops == 5
    assert metric.net.network.config == exact.net.network.config
    images, prompts = torch.rand(3, 3, 90, 130), ['a cat', 'a dog', 'two birds']
    scores, details = metric(images, caption_list=prompts, return_details=True)
    expected, same = exact(images, caption_list=prompts, return_details=True)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(details.crop_scores, same.crop_scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(details.scores['alignment'], same.scores['alignment'], atol=1e-5, rtol=0)
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    given = dict(zip(NAMES, [part.numpy() for part in inputs(exact.net.network, 2)], strict=True))
    given['crops'] = np.concatenate([given['crops'], given['crops'][:, :2]], axis=1)
    means, each = session.run(['quality', 'quality_crops'], given)
    weights = np.array([3, 2, 1, 3, 2])
    by_hand = (each[:, 0] + 3 * (each[:, 1:] @ weights) / weights.sum()) / 4
    np.testing.assert_allclose(means[:, 0], by_hand, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['a.pt'], 'a.pt: the output must end in .onnx'),
        (['a.onnx', '--weights', 'gone.safetensors'], 'gone.safetensors'),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in refused('export', *arguments)
    assert not list(tmp_path.iterdir())


def test_without_onnxscript_it_is_said_what_to_install(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(OptionError, match='pip install onnxscript'):
        export(tmp_path / 'a.onnx', str(tiny_checkpoint))
