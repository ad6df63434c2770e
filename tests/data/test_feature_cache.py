"""Kept features: what tells one from another, and files that cannot be read or written."""

import errno

import pytest
import torch

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features
from pyiqa_moeagiqa.data import feature_cache
from pyiqa_moeagiqa.data.feature_cache import FeatureCache, as_features, picture_key
from pyiqa_moeagiqa.data.table import TableError


def features(rows: int = 1) -> Features:
    return Features(torch.rand(rows, 2, 4, 3, 3), None, torch.rand(rows, 5, 4))


def test_pictures_crops_and_prompts_are_told_apart():
    keys = {
        picture_key(b'one', '2 crops', 'a cat'),
        picture_key(b'two', '2 crops', 'a cat'),
        picture_key(b'one', '3 crops', 'a cat'),
        picture_key(b'one', '2 crops', 'a dog'),
    }
    assert len(keys) == 4
    assert picture_key(b'one', '2 crops', 'a cat') in keys


def test_only_what_is_missing_is_computed(tmp_path):
    cache, asked = FeatureCache(tmp_path, 'f' * 64), []

    def compute(places):
        asked.append(places)
        return features(len(places))

    cache.look_up(['a', 'b'], compute)
    first = cache.look_up(['b', 'c', 'a'], compute)
    again = FeatureCache(tmp_path, 'f' * 64).look_up(['b', 'c', 'a'], compute)
    assert asked == [[0, 1], [1]]
    assert first.degradation.equal(again.degradation)
    assert first.degradation.shape == (3, 2, 4, 3, 3)
    assert first.prior is None
    assert 'a' not in FeatureCache(tmp_path, 'e' * 64)


def test_what_is_read_is_what_was_written_to_the_precision_of_float16(tmp_path):
    cache, made = FeatureCache(tmp_path, 'f' * 64), features()
    cache.write('a', Features(*(None if part is None else part[0] for part in made)))
    stored = cache.read('a')
    assert all(tensor.dtype == torch.float16 for tensor in stored.values())
    read = as_features({name: tensor[None] for name, tensor in stored.items()})
    torch.testing.assert_close(read.image, made.image, atol=5e-4, rtol=0)
    assert read.image.dtype == torch.float32


def test_what_is_removed_is_computed_again(tmp_path):
    cache = FeatureCache(tmp_path, 'f' * 64)
    cache.look_up(['a', 'b'], lambda places: features(len(places)))
    cache.remove('a')
    cache.remove('never there')
    assert 'a' not in cache
    assert 'b' in cache


def test_a_corrupt_file_is_named_in_one_sentence(tmp_path):
    cache = FeatureCache(tmp_path, 'f' * 64)
    cache.look_up(['a'], lambda places: features())
    (path,) = tmp_path.rglob('a.safetensors')
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TableError, match=r'cached features cannot be read .* remove the file') as error:
        cache.read('a')
    assert str(path) in str(error.value)
    assert '\n' not in str(error.value)


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(tensors, path):
        path.write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(feature_cache, 'save_file', full)
    with pytest.raises(TableError, match=r'cannot be written .*No space left.* make room') as error:
        FeatureCache(tmp_path, 'f' * 64).look_up(['a'], lambda places: features())
    assert '\n' not in str(error.value)
    assert [path for path in tmp_path.rglob('*') if path.is_file()] == []
