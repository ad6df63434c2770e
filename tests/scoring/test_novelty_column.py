"""A picture that is far from all that the network was trained on is said to be: in a column, a note and the details."""

import pyiqa
import pytest
from PIL import Image
from tiny import COMPACT_LIKE, made, saved

from pyiqa_moeagiqa import score


@pytest.fixture
def metric_of(tmp_path):
    """A metric whose network knows what is usual: ``metric_of(usual)``."""

    def make(usual: float):
        network = made(**COMPACT_LIKE)
        network.novelty.usual.fill_(usual)
        path = saved(network, tmp_path / 'one.safetensors')
        return pyiqa.create_metric('moeagiqa', pretrained_model_path=str(path))

    return make


def two_pictures():
    return [Image.new('RGB', (90, 130), 'navy'), Image.effect_noise((100, 70), 90).convert('RGB')]


@pytest.mark.parametrize(('usual', 'is_far'), [(1e-3, True), (1e4, False)])
def test_a_column_says_how_far_and_a_note_that_it_is_far(metric_of, usual, is_far):
    table = score(two_pictures(), 'a cat', metric=metric_of(usual))
    assert ((table['novelty'] > 1) == is_far).all()
    assert table['novelty'].nunique() == 2
    assert all(
        ('unlike the pictures that the metric was trained on' in str(notes)) == is_far for notes in table['notes']
    )


def test_the_column_is_empty_where_nothing_is_known(metric_of):
    table = score(two_pictures(), 'a cat', metric=metric_of(0))
    assert table['novelty'].isna().all()
    assert not table['notes'].astype(bool).any()


def test_the_details_have_it_for_each_image_also_of_prompts_in_windows(metric_of):
    metric, pictures = metric_of(1.0), two_pictures()
    _, details = metric(pictures, caption_list=['a cat'] * 2, return_details=True)
    metric.net.long_prompts = 'window'
    _, windowed = metric(pictures, caption_list=['a cat', 'a dog ' * 60], return_details=True)
    assert details.novelty.shape == (2,)
    assert windowed.novelty.equal(details.novelty)
