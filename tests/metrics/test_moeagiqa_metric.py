"""The metric: a score is a pure function of its image and prompt, and says how it came about."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyiqa
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import COMPACT_LIKE, TINY_BLIP, made, saved

from pyiqa_moeagiqa.archs.hardware import fast_dtype, fused_attention_pays
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.checkpoints import read, save
from pyiqa_moeagiqa.images.read import PromptError
from pyiqa_moeagiqa.images.views import crop_positions, take_crops, whole_view
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.options import OptionError

CAT = 'a cat in the snow'


@pytest.fixture(scope='module')
def metric(tiny_checkpoint):
    return pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))


@pytest.fixture
def images():
    return torch.rand(3, 3, 90, 130, generator=torch.Generator().manual_seed(1))


def test_a_batch_gives_a_column(metric, images):
    scores = metric(images, caption_list=[CAT] * 3)
    assert scores.shape == (3, 1)
    assert scores.isfinite().all()


def test_the_same_answer_whatever_came_before_and_shares_the_batch(metric, images):
    prompts = [CAT, 'a dog', 'two birds']
    together = metric(images, caption_list=prompts)
    torch.manual_seed(99)
    torch.rand(7)
    alone = torch.cat([metric(images[i : i + 1], caption_list=prompts[i : i + 1]) for i in (2, 0, 1)])
    assert together[[2, 0, 1]].equal(alone)
    metric.train()
    assert metric(images, caption_list=prompts).equal(together)


def counted(network, monkeypatch):
    """Calls of the encoders: of images, and of prompts."""
    calls = {'encode': 0, 'words': 0}

    def count(owner, name):
        real = getattr(owner, name)

        def call(*args):
            calls[name] += 1
            return real(*args)

        monkeypatch.setattr(owner, name, call)

    count(network, 'encode')
    count(network.semantic, 'words')
    return calls


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'picture.png')
    return str(tmp_path / 'picture.png')


def test_the_matrix_reads_each_image_and_each_prompt_once(tiny_checkpoint, picture, images, monkeypatch):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    prompts, pictures = [CAT, 'a dog', 'two birds'], [picture, images[0]]
    expected = [[metric(image, caption_list=[prompt]).item() for prompt in prompts] for image in pictures]
    calls = counted(metric.net.network, monkeypatch)
    assert metric.net.matrix(pictures, prompts).tolist() == expected
    assert calls == {'encode': 2, 'words': 3}
    assert metric.net.matrix([], prompts).shape == (0, 3)
    assert metric.net.matrix(pictures, []).shape == (2, 0)


def test_the_matrix_of_prompts_in_windows(tiny_checkpoint, picture):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint), long_prompts='window')
    prompts = [CAT, 'a dog, ' * 40]
    expected = [metric(picture, caption_list=[prompt]).item() for prompt in prompts]
    assert metric.net.matrix(picture, prompts).tolist() == [expected]


def test_a_prompt_in_windows_encodes_its_image_once(tiny_checkpoint, picture, monkeypatch):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint), long_prompts='window')
    calls = counted(metric.net.network, monkeypatch)
    metric([picture, picture], caption_list=['a dog, ' * 40, CAT])
    assert calls['encode'] == 2


def test_in_the_matrix_an_image_passes_blip_once(tmp_path, picture):
    path = saved(made(**TINY_BLIP), tmp_path / 'v1.safetensors')
    metric, prompts, calls = MoEAGIQAMetric(pretrained_model_path=str(path)), [CAT, 'a dog'], []
    expected = [metric(picture, caption_list=[prompt]).item() for prompt in prompts]
    for layer in metric.network.semantic.vision.encoder.layers:
        layer.register_forward_hook(lambda *call: calls.append(1))
    assert metric.matrix(picture, prompts).tolist() == [expected]
    assert len(calls) == 2


def test_the_users_own_tensor_may_change_between_calls(metric, images):
    image = images[:1].clone()
    before = metric(image, caption_list=[CAT])
    image.zero_()
    assert not metric(image, caption_list=[CAT]).equal(before)


def test_threads_that_share_a_metric_get_their_own_scores(metric, tmp_path):
    random, paths = np.random.default_rng(5), []
    for number in range(12):
        path = tmp_path / f'{number}.png'
        Image.fromarray(random.integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    expected = [float(metric(path, caption_list=[f'prompt {path}'])) for path in paths]
    with ThreadPoolExecutor(6) as pool:
        scores = list(pool.map(lambda path: float(metric(path, caption_list=[f'prompt {path}'])), paths * 3))
    assert scores == expected * 3


def test_a_metric_made_in_inference_mode_works(tiny_checkpoint, picture, metric):
    with torch.inference_mode():
        other = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint))
        assert other(picture, caption_list=[CAT]).equal(metric(picture, caption_list=[CAT]))


@pytest.mark.parametrize('name', ['visual.blocks.0.mlp.fc1.bias', 'semantic.text.embeddings.LayerNorm.weight'])
def test_other_weights_give_other_scores(tiny_checkpoint, picture, name):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    before = metric(picture, caption_list=[CAT])
    weights = metric.net.state_dict()
    metric.net.load_state_dict(weights | {f'network.{name}': torch.rand_like(weights[f'network.{name}'])})
    after = metric(picture, caption_list=[CAT])
    assert not after.equal(before)
    fresh = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))
    fresh.net.load_state_dict(metric.net.state_dict())
    assert fresh(picture, caption_list=[CAT]).equal(after)


def test_a_batch_as_on_an_accelerator_gives_the_same(metric, images, picture, monkeypatch):
    mixed, prompts = [*images, picture], [CAT, 'a dog', CAT, 'two birds']
    alone, details = metric(mixed, caption_list=prompts, return_details=True)
    monkeypatch.setattr('pyiqa_moeagiqa.metrics.moeagiqa.images_at_once', lambda device: 3)
    together, more = metric(mixed, caption_list=prompts, return_details=True)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(more.crop_scores, details.crop_scores, atol=1e-5, rtol=0)
    assert more.chosen.equal(details.chosen)


def test_fast_is_one_crop_and_the_fast_dtype_unless_other_is_said(tiny_checkpoint):
    fast = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), fast=True)
    assert (fast.crops, fast.dtype) == (1, 'auto')
    said = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), fast=True, crops=2, dtype='float32')
    assert (said.crops, said.dtype) == (2, 'float32')
    assert said.made_by['dtype'] == 'float32'


def test_unequal_sizes_in_one_call(metric, images):
    mixed = [torch.rand(3, 1, 1), images[0], torch.rand(1, 500, 40), Image.new('CMYK', (70, 50))]
    scores = metric(mixed, caption_list=[CAT] * 4)
    assert scores.shape == (4, 1)
    assert scores[1].equal(metric(images[:1], caption_list=[CAT])[0])


def test_path_and_pil_give_the_tensors_score(metric, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    expected = metric(tensor, caption_list=[CAT])
    for source in (str(tmp_path / 'a.png'), tmp_path / 'a.png', Image.fromarray(pixels)):
        torch.testing.assert_close(metric(source, caption_list=[CAT]), expected, atol=1e-6, rtol=0)


def test_details_add_up(metric, images):
    score, details = metric(images, caption_list=[CAT, CAT, 'word ' * 10_000], return_details=True)
    torch.testing.assert_close(details.crop_scores.mean(1, keepdim=True), score)
    assert details.scores['quality'].equal(score)
    assert details.scores['alignment'].shape == (3, 1)
    assert details.gate.shape == (3, 2, 4)
    assert details.chosen.shape == (3, 2, 3)
    assert details.crop_positions[0].equal(crop_positions(90, 130, 64, 2))
    assert details.cut_tokens == [0, 0, 10_002 - 35]


def test_a_calibrated_checkpoint_says_from_where_to_where_the_mos_lies(metric, tiny_checkpoint, images, tmp_path):
    checkpoint = read(tiny_checkpoint)
    checkpoint.info['interval'] = {'alignment': [-0.25, 0.125]}
    path = save(checkpoint, tmp_path / 'calibrated.safetensors')
    calibrated = MoEAGIQAMetric(pretrained_model_path=str(path))
    _, details = calibrated(images, caption_list=[CAT] * 3, return_details=True)
    low, high = details.interval['alignment'].T
    alignment = details.scores['alignment'].flatten()
    torch.testing.assert_close(alignment - low, torch.full((3,), 0.25))
    torch.testing.assert_close(high - alignment, torch.full((3,), 0.125))
    assert 'quality' not in details.interval
    assert metric(images, caption_list=[CAT] * 3, return_details=True)[1].interval == {}


def test_a_cut_prompt_is_warned_of(metric, images):
    with pytest.warns(UserWarning, match='1 of 1 prompts were cut'):
        metric(images[:1], caption_list=['word ' * 100])


@pytest.mark.parametrize('prompt', ['🐱❄️', 'кошка в снегу', '雪の中の猫', 'None', 'NA', "'; DROP TABLE"])
def test_any_script_is_scored(metric, images, prompt):
    assert metric(images[:1], caption_list=[prompt]).isfinite().all()


def test_alignment_is_another_answer(metric, images, tiny_checkpoint):
    quality = metric(images, caption_list=[CAT] * 3)
    second = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint), target='alignment')
    alignment = second(images, caption_list=[CAT] * 3)
    _, details = metric(images, caption_list=[CAT] * 3, return_details=True)
    assert not alignment.equal(quality)
    assert alignment.equal(details.scores['alignment'])


def test_given_crop_positions_are_taken(metric, images):
    places = torch.tensor([[0, 0], [26, 66], [3, 4]])
    _, details = metric(images[:1], caption_list=[CAT], crop_positions=places, return_details=True)
    assert details.crop_positions[0].equal(places)
    default = crop_positions(90, 130, 64, 2)
    expected = metric(images[:1], caption_list=[CAT])
    assert metric(images[:1], caption_list=[CAT], crop_positions=default).equal(expected)


@pytest.mark.parametrize(
    'places', [torch.tensor([[27, 0]]), torch.tensor([[-1, 0]]), torch.tensor([1, 2]), torch.rand(2, 2), []]
)
def test_impossible_crop_positions_are_refused(metric, images, places):
    with pytest.raises(ValueError, match='crop_positions has') as error:
        metric(images[:1], caption_list=[CAT], crop_positions=places)
    if len(places) == 1:
        assert 'for crop 1: in an image of 90 x 130 pixels that crop, of 64 x 64, starts at (0, 0) to (26, 66).' in str(
            error.value
        )


@pytest.fixture(scope='module')
def compact_like(tmp_path_factory):
    """The file of a tiny network with all that the compact one has; its gates count."""
    network = made(**COMPACT_LIKE)
    return saved(network, tmp_path_factory.mktemp('compact') / 'compact_like.safetensors'), network.eval()


@torch.no_grad()
def test_a_network_as_the_compact_one_is_what_its_checkpoint_says(compact_like, images):
    path, network = compact_like
    metric = MoEAGIQAMetric(pretrained_model_path=str(path))
    assert metric.network.config == network.config
    state = metric.network.state_dict()
    assert {'linear.view.weight', 'linear.crops.bias', 'matching.floor', 'matching.steepness'} <= set(state)
    # The metric's scores, step by step from the pixels.
    scores, details = metric(images, caption_list=[CAT] * 3, return_details=True)
    places = crop_positions(90, 130, 64, 3, (80, 60, 0))
    crops = torch.stack([take_crops(image, places, 64, (80, 60, 0)) for image in images])
    views = torch.stack([whole_view(image, 64) for image in images])
    ids, mask, _ = tokenize([CAT] * 3, 35)
    answer = network(crops, views, ids, mask).targets['quality'].score
    view, first, second, third = answer.T
    expected = (view + 3 * (3 * first + 2 * second + third) / 6) / 4
    torch.testing.assert_close(scores.flatten(), expected, atol=0.01, rtol=0)  # a checkpoint's encoders are rounded
    torch.testing.assert_close(details.crop_scores, answer, atol=0.01, rtol=0)
    assert details.crop_positions[0].equal(places)
    assert expected.std() > 1e-3


@pytest.mark.parametrize('crops', [1, 15])
def test_other_numbers_of_crops_take_turns_among_scales(compact_like, images, crops):
    metric = MoEAGIQAMetric(pretrained_model_path=str(compact_like[0]), crops=crops)
    scores, details = metric(images, caption_list=[CAT] * 3, return_details=True)
    assert details.crop_scores.shape == (3, 1 + crops)
    weights = torch.tensor(([3.0, 2.0, 1.0] * 5)[:crops])
    mean = (details.crop_scores[:, 1:] * weights).sum(dim=1) / weights.sum()
    torch.testing.assert_close(scores.flatten(), (details.crop_scores[:, 0] + 3 * mean) / 4)


def test_what_the_caller_has_set_rounds_no_weighted_mean(compact_like, images):
    metric = MoEAGIQAMetric(pretrained_model_path=str(compact_like[0]))
    expected = metric(images, caption_list=[CAT] * 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert metric(images, caption_list=[CAT] * 3).equal(expected)
    alone = torch.cat([metric(image[None], caption_list=[CAT]) for image in images])
    assert alone.equal(expected)


def test_a_network_as_the_compact_one_takes_any_picture(compact_like):
    metric = MoEAGIQAMetric(pretrained_model_path=str(compact_like[0]))
    given = [torch.rand(3, 1, 1), torch.rand(3, 2, 200), Image.new('L', (33, 50)), Image.new('RGB', (20_000, 3))]
    scores = metric(given, caption_list=[CAT] * 4)
    assert scores.shape == (4, 1)
    assert scores.isfinite().all()


def test_given_positions_are_of_the_crops_own_sides(compact_like, images):
    metric = MoEAGIQAMetric(pretrained_model_path=str(compact_like[0]))
    # Sides in 90 x 130 pixels: 64 * 108.17 / 80 = 87, and 64 * 108.17 / 60 = 115, which the picture has not: 90; 64.
    last = torch.tensor([[3, 43], [0, 40], [26, 66]])
    _, details = metric(images[:1], caption_list=[CAT], crop_positions=last, return_details=True)
    assert details.crop_positions[0].equal(last)
    with pytest.raises(ValueError, match=r'has \(1, 40\) for crop 2: .* that crop, of 90 x 90, .* to \(0, 40\)\.$'):
        metric(images[:1], caption_list=[CAT], crop_positions=last + torch.tensor([[0, 0], [1, 0], [0, 0]]))


def test_an_enlarged_picture_has_nearly_the_same_score(tmp_path):
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 6, 90), torch.linspace(0, 9, 130), indexing='ij')
    image = (torch.stack([y.sin(), x.cos(), (x + y).sin()]) / 2 + 0.5)[None]
    large = torch.nn.functional.interpolate(image, scale_factor=2, mode='bilinear', antialias=True).clamp(0, 1)
    apart = {}
    for name, changes in {'scales': {'crop_scales': (80, 60)}, 'own pixels': {}}.items():
        path = saved(made(linear=True, **changes), tmp_path / f'{name}.safetensors')
        metric = MoEAGIQAMetric(pretrained_model_path=str(path))
        apart[name] = (metric(image, caption_list=[CAT]) - metric(large, caption_list=[CAT])).abs().item()
    assert apart['scales'] < 0.3 * apart['own pixels']


def test_as_loss_all_of_the_picture_has_a_gradient(compact_like):
    metric = pyiqa.create_metric('moeagiqa', as_loss=True, pretrained_model_path=str(compact_like[0]))
    image = torch.rand(1, 3, 70, 100, requires_grad=True)
    metric(image, caption_list=[CAT]).backward()
    assert (image.grad.abs().sum(dim=1) > 0).all()


def test_the_number_of_crops_is_an_option(tiny_checkpoint, images):
    metric = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), crops=5)
    _, details = metric(images[:1], caption_list=[CAT], return_details=True)
    assert details.crop_scores.shape == (1, 5)


def test_as_loss_gives_the_image_a_gradient(tiny_checkpoint):
    metric = pyiqa.create_metric('moeagiqa', as_loss=True, pretrained_model_path=str(tiny_checkpoint))
    image = torch.rand(2, 3, 70, 70, requires_grad=True)
    metric(image, caption_list=[CAT, 'a dog']).backward()
    assert image.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in metric.net.parameters())


@pytest.mark.parametrize(('dtype', 'tolerance'), [('bfloat16', 0.05), ('float16', 0.02)])
def test_half_precision_is_close(tiny_checkpoint, images, metric, dtype, tolerance):
    half = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), dtype=dtype)
    torch.testing.assert_close(
        half(images, caption_list=[CAT] * 3), metric(images, caption_list=[CAT] * 3), atol=tolerance, rtol=0
    )


def test_auto_takes_bfloat16_only_where_the_hardware_has_it(monkeypatch):
    for name in ('_is_amx_tile_supported', '_is_avx512_bf16_supported'):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    cpu = torch.device('cpu')
    assert fast_dtype(cpu) == torch.float32
    assert fused_attention_pays(cpu, torch.float32)
    assert not fused_attention_pays(cpu, torch.bfloat16)
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: True)
    assert fast_dtype(cpu) == torch.bfloat16
    assert not fused_attention_pays(cpu, torch.bfloat16)
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: True)
    assert fast_dtype(cpu) == torch.bfloat16
    assert fused_attention_pays(cpu, torch.bfloat16)


def test_the_encoders_take_the_attention_that_pays(tiny_checkpoint, images, monkeypatch):
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: False)
    metric = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), dtype='bfloat16')
    metric(images, caption_list=[CAT] * 3)
    assert not any(block.attn.fused_attn for block in metric.network.visual.blocks)
    metric.dtype = 'float32'
    metric(images, caption_list=[CAT] * 3)
    assert all(block.attn.fused_attn for block in metric.network.visual.blocks)


@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a C++ compiler')
def test_compiled_encoders_give_the_same_scores(tiny_checkpoint, images, metric):
    torch.compiler.reset()
    compiled = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), compile=True)
    prompts, before = [CAT, 'a dog', 'two birds'], torch._dynamo.utils.counters['stats']['unique_graphs']
    torch.testing.assert_close(
        compiled(images, caption_list=prompts), metric(images, caption_list=prompts), atol=1e-5, rtol=0
    )
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > before


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'crops': 0}, 'crops is 0'),
        ({'crops': 2.5}, 'crops is 2.5'),
        ({'dtype': 'int8'}, "dtype is 'int8': it must be 'auto', 'float32'"),
        ({'target': 'beauty'}, 'this checkpoint scores quality, alignment'),
        ({'crop_size': 70}, 'crop_size is 70'),
    ],
)
def test_an_impossible_option_is_named(tiny_checkpoint, options, words):
    with pytest.raises(OptionError, match=words):
        MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), **options)


@pytest.mark.parametrize('prompts', [None, [], [CAT], [CAT, CAT, 3]])
def test_prompts_that_do_not_fit_are_refused(metric, images, prompts):
    with pytest.raises(ValueError, match='rompt'):
        metric(images, caption_list=prompts)


def test_pyiqa_knows_range_and_direction(metric):
    assert metric.metric_mode == 'NR'
    assert metric.lower_better is False
    assert metric.score_range == '~0, ~1'


def test_another_crop_size_is_an_option(tiny_checkpoint, images):
    metric = MoEAGIQAMetric(pretrained_model_path=str(tiny_checkpoint), crop_size=80)
    assert metric(images, caption_list=[CAT] * 3).shape == (3, 1)


def test_memory_stays_bounded_for_a_huge_strip(metric):
    assert metric(Image.new('RGB', (20_000, 30)), caption_list=[CAT]).isfinite().all()


@pytest.fixture
def with_prompt(pictures):
    """a.png with its prompt in its metadata, b.jpg with one beside it."""
    info = PngInfo()
    info.add_text('parameters', f'{CAT}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1')
    with Image.open(pictures / 'a.png') as image:
        image.save(pictures / 'a.png', pnginfo=info)
    (pictures / 'b.txt').write_text('a dog')
    return pictures


def test_images_bring_their_prompts(metric, with_prompt):
    one, other = (str(with_prompt / name) for name in ('a.png', 'b.jpg'))
    expected = metric([one, other], caption_list=[CAT, 'a dog'])
    assert metric([one, other]).equal(expected)
    assert metric(one).equal(expected[:1])
    assert metric(with_prompt / 'b.jpg').equal(expected[1:])
    assert metric((with_prompt / 'a.png').read_bytes()).equal(expected[:1])
    with Image.open(one) as image:
        assert metric(image).equal(expected[:1])
        assert metric(image.convert('RGB')).equal(expected[:1])
    assert not metric(one, caption_list=['a dog']).equal(expected[:1])


def test_an_image_without_a_prompt_is_named(metric, with_prompt):
    path = with_prompt / 'sub' / 'c.webp'
    with pytest.raises(PromptError, match=r'c.webp: no prompt was given, and there is none beside it \(c.txt\)'):
        metric([str(with_prompt / 'a.png'), str(path)])
    with Image.open(path) as image, pytest.raises(PromptError, match='image 0: no prompt was given'):
        metric(image)
    (with_prompt / 'sub' / 'c.txt').write_bytes(b'B\xe4r')
    with pytest.raises(PromptError, match=r'c.txt is not UTF-8 text; save it as UTF-8\.'):
        metric(str(path))
    with pytest.raises(PromptError, match='No prompt was given'):
        metric(torch.rand(1, 3, 70, 70))
