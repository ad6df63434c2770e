"""The nodes of ``comfyui/``, loaded and asked as ComfyUI does; a tiny checkpoint stands for moeagiqa-v1.

ComfyUI (execution.py, nodes.py) imports a copied folder by its path, checks the inputs that VALIDATE_INPUTS does not name, wraps
each value in a list, calls the node in inference mode and joins the outputs by OUTPUT_IS_LIST.
"""

import importlib.util
import inspect
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyiqa
import pytest
import torch
from command_line import run as run_command
from tiny import config

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, find, save

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope='module')
def nodes(tmp_path_factory) -> ModuleType:
    """The folder's module, from ``custom_nodes/``."""
    folder = shutil.copytree(ROOT / 'comfyui', tmp_path_factory.mktemp('custom_nodes') / 'moeagiqa')
    return load(folder)


def load(folder: Path) -> ModuleType:
    name = str(folder).replace('.', '_x_')
    spec = importlib.util.spec_from_file_location(name, folder / '__init__.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs a tiny moeagiqa-v1, with other weights for another seed."""
    monkeypatch.setenv('MOEAGIQA_HOME', str(tmp_path / 'home'))

    def install(seed: int) -> Path:
        torch.manual_seed(seed)
        network = MoEAGIQA(config())
        info = {'model_name': 'moeagiqa-v1', 'mos_range': [0, 5], 'interval': {'quality': [-0.1, 0.2]}}
        file = save(Checkpoint(network.config, network.state_dict(), info), tmp_path / f'{seed}.safetensors')
        run_command('weights', 'install', file)
        return find('moeagiqa-v1')

    return install


@pytest.fixture
def images():
    """A batch of three: a darker, a brighter, and one of NaN, as a VAE in half precision gives."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(3, 70, 90, 3, generator=generator) * torch.tensor([0.5, 1.2, 1]).reshape(3, 1, 1, 1)
    batch[2] = math.nan
    return batch


def refusal(node: type, **inputs) -> str | None:
    """What ComfyUI would say of the inputs before it runs anything; None if it would run."""
    named = inspect.getfullargspec(node.VALIDATE_INPUTS).args
    for name, (kind, *options) in node.INPUT_TYPES()['required'].items():
        value = inputs[name]
        if name not in named and isinstance(kind, list) and value not in kind:
            return f'{name}: {value} is not in the list'
        if kind == 'INT' and not options[0]['min'] <= value <= options[0]['max']:
            return f'{name}: {value} is out of range'
    answer = node.VALIDATE_INPUTS(**{name: value for name, value in inputs.items() if name in named})
    return None if answer is True else str(answer)


def run(node: type, **inputs) -> tuple[list, dict]:
    """A node's outputs, each as the list that ComfyUI hands on, and what it shows."""
    assert refusal(node, **inputs) is None
    with torch.inference_mode():
        answer = getattr(node(), node.FUNCTION)(**inputs)
    result, shown = (answer['result'], answer['ui']) if isinstance(answer, dict) else (answer, {})
    assert len(result) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES) == len(node.OUTPUT_TOOLTIPS)
    return [value if is_list else [value] for value, is_list in zip(result, node.OUTPUT_IS_LIST, strict=True)], shown


def inputs(**others):
    return {'prompt': 'a cat', 'metric': 'moeagiqa-v1', 'target': 'quality'} | others


def test_scores_are_those_of_the_metric_and_a_failure_is_one_image(nodes, installed, images):
    path = installed(0)
    (scores, mos, text), shown = run(nodes.NODE_CLASS_MAPPINGS['MoEAGIQAScore'], images=images, **inputs())
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path))
    expected = metric(images[:2].clamp(0, 1).movedim(-1, 1), caption_list=['a cat'] * 2).flatten().tolist()
    assert scores[:2] == pytest.approx(expected, abs=1e-6)
    assert mos[:2] == pytest.approx([5 * value for value in expected], abs=1e-5)
    assert math.isnan(scores[2])
    assert math.isnan(mos[2])
    lines = text[0].splitlines()
    assert (
        lines[0] == f'image 0: {scores[0]:.3f}, MOS {mos[0]:.2f} (80 %: {max(mos[0] - 0.5, 0):.2f} to {mos[0] + 1:.2f})'
    )
    assert lines[2].startswith('image 2: not scored: ')
    assert json.loads(json.dumps(shown)) == {'text': text}


@pytest.mark.parametrize('count', [1, 2, 9])
def test_the_best_come_first_and_unchanged(nodes, installed, images, count):
    installed(0)
    (scores, _, _), _ = run(nodes.MoEAGIQAScore, images=images, **inputs())
    order = sorted((0, 1), key=lambda place: -scores[place])[:count]
    ((best,), kept, (text,)), _ = run(nodes.NODE_CLASS_MAPPINGS['MoEAGIQAPick'], images=images, **inputs(count=count))
    assert best.equal(images[order])
    assert kept == [scores[place] for place in order]
    assert [line.partition(':')[0] for line in text.splitlines()] == [f'image {place}' for place in order]


def test_a_batch_of_which_none_can_be_scored_is_said(nodes, installed, images):
    installed(0)
    with pytest.raises(ValueError, match=r'No image of the batch can be scored: .* NaN'):
        run(nodes.MoEAGIQAPick, images=images[2:], **inputs(count=1))


def test_what_cannot_run_is_refused_before(nodes, installed, images):
    score, pick = nodes.MoEAGIQAScore, nodes.MoEAGIQAPick
    assert 'moeagiqa-v1 has no weights yet' in refusal(score, images=images, **inputs())
    path = installed(0)
    assert "metric is '" in refusal(score, images=images, **inputs(metric=str(path))), 'no path of a stranger is opened'
    assert "target is 'authenticity': moeagiqa-v1 scores quality, alignment" in refusal(
        score, images=images, **inputs(target='authenticity')
    )
    assert 'count: 0 is out of range' in refusal(pick, images=images, **inputs(count=0))
    assert score.VALIDATE_INPUTS() is True, 'inputs that other nodes give are not known before'


def test_another_checkpoint_gives_other_scores(nodes, installed, images):
    node = nodes.MoEAGIQAScore
    installed(0)
    before, noted = run(node, images=images, **inputs()), node.IS_CHANGED(images=None, **inputs())
    assert node.IS_CHANGED(images=None, **inputs()) == noted
    installed(1)
    assert node.IS_CHANGED(images=None, **inputs()) != noted
    assert run(node, images=images, **inputs())[0][0][0] != before[0][0][0]


def test_the_default_runs_as_the_widgets_begin(nodes):
    kinds = nodes.MoEAGIQAScore.INPUT_TYPES()['required']
    first = {name: kinds[name][0][0] for name in ('metric', 'target')}
    image = torch.full((1, 300, 300, 3), 0.5)
    (scores, mos, _), _ = run(nodes.MoEAGIQAScore, images=image, prompt='', **first)
    assert mos == pytest.approx([5 * scores[0]])
    assert set(nodes.NODE_DISPLAY_NAME_MAPPINGS) == set(nodes.NODE_CLASS_MAPPINGS)


def test_without_the_package_the_log_says_what_to_install(tmp_path):
    code = (
        f'import importlib.util as u; s = u.spec_from_file_location("n", {str(ROOT / "comfyui/__init__.py")!r})\n'
        's.loader.exec_module(u.module_from_spec(s))'
    )
    command = [sys.executable, '-I', '-S', '-c', code]  # without site-packages
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: The MoE-AGIQA nodes need pyiqa-moeagiqa: install it with pip')
