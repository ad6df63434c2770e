"""Kept features: what tells one from another, and files that cannot be read or written."""

import errno

import pytest
import torch
from safetensors.torch import save

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features
from pyiqa_moeagiqa.data import feature_cache
from pyiqa_moeagiqa.data.feature_cache import FeatureCache, as_features, as_stored, picture_key
from pyiqa_moeagiqa.data.table import TableError


def features(rows: int = 1) -> dict[str, torch.Tensor]:
    return as_stored(Features(torch.rand(rows, 2, 4, 3, 3), None, torch.rand(rows, 5, 4)))


def test_pictures_crops_and_prompts_are_told_apart(tmp_path):
    for name in ('one', 'two', 'copy of one'):
        (tmp_path / name).write_text(name[-3:])
    keys = {
        picture_key(tmp_path / 'one', '2 crops', 'a cat'),
        picture_key(tmp_path / 'two', '2 crops', 'a cat'),
        picture_key(tmp_path / 'one', '3 crops', 'a cat'),
        picture_key(tmp_path / 'one', '2 crops', 'a dog'),
        picture_key(tmp_path / 'one', '2 crops a', 'dog'),
        picture_key(tmp_path / 'one'),
    }
    assert len(keys) == 6
    assert picture_key(tmp_path / 'copy of one', '2 crops', 'a cat') in keys


def test_only_what_is_missing_is_computed(tmp_path):
    cache, asked = FeatureCache(tmp_path, 'f' * 64), []

    def compute(places):
        asked.append(places)
        return features(len(places))

    cache.look_up(['a', 'b'], compute)
    first = as_features(cache.look_up(['b', 'c', 'a'], compute))
    again = as_features(FeatureCache(tmp_path, 'f' * 64).look_up(['b', 'c', 'a'], compute))
    assert asked == [[0, 1], [1]]
    assert first.degradation.equal(again.degradation)
    assert first.degradation.shape == (3, 2, 4, 3, 3)
    assert first.degradation.dtype == torch.float32
    assert first.prior is None
    assert 'a' not in FeatureCache(tmp_path, 'e' * 64)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_what_is_read_is_what_was_written(tmp_path, dtype):
    cache, made = FeatureCache(tmp_path, 'f' * 64), {'image': torch.rand(5, 4).to(dtype)}
    cache.write('a', made)
    assert cache.read('a')['image'].dtype == dtype
    assert cache.read('a')['image'].equal(made['image'])


def test_what_is_removed_is_computed_again(tmp_path):
    cache = FeatureCache(tmp_path, 'f' * 64)
    cache.look_up(['a', 'b'], lambda places: features(len(places)))
    cache.remove('a')
    cache.remove('never there')
    assert 'a' not in cache
    assert 'b' in cache


DAMAGE = {
    'cut short': lambda content: content[:-9],
    'header only': lambda content: content[:50],
    'empty': lambda content: b'',
    'one bit': lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    'zeros': lambda content: content[:-64] + bytes(64),
    'no fingerprint': lambda content: save({'image': torch.rand(5, 4)}),
}


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, damage):
    cache = FeatureCache(tmp_path, 'f' * 64)
    cache.look_up(['a'], lambda places: features())
    (path,) = tmp_path.rglob('a.safetensors')
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    for read in (lambda: cache.read('a'), lambda: cache.look_up(['a'], lambda places: features())):
        with pytest.raises(TableError, match=r'cached features cannot be read .* remove the file') as error:
            read()
        assert str(path) in str(error.value)
        assert '\n' not in str(error.value)


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(tensors, path, header):
        path.write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(feature_cache, 'save_file', full)
    with pytest.raises(TableError, match=r'cannot be written .*No space left.* make room') as error:
        FeatureCache(tmp_path, 'f' * 64).look_up(['a'], lambda places: features())
    assert '\n' not in str(error.value)
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == []
