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


@pytest.mark.parametrize('name', PHOTOS)
def test_a_clean_photograph_scores_above_its_damaged_versions(metric, name):
    clean = photo(name)
    versions = [clean, blur(clean, 3), noise(clean, 40), jpeg(clean, 10)]
    scores = metric(versions, caption_list=[PHOTOS[name]] * len(versions)).flatten().tolist()
    assert scores[0] > max(scores[1:])


@pytest.mark.parametrize('name', PHOTOS)
def test_an_enlarged_photograph_is_a_little_worse_and_no_class_worse(metric, name):
    clean = photo(name)
    larger = clean.resize((2 * clean.width, 2 * clean.height), Image.LANCZOS)
    one, other = metric([clean, larger], caption_list=[PHOTOS[name]] * 2).flatten().tolist()
    assert abs(one - other) < 0.1


def test_all_of_a_wide_picture_is_seen(metric):
    """What stands at its ends, outside of the square in the middle, changes the score."""
    clean = photo('coffee.png').crop((0, 100, 600, 250))
    ends = clean.copy()
    for place in ((0, 0), (510, 0)):
        ends.paste(noise(clean, 120).crop((*place, place[0] + 90, 150)), place)
    one, other = metric([clean, ends], caption_list=[PHOTOS['coffee.png']] * 2).flatten().tolist()
    assert abs(one - other) > 0.005


def test_a_wrong_prompt_costs_alignment_and_not_quality(metric):
    falls = []
    for name, other in zip(PHOTOS, [*list(PHOTOS)[1:], next(iter(PHOTOS))], strict=True):
        prompts = [PHOTOS[name], PHOTOS[other]]
        _, details = metric([photo(name)] * 2, caption_list=prompts, return_details=True)
        falls.append(float(details.scores['alignment'][0] - details.scores['alignment'][1]))
        assert abs(float(details.scores['quality'][0] - details.scores['quality'][1])) < 0.01
    assert sum(falls) / len(falls) > 0.08


def test_graphics_are_said_to_be_unlike_the_training_pictures_and_photographs_are_not(metric):
    stripes = Image.fromarray((np.indices((512, 512))[0] // 3 % 2 * 255).astype(np.uint8)).convert('RGB')
    pictures = [Image.new('RGB', (512, 512)), stripes, *(photo(name) for name in PHOTOS)]
    _, details = metric(pictures, caption_list=['a cat'] * len(pictures), return_details=True)
    assert details.novelty[:2].min() > 1 > details.novelty[2:].max()


def test_photographs_prefer_their_own_prompt(metric):
    prompts = list(PHOTOS.values())
    wins = []
    for index, name in enumerate(PHOTOS):
        _, details = metric([photo(name)] * len(prompts), caption_list=prompts, return_details=True)
        alignment = details.scores['alignment'].flatten()
        wins += (alignment[index] > alignment[[i for i in range(len(prompts)) if i != index]]).tolist()
    assert sum(wins) / len(wins) >= 0.75


def test_it_knows_the_images_it_learnt_from(metric, real_data):
    # A check of the wiring, not of quality: the card's figures are of prompts it had not seen.
    folder = real_data / 'agiqa3k_part'
    table = pd.read_csv(folder / 'data.csv', keep_default_na=False).sample(60, random_state=0)
    scores = metric([folder / 'images' / name for name in table['name']], caption_list=list(table['prompt']))
    assert spearmanr(scores[:, 0], table['mos_quality']).statistic > 0.8
