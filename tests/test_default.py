"""The embedded default: what its card promises and a machine can check."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyiqa
import pytest
import skimage
from PIL import Image
from scipy.stats import spearmanr

from pyiqa_moeagiqa.checkpoints import find, read_header
from pyiqa_moeagiqa.file_hash import file_hash
from recipes.degradations import blur, jpeg, noise

CARD = Path(__file__).parent.parent / 'MODEL_CARD.md'
PHOTOS = {
    'astronaut.png': 'a portrait of an astronaut in an orange space suit',
    'chelsea.png': 'a close-up of a ginger cat',
    'coffee.png': 'a cup of coffee on a wooden table',
    'rocket.jpg': 'a rocket on its launch pad',
    'motorcycle_left.png': 'a motorcycle in a garage',
}


@pytest.fixture(scope='module')
def metric():
    return pyiqa.create_metric('moeagiqa')


def photo(name: str) -> Image.Image:
    return Image.open(Path(skimage.data.__file__).parent / name).convert('RGB')


def test_the_file_is_small_and_the_card_is_of_it():
    assert find('moeagiqa').stat().st_size < 70e6
    assert file_hash(find('moeagiqa')) in CARD.read_text()


def test_the_header_says_what_it_is():
    config, info = read_header(find('moeagiqa'))
    assert config.targets == ('quality', 'alignment')
    assert {'dataset', 'mos_range', 'licence', 'sources', 'figures'} <= info.keys()
    quality = info['figures']['unseen family and prompts, quality']
    assert f'{quality["srcc"]:.3f}' in CARD.read_text()


@pytest.fixture(scope='module')
def clean(metric):
    """The photographs' scores for their own prompts, and their details."""
    return metric([photo(name) for name in PHOTOS], caption_list=list(PHOTOS.values()), return_details=True)


@pytest.mark.parametrize('place', range(len(PHOTOS)), ids=PHOTOS)
def test_a_clean_photograph_scores_above_its_damaged_versions_and_about_as_when_enlarged(metric, clean, place):
    name, prompt = list(PHOTOS.items())[place]
    whole, score = photo(name), clean[0][place].item()
    larger = whole.resize((2 * whole.width, 2 * whole.height), Image.LANCZOS)
    versions = [blur(whole, 3), noise(whole, 40), jpeg(whole, 10), larger]
    *damaged, enlarged = metric(versions, caption_list=prompt).flatten().tolist()
    assert score > max(damaged)
    assert abs(score - enlarged) < 0.1


def test_all_of_a_wide_picture_is_seen(metric):
    """What stands at its ends, outside of the square in the middle, changes the score."""
    clean = photo('coffee.png').crop((0, 100, 600, 250))
    ends = clean.copy()
    for place in ((0, 0), (510, 0)):
        ends.paste(noise(clean, 120).crop((*place, place[0] + 90, 150)), place)
    one, other = metric([clean, ends], caption_list=[PHOTOS['coffee.png']] * 2).flatten().tolist()
    assert abs(one - other) > 0.005


@pytest.fixture(scope='module')
def scores_of_all_prompts(metric):
    """A photograph's row of scores for all photographs' prompts, by target."""
    alignment = pyiqa.create_metric('moeagiqa', target='alignment')
    photos, prompts = [photo(name) for name in PHOTOS], list(PHOTOS.values())
    return metric.net.matrix(photos, prompts), alignment.net.matrix(photos, prompts)


def test_a_wrong_prompt_costs_alignment_and_not_quality(scores_of_all_prompts):
    quality, alignment = (scores.diagonal()[:, None] - scores for scores in scores_of_all_prompts)
    assert quality.abs().max() < 0.01
    assert alignment.sum() / (len(PHOTOS) * (len(PHOTOS) - 1)) > 0.08


def test_photographs_prefer_their_own_prompt(scores_of_all_prompts):
    _, alignment = scores_of_all_prompts
    wins = alignment.diagonal()[:, None] > alignment
    assert wins.sum() / (len(PHOTOS) * (len(PHOTOS) - 1)) >= 0.75


def test_graphics_are_said_to_be_unlike_the_training_pictures_and_photographs_are_not(metric, clean):
    stripes = Image.fromarray((np.indices((512, 512))[0] // 3 % 2 * 255).astype(np.uint8)).convert('RGB')
    _, details = metric([Image.new('RGB', (512, 512)), stripes], caption_list='a cat', return_details=True)
    assert details.novelty.min() > 1 > clean[1].novelty.max()


def test_it_knows_the_images_it_learnt_from(metric, real_data):
    # A check of the wiring, not of quality: the card's figures are of prompts it had not seen.
    folder = real_data / 'agiqa3k_part'
    table = pd.read_csv(folder / 'data.csv', keep_default_na=False).sample(24, random_state=0)
    scores = metric([folder / 'images' / name for name in table['name']], caption_list=list(table['prompt']))
    assert spearmanr(scores[:, 0], table['mos_quality']).statistic > 0.8
