"""The ONNX graph answers as torch does, for any number of images."""

import sys

import numpy as np
import onnxruntime
import pytest
import torch
from tiny import inputs
from typer.testing import CliRunner

from pyiqa_moeagiqa.checkpoints import export, load_network
from pyiqa_moeagiqa.checkpoints.export import NAMES
from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.options import OptionError


@pytest.fixture(scope='module')
def graph(tiny_checkpoint, tmp_path_factory):
    return export(tmp_path_factory.mktemp('onnx') / 'sub' / 'tiny.onnx', str(tiny_checkpoint))


@pytest.mark.parametrize('images', [1, 3])
def test_the_graph_gives_the_scores_of_torch(graph, tiny_checkpoint, images):
    network, _ = load_network(tiny_checkpoint)
    given = inputs(network, images)
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    answers = session.run(None, {name: tensor.numpy() for name, tensor in zip(NAMES, given, strict=True)})
    with torch.no_grad():
        targets = network(*given).targets
    assert [output.name for output in session.get_outputs()] == list(targets)
    for scores, answer in zip(targets.values(), answers, strict=True):
        np.testing.assert_allclose(answer, scores.score.mean(dim=1).numpy(), atol=1e-5, rtol=0)


def test_the_number_of_crops_is_the_graphs_own(tiny_checkpoint, tmp_path):
    graph = export(tmp_path / 'five.onnx', str(tiny_checkpoint), crops=5)
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    assert session.get_inputs()[0].shape[1] == 5


def test_the_command_writes_one_file(tiny_checkpoint, tmp_path):
    output = tmp_path / 'a.onnx'
    result = CliRunner().invoke(app, ['export', str(output), '--weights', str(tiny_checkpoint)])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip().endswith(str(output))
    assert [path.name for path in tmp_path.iterdir()] == ['a.onnx']


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['a.pt'], 'a.pt: the output must end in .onnx'),
        (['a.onnx', '--weights', 'gone.safetensors'], 'gone.safetensors'),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ['export', *arguments])
    assert result.exit_code == 2
    assert words in result.stderr
    assert 'Traceback' not in result.output
    assert not list(tmp_path.iterdir())


def test_without_onnxscript_it_is_said_what_to_install(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(OptionError, match='pip install onnxscript'):
        export(tmp_path / 'a.onnx', str(tiny_checkpoint))
