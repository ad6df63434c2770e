"""What people hand a metric: references, prompts in other containers, empty batches, stray values, options of other metrics."""

import re

import numpy as np
import pandas as pd
import pyiqa
import pytest
import torch
from PIL import Image

from pyiqa_moeagiqa.images.read import STRAY, ImageError, PromptError
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.metrics.notes import prompt_note, unknown_words
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.scoring.run import score_items
from pyiqa_moeagiqa.scoring.sources import Item

CAT = 'a cat in the snow'


@pytest.fixture(scope='module')
def make(tiny_checkpoint):
    return lambda **options: pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint), **options)


@pytest.fixture(scope='module')
def metric(make):
    return make()


@pytest.fixture
def images():
    return torch.rand(2, 3, 70, 80, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('ref', [CAT, [CAT, 'a dog'], (CAT,), np.array([CAT, CAT])])
def test_a_prompt_in_the_place_of_a_reference_is_refused(metric, images, ref):
    for more in ({}, {'caption_list': [CAT] * 2}):
        with pytest.raises(
            PromptError, match=r'ref is .*: a prompt is given by name, as in metric\(images, caption_list'
        ):
            metric(images, ref, **more)
    assert metric.net(images, [CAT, 'a dog']).equal(metric(images, caption_list=[CAT, 'a dog']))


def test_a_reference_image_is_refused(metric, images, pictures):
    for ref in (
        images,
        images.numpy(),
        Image.new('RGB', (9, 9)),
        str(pictures / 'a.png'),
        [str(pictures / 'a.png')],
        3,
    ):
        with pytest.raises(ImageError, match=r'ref is of type .*: this metric takes no reference image; leave it out'):
            metric(images, ref, caption_list=[CAT] * 2)
    with pytest.raises(PromptError, match='caption_list is of type Tensor: it must be a list of strings'):
        metric.net(images, images)


def test_pyiqas_own_metrics_keep_their_reference(images):
    assert pyiqa.create_metric('psnr')(images, images).shape == (2,)


@pytest.mark.parametrize(
    'wrap',
    [
        tuple,
        np.array,
        pd.Series,
        iter,
        lambda prompts: pd.Series(prompts, dtype='string'),
        lambda prompts: pd.Index(prompts),
    ],
)
def test_prompts_may_come_in_any_sequence(metric, images, wrap):
    prompts = [CAT, 'a dog']
    assert metric(images, caption_list=wrap(prompts)).equal(metric(images, caption_list=prompts))


def test_a_string_is_every_images_prompt(metric, images):
    assert metric(images, caption_list=CAT).equal(metric(images, caption_list=[CAT, CAT]))


@pytest.mark.parametrize(
    ('prompts', 'said'),
    [
        ({CAT, 'a dog'}, 'type set: it must be a list of strings, one per image'),
        ({'a': CAT, 'b': CAT}, 'type dict'),
        (b'ab', 'type bytes'),
        (3, 'type int'),
        ([CAT, None], 'Prompt 1 is None of type NoneType: it must be a string'),
        ([CAT, float('nan')], 'Prompt 1 is nan of type float'),
        ([CAT, b'a dog'], "Prompt 1 is b'a dog' of type bytes"),
        ([], '0 prompts were given for 2 images'),
    ],
)
def test_what_is_no_list_of_prompts_is_named(metric, images, prompts, said):
    with pytest.raises(PromptError, match=said):
        metric(images, caption_list=prompts)


@pytest.mark.parametrize('nothing', [torch.rand(0, 3, 70, 80), [], (), np.zeros((0, 70, 80, 3), np.uint8)])
@pytest.mark.parametrize('prompts', [None, [], CAT])
@pytest.mark.parametrize('options', [{}, {'long_prompts': 'window'}])
def test_no_images_have_no_scores(make, images, nothing, prompts, options):
    metric = make(**options)
    given = {} if prompts is None else {'caption_list': prompts}
    scores, details = metric.net(nothing, **given, return_details=True)
    some = metric(images, caption_list=CAT, return_details=True)[1]
    assert metric.net(nothing, **given).shape == scores.shape == (0, 1)
    assert scores.dtype == torch.float32
    for name in ('crop_scores', 'crop_positions', 'gate', 'chosen'):
        assert getattr(details, name).shape[1:] == getattr(some, name).shape[1:]
        assert getattr(details, name).dtype == getattr(some, name).dtype
    assert details.cut_tokens == []


def test_no_images_have_no_scores_in_pyiqas_way_and_of_imagereward(metric, image_reward_file):
    reward = pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file))
    for each in (metric, reward):
        assert each(torch.rand(0, 3, 70, 80), caption_list=[]).shape == (0, 1)
        assert each([], caption_list=[]).shape == (0, 1)


@pytest.mark.parametrize('device', ['cpu', torch.device('cpu')])
def test_a_device_may_be_named(make, pictures, device):
    metric = make(device=device)
    assert [result.score is None for result in score_items(metric, [Item(pictures / 'a.png', CAT)])] == [False]


@pytest.mark.parametrize('options', [{'as_loss': True}, {'check_input_range': False}])
@pytest.mark.parametrize('gradient', [False, True])
def test_values_may_stray_a_little_in_a_loss(make, images, options, gradient):
    metric = make(**options)
    images[0, 0, 0, 0], images[1, 2, 3, 3] = -STRAY + 0.01, 1 + STRAY - 0.01
    assert metric(images.clone().requires_grad_(gradient), caption_list=CAT).isfinite().all()
    images[0, 0, 0, 0] = -STRAY - 0.01
    with pytest.raises(
        ImageError, match=r'from -0.51 to .*: scale them to \[0, 1\]; here they may stray as far as -0.5 to 1.5'
    ):
        metric(images.clone().requires_grad_(gradient), caption_list=CAT)


@pytest.mark.parametrize('gradient', [False, True])
def test_values_may_not_stray_in_a_score(metric, images, gradient):
    images[0, 0, 0, 0] = -0.01
    for call in (metric, metric.net):
        with pytest.raises(ImageError, match=r'from -0.01 to .*: scale them to \[0, 1\]\.$'):
            call(images.clone().requires_grad_(gradient), caption_list=CAT)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'pretrained': False}, 'pretrained is False: a metric always has weights; leave it out, or give other weights with pretrained_model_path=FILE'),
        ({'pretrained': 'koniq10k'}, "pretrained is 'koniq10k': a metric always has weights"),
        ({'crop': 3}, "Unknown MoEAGIQAMetric option 'crop': did you mean 'crops'?"),
        ({'check_input_rang': False}, "'check_input_rang': did you mean 'check_input_range'?"),
        ({'beauty': 1}, "'beauty': known are model_name, pretrained_model_path, crops"),
        ({'fast': 'yes'}, "fast is 'yes': it must be true or false"),
        ({'compile': 2}, 'compile is 2: it must be true or false'),
        ({'crop_size': '252'}, "crop_size is '252': it must be a whole number"),
        ({'long_prompts': 'all'}, "long_prompts is 'all': it must be 'cut' or 'window'"),
        ({'dtype': torch.float16}, "dtype is torch.float16: it must be 'auto', 'float32'"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_named(make, options, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        make(**options)


def test_pretrained_as_pyiqas_metrics_have_it_is_taken(make, metric, images):
    assert make(pretrained=True)(images, caption_list=CAT).equal(metric(images, caption_list=CAT))


def test_imagereward_names_unknown_options_too(image_reward_file):
    for options, said in (({'pretrained': False}, 'pretrained is False'), ({'dtpye': 'auto'}, "did you mean 'dtype'")):
        with pytest.raises(OptionError, match=said):
            pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file), **options)


@pytest.mark.parametrize(
    ('prompt', 'unknown', 'words'),
    [
        ('a cat, in the snow!', 0, 5),
        ('고양이', 1, 1),
        ('🐱', 1, 1),
        ('🐱!!! ', 1, 1),
        ('你好，世界。', 3, 4),
        ('a cat 🐱', 1, 3),
        ('🐱 cat 🐶 🐭', 3, 4),
        ('!!!', 0, 0),
        ('кошка', 0, 1),
    ],
)
def test_words_that_the_text_encoder_does_not_know_are_counted(prompt, unknown, words):
    assert unknown_words(prompt) == (unknown, words)
    note = prompt_note(prompt)
    assert (note is not None) == (2 * unknown > words)
    if note:
        assert ('no word of its prompt is known' in note) == (unknown == words)


@pytest.mark.parametrize('name', ['moeagiqa', 'imagereward'])
def test_a_prompt_of_unknown_words_is_warned_of(
    metric, image_reward_file, images, pictures, name, recwarn, monkeypatch
):
    if name == 'imagereward':
        metric = pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file))
    metric(images, caption_list=[CAT, 'a cat 🐱'])
    assert not [warning for warning in recwarn if 'known' in str(warning.message)]
    with pytest.warns(UserWarning, match=r'^Image 1: no word of its prompt is known to the text encoder'):
        metric(images, caption_list=[CAT, '고양이'])
    with pytest.warns(UserWarning, match=r'^Image 0: 3 of 4 words of its prompt are unknown .* \(and 1 more\)\.$'):
        metric(images, caption_list=['🐱 cat 🐶 🐭', '고양이'])
    with pytest.warns(UserWarning, match=r'^Image 1: its prompt is empty') as said:
        metric(images, caption_list=[CAT, ' '])
    assert said[0].filename == __file__  # the user's own line
    for at_once in (1, 2):
        items = [Item(pictures / 'a.png', '고양이'), Item(pictures / 'b.jpg', CAT)]
        notes = [result.notes for result in score_items(metric, items, at_once=at_once)]
        assert notes == [(prompt_note('고양이'),), ()]


def test_a_metric_warns_of_frames_that_it_does_not_score(metric, tmp_path):
    frames = [Image.new('RGB', (70, 80), colour) for colour in ('red', 'blue')]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    for score in (lambda path: metric(path, caption_list=[CAT]), lambda path: metric.net.matrix(path, [CAT])):
        with pytest.warns(UserWarning, match=r'a\.gif has more than one frame') as said:
            score(tmp_path / 'a.gif')
        assert [warning.filename for warning in said] == [__file__]


def test_what_is_no_image_is_named(metric):
    with pytest.raises(ImageError, match='divide by 255'):
        metric(torch.zeros(1, 3, 70, 80, dtype=torch.uint8), caption_list=CAT)


def test_the_class_alone_takes_the_same(tiny_checkpoint, images, metric):
    net = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint))
    assert net(images, CAT).equal(metric(images, caption_list=CAT))
