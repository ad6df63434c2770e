"""Descriptions of the data sets: complete, not to be changed by who reads them, and not in pyiqa's way."""

import pyiqa
import pytest

from pyiqa_moeagiqa.data.info import dataset_info, description, is_of_set, shared_folder
from pyiqa_moeagiqa.data.official import NAMES, agiqa3k
from scripts.write_quantiles import with_quantiles

ORIGIN = {'description', 'paper', 'source', 'licence', 'annotation'}
CONTENT = {'columns', 'targets', 'mos_range', 'lower_better', 'images', 'prompts', 'splits'}


@pytest.mark.parametrize('name', NAMES)
def test_a_description_says_all_there_is_to_say(name):
    info = description(name)
    assert set(info) == ORIGIN | CONTENT | ({'quantiles'} if name == 'agiqa3k' else set())
    assert {'path', *info['targets']} <= set(info['columns'])
    assert {'file', 'sha256', 'image'} <= set(info['splits'])
    assert info['splits']['image']['seeds'] == list(range(10))


def test_a_description_cannot_be_changed_by_who_reads_it():
    dataset_info()['agiqa3k']['mos_range'][1] = 100
    description('agiqa3k')['mos_range'][1] = 100
    assert dataset_info()['agiqa3k']['mos_range'] == description('agiqa3k')['mos_range'] == [0, 5]


def test_pyiqa_shows_ours_and_keeps_its_own():
    shown = pyiqa.get_dataset_info()
    assert {'agiqa1k', 'agiqa3k', 'aigciqa2023', 'aigiqa20k'} <= set(shown)
    # ARNIQA's scores are scaled by this range, and load_dataset reads this path.
    assert shown['koniq10k']['mos_range'] == [1, 100]
    assert 'dataroot_target' in pyiqa.get_dataset_info('koniq10k')


def test_quantiles_are_those_of_the_official_mos(real_data):
    text = (shared_folder('datasets_meta') / 'agiqa3k.yml').read_text(encoding='utf-8')
    official = agiqa3k.read(real_data / 'annotations' / 'AGIQA-3K')
    assert len(official) == description('agiqa3k')['images']
    assert with_quantiles(text, official) == text


@pytest.mark.parametrize(
    ('title', 'name', 'same'),
    [
        ('AGIQA-3K, 240 of its 300 prompts', 'agiqa3k', True),
        ('agiqa3k', 'agiqa3k', True),
        ('AGIQA-1K', 'agiqa3k', False),
        ('', 'agiqa3k', False),
    ],
)
def test_a_data_set_is_known_by_its_title(title, name, same):
    assert is_of_set(title, name) == same


def test_data_of_several_sets_is_of_each_of_them():
    assert is_of_set('agiqa3k + aigciqa2023', 'aigciqa2023')
    assert is_of_set('AGIQA-3K, 240 of its prompts', 'agiqa3k')
    assert not is_of_set('agiqa3k + aigciqa2023', 'agiqa1k')
