"""ONNX graphs that ``export`` did not write: refused in one sentence, and no file but theirs is opened."""

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from refusals import refuses
from tiny import config

from pyiqa_moeagiqa.checkpoints import CheckpointError, load_network
from pyiqa_moeagiqa.checkpoints.file import header
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric

SIZE = config().crop_size
INPUTS = {'crops': ['N', 2, 3, SIZE, SIZE], 'view': ['N', 3, SIZE, SIZE], 'ids': ['N', 35], 'mask': ['N', 35]}
OUTPUTS = [f'{target}_{part}' for target in config().targets for part in ('crops', 'gate', 'chosen')]


def graph(path, inputs=INPUTS, outputs=OUTPUTS, external=None):
    """A graph that answers its first input to everything, with the header of the tiny network."""
    initializers = []
    if external is not None:
        tensor = helper.make_tensor('w', TensorProto.FLOAT, [4], [0.0] * 4)
        tensor.ClearField('float_data')
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (('location', external), ('offset', '0'), ('length', '16')):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        initializers.append(tensor)
    first = next(iter(inputs))
    kinds = {name: TensorProto.INT64 if name in ('ids', 'mask') else TensorProto.FLOAT for name in inputs}
    made = helper.make_graph(
        [helper.make_node('Identity', [first], [name]) for name in outputs]
        + [helper.make_node('Identity', [tensor.name], ['z']) for tensor in initializers],
        'g',
        [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, inputs[first]) for name in outputs]
        + [helper.make_tensor_value_info('z', TensorProto.FLOAT, [4]) for _ in initializers],
        initializers,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    helper.set_model_props(model, header(config(), {'model_name': 'tiny'}))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ('inputs', 'outputs'),
    [
        ({'x': [4]}, ['y']),
        ({'crops': [4]}, OUTPUTS),
        (INPUTS | {'crops': ['N', 2, 3, 32, 32]}, OUTPUTS),
        (INPUTS | {'crops': ['N', 2**40, 3, SIZE, SIZE]}, OUTPUTS),
        (INPUTS | {'crops': ['N', 'n', 3, SIZE, SIZE]}, OUTPUTS),
        (INPUTS | {'view': ['N', 3, 'a', 'b']}, OUTPUTS),
        (INPUTS | {'ids': ['N', 36]}, OUTPUTS),
        (INPUTS | {'more': ['N']}, OUTPUTS),
        (INPUTS, OUTPUTS[1:]),
        (INPUTS, ['y']),
    ],
    ids=str,
)
def test_other_inputs_and_outputs_are_refused(tmp_path, inputs, outputs):
    path = graph(tmp_path / 'other.onnx', inputs, outputs)
    with refuses(CheckpointError, path, 'other inputs or outputs'):
        load_network(path)


def test_answers_of_another_shape_are_refused(tmp_path):
    path = graph(tmp_path / 'other.onnx')
    metric = MoEAGIQAMetric(pretrained_model_path=str(path))
    with refuses(CheckpointError, path, 'instead of'):
        metric(torch.rand(1, 3, 80, 80), caption_list=['a cat'])


@pytest.mark.parametrize('place', ['../secret', '/etc/passwd', '../../../../../../../../etc/passwd'])
def test_data_outside_of_its_folder_is_not_read(tmp_path, place):
    (tmp_path / 'secret').write_bytes(bytes(16))
    (tmp_path / 'folder').mkdir()
    path = graph(tmp_path / 'folder' / 'evil.onnx', external=place)
    assert onnx.load(path, load_external_data=False).graph.initializer
    with refuses(CheckpointError, path):
        load_network(path)


@pytest.mark.parametrize('content', [b'', b'x', b'\x08\x07', bytes(1000), b'\xff' * 1000])
def test_what_is_no_graph_is_refused(tmp_path, content):
    (tmp_path / 'no.onnx').write_bytes(content)
    with refuses(CheckpointError, 'no.onnx'):
        load_network(tmp_path / 'no.onnx')
