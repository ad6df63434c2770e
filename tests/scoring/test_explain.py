"""What an explanation says is what the network answers when a place or a word is left out; and the figure of it."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import COMPACT_LIKE, TINY_BLIP, config, let_all_count
from typer.testing import CliRunner

from pyiqa_moeagiqa.archs.metric_arch import MoEAGIQAMetric
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, read, save
from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.scoring.explain import Explanation, ExplanationError, explain, read_words
from pyiqa_moeagiqa.scoring.explain_command import show
from pyiqa_moeagiqa.scoring.explain_figure import draw, write_figure
from pyiqa_moeagiqa.scoring.sources import PromptChoice, SourceError

PROMPT = 'a cat in the snow'
KINDS = {
    'bert': {},
    'view': {'view_is_crop': True, 'token_pool': 2, 'crops': 3},
    'blip': TINY_BLIP | {'prior': True, 'crops': 15, 'targets': ('quality',)},
    'visual': {'branches': 'visual', 'matching': 0},
    'semantic': {'branches': 'semantic', 'matching': 0},
    'compact': COMPACT_LIKE | {'norm_layers': False},
    'linear visual': {'branches': 'visual', 'matching': 0, 'linear': True, 'crop_scales': (80, 0)},
    'gated semantic': {'branches': 'semantic', 'matching_gates': True, 'crop_scales': (80, 0), 'crop_weights': (2, 1)},
}


@pytest.fixture(scope='module')
def metrics(tmp_path_factory):
    """A tiny metric of each kind; the experts' weights are large, so that all matters."""
    made = {}
    for name, changes in KINDS.items():
        torch.manual_seed(0)
        network = MoEAGIQA(config(**changes))
        for parameter in network.experts.parameters():
            parameter.data *= 3
        let_all_count(network)
        path = tmp_path_factory.mktemp(name) / f'{name}.safetensors'
        save(Checkpoint(network.config, network.state_dict(), {'model_name': name}), path)
        made[name] = MoEAGIQAMetric(pretrained_model_path=str(path))
    return made


@pytest.mark.parametrize('kind', ['bert', 'view', 'blip', 'visual'])
@torch.no_grad()
def test_a_place_gives_what_the_crop_loses_without_it(metrics, pictures, kind):
    metric = metrics[kind]
    explanation = explain(metric, str(pictures / 'a.png'), PROMPT)
    fused = []
    network = metric.network
    hooked = network.fusion if kind != 'visual' else network.norm
    handle = hooked.register_forward_hook(lambda module, given, answer: fused.append(answer))
    _, details = metric(str(pictures / 'a.png'), [PROMPT], return_details=True)
    handle.remove()
    crops, tokens = len(explanation.names), explanation.places[0].numel()
    assert fused[0].shape[1] == crops * tokens
    side = int(tokens**0.5)
    for crop, place in ((0, 0), (crops - 1, tokens - 1), (crops // 2, 1)):
        own = fused[0][0].unflatten(0, (crops, tokens))[crop]
        without = torch.cat([own[:place], own[place + 1 :]]).mean(dim=0)
        experts = network.experts['quality']
        expected = experts(own.mean(dim=0)).score - experts(without).score
        assert abs(expected) > 1e-6
        assert explanation.places[crop, place // side, place % side] == pytest.approx(
            expected.item(), rel=1e-3, abs=1e-6
        )
    assert torch.equal(explanation.details.crop_scores, details.crop_scores)


@pytest.mark.parametrize('kind', ['compact', 'linear visual'])
@torch.no_grad()
def test_a_place_gives_its_share_of_the_linear_score_too(metrics, pictures, kind):
    metric = metrics[kind]
    network, seen = metric.network, {}
    explanation = explain(metric, str(pictures / 'a.png'), PROMPT)
    hooked = {'fused': network.fusion if kind == 'compact' else network.norm}
    if kind == 'compact':
        hooked['matching'] = network.matching
    handles = [
        module.register_forward_hook(lambda module, given, answer, name=name: seen.update({name: answer}))
        for name, module in hooked.items()
    ]
    encode = network.encode
    network.encode = lambda *given: seen.setdefault('features', encode(*given))
    metric(str(pictures / 'a.png'), [PROMPT])
    del network.encode
    for handle in handles:
        handle.remove()
    crops, opened = len(explanation.names), 1.0
    fused = seen['fused'][0].unflatten(0, (crops, -1))
    degradation = seen['features'].degradation[0].flatten(2).transpose(1, 2)  # (crops, tokens, D)
    if kind == 'compact':
        image, prompt = seen['matching']
        matching = network.matching
        cosine = (image * prompt).sum()
        opened = matching.gain[0] * torch.sigmoid(matching.steepness[0] * (cosine - matching.threshold[0]))
        assert opened not in (0, 1)
    experts, tokens = network.experts['quality'], fused.shape[1]
    for crop, place in ((0, 0), (crops - 1, tokens - 1), (crops // 2, 1)):
        of_view = kind == 'compact' and crop == 0
        linear = network.linear.view if of_view else network.linear.crops
        others = [token for token in range(tokens) if token != place]
        with_it, without = (
            experts(fused[crop][some].mean(0)).score + linear(degradation[crop][some].mean(0))[0]
            for some in (list(range(tokens)), others)
        )
        expected = (opened * (with_it - without)).item()
        assert abs(expected) > 1e-6
        assert explanation.places[crop].flatten()[place] == pytest.approx(expected, rel=1e-3, abs=2e-6)


def test_what_crops_of_scales_and_a_whole_view_look_at(metrics, pictures):
    explanation = explain(metrics['compact'], str(pictures / 'a.png'), PROMPT)  # 70 high, 90 wide
    assert explanation.names == ['view', '1', '2', '3']
    assert explanation.boxes == [(-10, 0, 90), (4, 14, 63), (0, 10, 70), (3, 13, 64)]
    shown = explanation.place_map()
    assert shown.shape == (70, 90)
    assert np.isfinite(shown).all()  # nothing of the picture is left out


def test_the_whole_view_of_a_strip_is_its_middle(metrics):
    explanation = explain(metrics['compact'], Image.new('RGB', (300, 30)), PROMPT)
    assert explanation.boxes[0] == (-45, 90, 120)
    shown = explanation.place_map()
    assert np.isfinite(shown[:, 90:210]).all()
    assert np.isnan(shown[:, :60]).all()


def test_the_frame_of_the_whole_view_is_drawn_within_the_picture(metrics, pictures):
    axes = draw(explain(metrics['compact'], str(pictures / 'a.png'), PROMPT)).axes[0]
    frames = [patch.get_bbox() for patch in axes.patches]
    assert (frames[0].x0, frames[0].y0, frames[0].x1, frames[0].y1) == (0, 0, 90, 70)
    (label,) = [text for text in axes.texts if text.get_text().startswith('view')]
    assert label.get_position()[1] == 70


@pytest.mark.parametrize('kind', ['bert', 'view', 'blip', 'semantic', 'compact', 'gated semantic'])
def test_a_word_gives_what_the_score_loses_without_it(metrics, pictures, kind):
    explanation = explain(metrics[kind], str(pictures / 'b.jpg'), PROMPT)
    score = metrics[kind](str(pictures / 'b.jpg'), [PROMPT]).item()
    assert explanation.score == pytest.approx(score)
    assert explanation.words == PROMPT.split()
    for number, share in enumerate(explanation.word_shares):
        words = PROMPT.split()
        words.pop(number)
        without = metrics[kind](str(pictures / 'b.jpg'), [' '.join(words)]).item()
        assert share == pytest.approx(score - without, abs=1e-6)
    assert max(map(abs, explanation.word_shares)) > 1e-5


def test_the_image_is_encoded_once(metrics, pictures, monkeypatch):
    network, calls = metrics['bert'].network, []
    encode = network.encode
    monkeypatch.setattr(network, 'encode', lambda *given: calls.append(1) or encode(*given))
    explain(metrics['bert'], str(pictures / 'sub/c.webp'), 'many words ' * 12)
    assert len(calls) == 1


def test_words_that_do_not_fit_are_not_read():
    assert read_words('one two', 35) == (['one', 'two'], [])
    assert read_words('one two  three\nfour', 5) == (['one', 'two', 'three'], ['four'])
    words, unread = read_words('hyperrealistically ' + 'so ' * 40, 35)
    assert len(words) + len(unread) == 41
    assert read_words('', 35) == ([], [])


def test_an_unread_word_has_no_share_and_the_last_read_one_has(metrics, pictures):
    prompt = ' '.join(f'word{n}' for n in range(60))
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), prompt)
    assert explanation.unread
    assert explanation.words + explanation.unread == prompt.split()
    assert explanation.word_shares[-1] != 0


def hand_made(boxes, places, size=(10, 20)) -> Explanation:
    details = SimpleNamespace(scores={'quality': torch.tensor([[0.5]])})
    image = torch.zeros(3, *size, dtype=torch.uint8)
    return Explanation(image, '', 'quality', details, ['1', '2'], boxes, torch.tensor(places), [], [], [])


def test_the_map_is_the_mean_where_crops_overlap_and_nothing_where_none_looks():
    places = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 5.0], [5.0, 5.0]]]
    shown = hand_made([(0, 0, 8), (4, 4, 8)], places).place_map()
    assert shown.shape == (10, 20)
    assert (shown[:4, :4] == 1).all()
    assert (shown[:4, 4:8] == 2).all()
    assert (shown[4:8, :4] == 3).all()
    assert (shown[4:8, 4:8] == (4 + 5) / 2).all()
    assert (shown[8:, 4:12] == 5).all()
    assert np.isnan(shown[:4, 8:]).all()
    assert np.isnan(shown[:, 12:]).all()


def test_a_large_image_has_a_small_map():
    shown = hand_made([(0, 0, 4000), (0, 4000, 4000)], [[[1.0]], [[3.0]]], (4000, 8000)).place_map()
    assert shown.shape == (400, 800)
    assert (shown[:, :400] == 1).all()
    assert (shown[:, 400:] == 3).all()


def test_the_view_is_the_square_in_the_middle(metrics, pictures):
    explanation = explain(metrics['view'], str(pictures / 'a.png'), PROMPT)  # 70 high, 90 wide
    assert explanation.names == ['view', '1', '2', '3']
    assert explanation.boxes[0] == (0, 10, 70)


@pytest.mark.parametrize('kind', list(KINDS))
@pytest.mark.parametrize('size', [(90, 70), (300, 60), (40, 30)])
def test_every_kind_is_drawn(metrics, tmp_path, kind, size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    explanation = explain(metrics[kind], Image.fromarray(pixels), 'a $5 cat_ {\\x} 猫 ' * 3)
    write_figure(explanation, tmp_path / 'e.png')
    with Image.open(tmp_path / 'e.png') as image:
        assert image.format == 'PNG'
        assert 1000 < image.size[0] < 2000
    titles = ' '.join(axes.get_title(loc='left') for axes in draw(explanation).axes)
    assert ('Places' in titles) == ('semantic' not in kind)
    assert ('Words' in titles) == ('visual' not in kind)
    assert 'Gate' in titles
    json.dumps(explanation.as_dict())


def test_other_metrics_are_not_explained():
    with pytest.raises(ExplanationError, match='no metric of this package'):
        explain(torch.nn.Identity(), 'a.png', PROMPT)


def run(*arguments):
    return CliRunner().invoke(app, ['explain', *map(str, arguments)])


def test_the_command_draws_and_prints(tiny_checkpoint, pictures, tmp_path):
    output = tmp_path / 'new' / 'e.svg'
    result = run(
        pictures / 'a.png',
        '--prompt',
        PROMPT,
        '--weights',
        tiny_checkpoint,
        '--target',
        'alignment',
        '--output',
        output,
        '--json',
    )
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)
    assert numbers['target'] == 'alignment'
    assert [word for word, _ in numbers['words']] == PROMPT.split()
    assert output.read_text().startswith('<?xml')


def test_misuse_is_one_sentence(tiny_checkpoint, pictures, tmp_path):
    image, weights = pictures / 'a.png', ('--weights', tiny_checkpoint)
    (tmp_path / 'p.csv').write_text('path,prompt\nother.png,a dog\n')
    for arguments, said in (
        ((image, *weights), 'there is no prompt for it'),
        ((image, '--prompts', tmp_path / 'p.csv', *weights), 'there is no prompt for it'),
        ((pictures, '--prompt', 'x', *weights), 'it is a folder'),
        ((pictures / '*', '--prompt', 'x', *weights), 'one at a time'),
        ((image, '--prompt', 'x', '--output', 'e.gif', *weights), 'must end in .png'),
        ((image, '--prompt', 'x', '--target', 'beauty', *weights), "target is 'beauty'"),
        ((tmp_path / 'p.csv', '--prompt', 'x', *weights), 'no image that Pillow can read'),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        (line,) = result.stderr.splitlines()
        assert said in line


def test_autocast_around_an_explanation_does_not_matter(metrics, pictures):
    expected = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT)
    with torch.autocast('cpu', torch.bfloat16):
        explanation = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT)
    assert explanation.word_shares == expected.word_shares
    assert explanation.places.equal(expected.places)


def test_a_graph_cannot_be_explained(metrics):
    metric = copy.deepcopy(metrics['bert'])
    metric.network = torch.nn.Identity()  # in the place of ONNX Runtime's
    with pytest.raises(ExplanationError, match='an ONNX graph cannot be explained; give the checkpoint'):
        explain(metric, 'a.png', PROMPT)


@pytest.mark.parametrize('prompt', [r'$\frac{ <b>x</b> $_{', 'a\x1b[31m cat\n$y_{$', '雪中的猫 🐱', '$' * 500])
def test_a_prompt_is_no_formula(metrics, pictures, tmp_path, prompt):
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), prompt)
    explanation.target, explanation.details.scores['$t_{$'] = '$t_{$', explanation.details.scores['quality']
    explanation.details.scores.pop('alignment')
    write_figure(explanation, tmp_path / 'e.svg')
    assert '\x1b' not in (tmp_path / 'e.svg').read_text()


def test_texts_that_may_be_the_prompt_are_named(tmp_path):
    def sampled(number, text):
        sampler = {'seed': 1, 'steps': 9, 'positive': [f'{number}1', 0], 'latent_image': ['5', 0]}
        parts = (
            ('KSampler', sampler),
            ('CLIPTextEncode', {'text': text}),
            ('SaveImage', {'images': [f'{number}0', 0]}),
        )
        return {
            f'{number}{place}': {'class_type': kind, 'inputs': inputs} for place, (kind, inputs) in enumerate(parts)
        }

    info = PngInfo()
    info.add_text('prompt', json.dumps(sampled(1, 'a lighthouse') | sampled(2, 'a harbour')))
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.png', pnginfo=info)
    with pytest.raises(SourceError, match='do not tell which of these it was made from: "a lighthouse"; "a harbour"'):
        show(str(tmp_path / 'a.png'), PromptChoice(), tmp_path / 'a.svg', {}, as_json=False)


def test_mos_are_in_raters_units(tiny_checkpoint, pictures, tmp_path):
    checkpoint = read(tiny_checkpoint)
    checkpoint.info |= {'mos_range': [0, 5], 'interval': {'quality': [-0.1, 0.2]}}
    net = MoEAGIQAMetric(pretrained_model_path=str(save(checkpoint, tmp_path / 'm.safetensors')))
    explanation = explain(net, str(pictures / 'a.png'), PROMPT)
    score = explanation.score
    expected = f'a MOS of {5 * score:.2f}, and {5 * (score - 0.1):.2f} to {5 * (score + 0.2):.2f} for 80 %'
    texts = ' '.join(text.get_text() for text in draw(explanation).texts)
    assert expected in texts
    assert f'alignment {explanation.details.scores["alignment"].item():.3f}: a MOS of' in texts
