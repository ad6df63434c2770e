"""ImageReward's scores against image-reward 1.5's own, and what the metric does with images and prompts."""

from pathlib import Path

import numpy as np
import pyiqa
import pytest
import torch
from PIL import Image
from reference.weights_rule import PROMPTS, pictures
from torchvision.transforms.v2.functional import InterpolationMode, resize, to_image

from pyiqa_moeagiqa.archs import image_reward
from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.images.read import ImageError, PromptError
from pyiqa_moeagiqa.images.views import pillow_view, semantic_view
from pyiqa_moeagiqa.metrics import imagereward
from pyiqa_moeagiqa.metrics.imagereward import ImageRewardMetric
from pyiqa_moeagiqa.options import OptionError

SCORES = np.load(Path(__file__).parent.parent / 'reference' / 'image_reward.npz')['scores']
TOLERANCE = 1e-5
CAT = 'a cat in the snow'


@pytest.fixture
def metric(image_reward_file):
    return pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file))


@pytest.fixture
def images():
    return torch.rand(3, 3, 60, 90, generator=torch.Generator().manual_seed(1))


def difference(metric) -> float:
    """The largest, of all pictures and prompts."""
    ours = [metric([picture] * len(PROMPTS), caption_list=PROMPTS).flatten().numpy() for picture in pictures()]
    return np.abs(np.stack(ours) - SCORES).max()


quiet = pytest.mark.filterwarnings('ignore:.*prompts were cut', 'ignore:.*prompt is empty')


@quiet
def test_scores_are_image_rewards_own(metric):
    assert difference(metric) < TOLERANCE


@quiet
def test_files_are_scored_as_their_pixels(metric, tmp_path):
    for number, picture in enumerate(pictures()):
        picture.save(tmp_path / f'{number}.png')
    paths = [str(tmp_path / f'{number}.png') for number in range(4)]
    scores = metric(paths, caption_list=[PROMPTS[0]] * 4)
    assert np.abs(scores.flatten().numpy() - SCORES[:, 0]).max() < TOLERANCE


# The converse: one step is another, and the scores differ.


def without_normalisation(monkeypatch, metric):
    monkeypatch.setattr(imagereward, 'normalize', lambda pixels, mean, std: pixels)


def another_mean_of_rewards(monkeypatch, metric):
    monkeypatch.setattr(image_reward, 'REWARD_MEAN', 0.0)


def another_deviation_of_rewards(monkeypatch, metric):
    monkeypatch.setattr(image_reward, 'REWARD_STD', 1.0)


def mean_over_tokens(monkeypatch, metric):
    semantic = metric.net.network.semantic
    features = semantic.text_features
    monkeypatch.setattr(semantic, 'text_features', lambda *given: features(*given).mean(1, keepdim=True))


def without_mask(monkeypatch, metric):
    semantic = metric.net.network.semantic
    features = semantic.text_features
    monkeypatch.setattr(semantic, 'text_features', lambda ids, mask, image: features(ids, torch.ones_like(mask), image))


def longer_prompts(monkeypatch, metric):
    monkeypatch.setattr(imagereward, 'PROMPT_TOKENS', 40)


def activations_in_the_head(monkeypatch, metric):
    metric.net.network.head.insert(1, torch.nn.ReLU())


def bilinear(monkeypatch, metric):
    def view(image, size):
        picture = resize(image, [size], interpolation=InterpolationMode.BILINEAR)
        return pillow_view(picture, size)

    monkeypatch.setattr(imagereward, 'pillow_view', view)


def squeezed_instead_of_cropped(monkeypatch, metric):
    monkeypatch.setattr(
        imagereward, 'pillow_view', lambda image, size: semantic_view(resize(image, [size, size]), size)
    )


def without_rounding(monkeypatch, metric):
    monkeypatch.setattr(imagereward, 'pillow_view', semantic_view)


WRONG = [
    without_normalisation,
    another_mean_of_rewards,
    another_deviation_of_rewards,
    mean_over_tokens,
    without_mask,
    longer_prompts,
    activations_in_the_head,
    bilinear,
    squeezed_instead_of_cropped,
    without_rounding,
]


@quiet
@pytest.mark.parametrize('wrong', WRONG)
def test_a_wrong_step_fails(metric, monkeypatch, wrong):
    wrong(monkeypatch, metric)
    assert difference(metric) > 10 * TOLERANCE


def test_a_batch_gives_a_column_and_each_score_is_its_own(metric, images):
    prompts = [CAT, 'a dog', 'two birds']
    together = metric(images, caption_list=prompts)
    assert together.shape == (3, 1)
    alone = torch.cat([metric(images[i : i + 1], caption_list=prompts[i : i + 1]) for i in (2, 0, 1)])
    assert together[[2, 0, 1]].equal(alone)
    metric.train()
    assert metric(images, caption_list=prompts).equal(together)


def test_many_at_once_score_as_one_by_one(metric, images, monkeypatch):
    one_by_one = metric(images, caption_list=[CAT] * 3)
    monkeypatch.setattr(imagereward, 'images_at_once', lambda device: 2)  # as on an accelerator
    assert metric(images, caption_list=[CAT] * 3).allclose(one_by_one, atol=TOLERANCE)


def test_a_picture_is_seen_as_a_person_sees_it(metric):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels, 'RGBA')
    on_white = Image.alpha_composite(Image.new('RGBA', picture.size, 'white'), picture).convert('RGB')
    scores = metric([picture, on_white], caption_list=[CAT] * 2)
    assert scores[0].equal(scores[1])


def test_a_tensor_scores_nearly_as_its_picture(metric):
    picture = pictures()[0]
    tensor = to_image(picture)[None] / 255
    apart = metric(tensor, caption_list=[CAT]) - metric(picture, caption_list=[CAT])
    assert abs(float(apart)) < 0.02


def test_gradients_reach_the_image(image_reward_file, images):
    metric = pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file), as_loss=True)
    images.requires_grad_()
    metric(images, caption_list=[CAT] * 3).sum().backward()
    assert (images.grad != 0).float().mean() > 0.3


def test_a_strip_is_cut_before_it_is_enlarged(metric):
    strip = Image.fromarray(np.zeros((2, 40000, 3), np.uint8))
    assert metric(strip, caption_list=[CAT]).isfinite().all()
    assert pillow_view(to_image(strip), 48).shape == (3, 48, 48)


def test_prompts_that_are_cut_are_told(metric, images):
    with pytest.warns(UserWarning, match='1 of 3 prompts were cut .by 15 tokens at most. to 35 tokens'):
        metric(images, caption_list=[CAT, PROMPTS[3], 'a dog'])
    _, details = metric(images, caption_list=[CAT, PROMPTS[3], 'a dog'], return_details=True)
    assert details.cut_tokens == [0, 15, 0]


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({}, 'No prompt was given'),
        ({'caption_list': [CAT]}, '1 prompts were given for 3 images'),
        ({'caption_list': [CAT, None, CAT]}, 'Prompt 1 is None'),
    ],
)
def test_prompts_that_do_not_fit_are_refused(metric, images, options, said):
    with pytest.raises(ValueError, match=said):
        metric(images, **options)


def test_an_image_brings_its_prompt(metric, tmp_path):
    path = tmp_path / 'cat.png'
    pictures()[0].save(path)
    with pytest.raises(PromptError, match=r'cat\.png: no prompt was given'):
        metric(str(path))
    path.with_suffix('.txt').write_text(CAT)
    assert metric(str(path)).item() == metric(str(path), caption_list=[CAT]).item()


def test_a_file_that_is_no_image_is_named(metric, tmp_path):
    (tmp_path / 'a.png').write_text('no image')
    with pytest.raises(ImageError, match='no image that Pillow can read'):
        metric(str(tmp_path / 'a.png'), caption_list=[CAT])


@pytest.mark.parametrize('dtype', ['float16', 'int8', 'double'])
def test_another_dtype_is_refused(image_reward_file, dtype):
    with pytest.raises(OptionError, match=f"dtype is {dtype!r}: it must be 'auto', 'float32' or 'bfloat16'"):
        ImageRewardMetric(str(image_reward_file), dtype)


def test_bfloat16_scores_nearly_the_same(image_reward_file, metric, images):
    half = ImageRewardMetric(str(image_reward_file), 'bfloat16')
    exact, rounded = (each(images, caption_list=[CAT] * 3) for each in (metric, half))
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.1
    fastest = str(fast_dtype(torch.device('cpu'))).removeprefix('torch.')
    assert ImageRewardMetric(str(image_reward_file), 'auto').made_by['dtype'] == fastest


def test_it_says_what_a_score_depends_on(metric, image_reward_weights, tmp_path):
    image_reward_weights['mlp.layers.7.bias'] += 1
    torch.save(image_reward_weights, tmp_path / 'other.pt')
    other = ImageRewardMetric(str(tmp_path / 'other.pt'))
    made_by = metric.net.made_by
    assert made_by['dtype'] == 'float32'
    assert {name for name in made_by if other.made_by[name] != made_by[name]} == {'weights'}


def test_pyiqa_knows_which_way_is_better(metric):
    assert not metric.lower_better
    assert 'imagereward' in pyiqa.list_models(metric_mode='NR')
