"""One self-describing file: what is written is read, and nothing else is."""

import hashlib
import json

import pytest
import torch
from refusals import refuses
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from stand_ins import INFO, Attack

from pyiqa_moeagiqa.checkpoints import CheckpointError, read, read_header, save
from pyiqa_moeagiqa.file_hash import file_hash

MATRIX = 'semantic.text.embeddings.word_embeddings.weight'


def header(path) -> dict[str, str]:
    with safe_open(path, framework='pt') as opened:
        return opened.metadata()


def rewrite(path, **changes) -> None:
    """The same file with parts of its header changed."""
    save_file(load_file(path), path, header(path) | changes)


def rewrite_options(path, **changes) -> None:
    rewrite(path, config=json.dumps(json.loads(header(path)['config']) | changes))


def test_what_is_saved_is_read(checkpoint, file):
    again = read(file)
    assert again.config == checkpoint.config
    assert again.info == INFO
    assert again.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in checkpoint.weights.items())


def test_the_header_tells_all_without_the_weights(checkpoint, file):
    assert read_header(file) == (checkpoint.config, INFO)


@pytest.mark.parametrize(
    'interval', [[0, 1], {'quality': 0.5}, {'quality': [0.1]}, {'quality': [1, 0]}, {'beauty': [0, 1]}]
)
def test_an_interval_that_is_none_is_refused_in_one_sentence(checkpoint, tmp_path, interval):
    checkpoint.info['interval'] = interval
    path = save(checkpoint, tmp_path / 'odd.safetensors')
    with pytest.raises(CheckpointError, match='its header cannot be used') as error:
        read_header(path)
    assert 'interval' in str(error.value)
    assert '\n' not in str(error.value)


def test_float16_is_read_as_float32(checkpoint, tmp_path):
    path = save(checkpoint, tmp_path / 'half.safetensors', half=True)
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    for name, tensor in read(path).weights.items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, checkpoint.weights[name], rtol=2**-11, atol=2**-24)


def test_int8_is_read_within_half_a_step(checkpoint, tmp_path):
    path = save(checkpoint, tmp_path / 'int8.safetensors', half=True, int8_parts=('semantic.text.embeddings',))
    assert load_file(path)[MATRIX].dtype == torch.int8
    again, before = read(path).weights, checkpoint.weights[MATRIX]
    half_step = before.abs().amax(dim=1, keepdim=True) / 127 / 2
    assert again.keys() == checkpoint.weights.keys()
    assert again[MATRIX].dtype == torch.float32
    assert ((again[MATRIX] - before).abs() <= half_step * 1.001).all()
    assert not torch.equal(again[MATRIX], before)


def test_int8_keeps_a_row_of_zeros(checkpoint, tmp_path):
    checkpoint.weights[MATRIX][7] = 0
    path = save(checkpoint, tmp_path / 'int8.safetensors', int8_parts=('semantic.text.embeddings',))
    assert (read(path).weights[MATRIX][7] == 0).all()


def test_int8_without_its_scale_is_refused(checkpoint, tmp_path):
    path = save(checkpoint, tmp_path / 'int8.safetensors', int8_parts=('semantic.text.embeddings',))
    metadata, tensors = header(path), load_file(path)
    del tensors[MATRIX + '.scale']
    save_file(tensors, path, metadata)
    with refuses(CheckpointError, path, MATRIX, 'scale'):
        read(path)


@pytest.mark.parametrize(('value', 'half'), [(float('nan'), False), (float('inf'), False), (1e6, True)])
def test_a_value_that_is_not_finite_is_not_written(checkpoint, file, value, half):
    before = file.read_bytes()
    checkpoint.weights[MATRIX][3, 3] = value
    with refuses(CheckpointError, file, MATRIX, 'not written'):
        save(checkpoint, file, half=half)
    assert file.read_bytes() == before


def test_nan_is_not_read(file):
    metadata, tensors = header(file), load_file(file)
    tensors[MATRIX][3, 3] = float('nan')
    save_file(tensors, file, metadata)
    with refuses(CheckpointError, file, MATRIX, 'NaN'):
        read(file)


def test_a_failure_while_writing_leaves_the_old_file_whole(checkpoint, file, monkeypatch):
    before = file.read_bytes()

    def disk_full(tensors, path, metadata):
        path.write_bytes(before[: len(before) // 2])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('pyiqa_moeagiqa.checkpoints.file.save_file', disk_full)
    with refuses(CheckpointError, file, 'No space left'):
        save(checkpoint, file)
    assert file.read_bytes() == before
    assert list(file.parent.glob('*.part*')) == []


def test_a_file_is_as_readable_as_any_other(file):
    other = file.with_name('other')
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def cut_in_the_header(path):
    path.write_bytes(path.read_bytes()[:100])


def emptied(path):
    path.write_bytes(b'')


def web_page(path):
    path.write_text('<!doctype html><title>Not found</title>')


def removed(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def something_else(path):
    save_file({'weight': torch.zeros(2)}, path)


@pytest.mark.parametrize(
    ('damage', 'said'),
    [
        (cut_short, 'cut short'),
        (cut_in_the_header, 'cut short'),
        (emptied, 'cut short'),
        (web_page, 'no safetensors file'),
        (removed, 'no such file'),
        (folder, 'a folder'),
        (something_else, 'no MoE-AGIQA checkpoint'),
        (lambda path: rewrite(path, format='moeagiqa-2'), 'update pyiqa-moeagiqa'),
        (lambda path: rewrite_options(path, mamba=True), 'option mamba); update pyiqa-moeagiqa'),
        (lambda path: rewrite_options(path, experts=4, top_k=5), 'top_k is 5'),
        (lambda path: rewrite_options(path, layers=None), 'header cannot be used'),
        (lambda path: rewrite(path, config='[]'), 'header cannot be used'),
        (lambda path: rewrite(path, config='{'), 'header cannot be used'),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_sentence(file, damage, said):
    damage(file)
    with refuses(CheckpointError, file, said):
        read(file)


@pytest.mark.parametrize('zipped', [True, False])
def test_code_in_a_pickle_is_never_run(tmp_path, zipped):
    path, trace = tmp_path / 'attack.pth', tmp_path / 'trace'
    torch.save({'weight': Attack(trace)}, path, _use_new_zipfile_serialization=zipped)
    with refuses(CheckpointError, path, 'could run code', 'moeagiqa convert'):
        read(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), 'the attack does not work, so it has shown nothing'


@pytest.mark.parametrize('low_byte', [0x80, ord('P')])
def test_a_header_whose_length_looks_like_a_pickle_is_read(checkpoint, tmp_path, low_byte):
    for more in range(0, 512, 8):
        checkpoint.info['note'] = 'x' * more
        path = save(checkpoint, tmp_path / 'tiny.safetensors')
        if path.read_bytes()[0] == low_byte:
            break
    assert path.read_bytes()[0] == low_byte
    assert read(path).info == checkpoint.info


def test_the_hash_is_the_files_sha256(file):
    assert file_hash(file) == hashlib.sha256(file.read_bytes()).hexdigest()
