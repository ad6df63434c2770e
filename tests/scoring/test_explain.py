"""What an explanation says is what the network answers when a place is blurred or a word left out; and the figure of it."""

import json

import numpy as np
import pytest
import torch
from command_line import refused, run
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tiny import COMPACT_LIKE, TINY_BLIP, made, saved

from pyiqa_moeagiqa.checkpoints import read, save
from pyiqa_moeagiqa.images.read import ImageBatch
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.scoring import explain_command, explain_figure
from pyiqa_moeagiqa.scoring.explain import ExplanationError, explain, read_words
from pyiqa_moeagiqa.scoring.explain_figure import draw, write_figure
from pyiqa_moeagiqa.scoring.occlusion import occluded
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


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope='module')
def metrics(tmp_path_factory):
    """A tiny metric of each kind; the experts' weights are large, so that all matters."""
    found = {}
    for name, changes in KINDS.items():
        network = made(**changes)
        for parameter in network.experts.parameters():
            parameter.data *= 3
        path = saved(network, tmp_path_factory.mktemp(name) / f'{name}.safetensors')
        found[name] = MoEAGIQAMetric(pretrained_model_path=str(path))
    return found


def test_a_place_gives_what_the_score_loses_where_it_is_blurred(metrics, pictures):
    metric = metrics['compact']
    explanation = explain(metric, str(pictures / 'a.png'), PROMPT)  # 70 high, 90 wide
    copies = list(occluded(explanation.image, (6, 8)))
    expected = explanation.score - metric(ImageBatch(copies), PROMPT)
    assert explanation.places.equal(expected.view(6, 8))
    assert explanation.places.std() > 1e-5
    assert torch.equal(explanation.details.scores['quality'], metric(str(pictures / 'a.png'), [PROMPT]))


def test_places_may_be_left_out(metrics, pictures):
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT, places=False)
    assert explanation.places is None
    assert explanation.as_dict()['places'] is None
    titles = [axes.get_title(loc='left') for axes in draw(explanation).axes]
    assert titles
    assert not any('Places' in title for title in titles)


def test_what_crops_of_scales_and_a_whole_view_look_at(metrics, pictures):
    explanation = explain(metrics['compact'], str(pictures / 'a.png'), PROMPT)  # 70 high, 90 wide
    assert explanation.names == ['view', '1', '2', '3']
    assert explanation.boxes == [(-10, 0, 90, 90), (4, 14, 63, 63), (0, 10, 70, 70), (3, 13, 64, 64)]


def test_the_whole_view_of_a_strip_is_its_middle(metrics):
    explanation = explain(metrics['compact'], noise(300, 30), PROMPT)
    assert explanation.boxes[0] == (-45, 90, 120, 120)
    assert (explanation.places[:, :5] == 0).all()  # of 22 columns; what is not looked at gives nothing
    assert explanation.places.shape == (2, 22)


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


def test_the_image_is_encoded_for_its_score_and_once_for_all_words(metrics, pictures, monkeypatch):
    network, calls = metrics['bert'].network, []
    encode = network.encode
    monkeypatch.setattr(network, 'encode', lambda *given: calls.append(1) or encode(*given))
    explain(metrics['bert'], str(pictures / 'sub/c.webp'), 'many words ' * 12, places=False)
    assert len(calls) == 2


def test_words_that_do_not_fit_are_not_read():
    assert read_words('one two', 35) == (['one', 'two'], [])
    assert read_words('one two  three\nfour', 5) == (['one', 'two', 'three'], ['four'])
    words, unread = read_words('hyperrealistically ' + 'so ' * 40, 35)
    assert len(words) + len(unread) == 41
    assert read_words('', 35) == ([], [])


def test_an_unread_word_has_no_share_and_the_last_read_one_has(metrics, pictures):
    prompt = ' '.join(map(str, range(60)))
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), prompt)
    assert explanation.unread
    assert explanation.words + explanation.unread == prompt.split()
    assert explanation.word_shares[-1] != 0


def test_the_view_is_the_square_in_the_middle(metrics, pictures):
    explanation = explain(metrics['view'], str(pictures / 'a.png'), PROMPT)  # 70 high, 90 wide
    assert explanation.names == ['view', '1', '2', '3']
    assert explanation.boxes[0] == (0, 10, 70, 70)


@pytest.mark.parametrize(
    ('kind', 'size'), [*((kind, (90, 70)) for kind in KINDS), ('blip', (300, 60)), ('compact', (40, 30))]
)
def test_every_kind_is_drawn(metrics, tmp_path, monkeypatch, kind, size):
    explanation, figures = explain(metrics[kind], noise(*size), 'a $5 cat_ {\\x} 猫 ' * 3), []
    monkeypatch.setattr(explain_figure, 'draw', lambda drawn: figures.append(draw(drawn)) or figures[0])
    write_figure(explanation, tmp_path / 'e.png')
    with Image.open(tmp_path / 'e.png') as image:
        assert image.format == 'PNG'
        assert 1000 < image.size[0] < 2000
    titles = ' '.join(axes.get_title(loc='left') for axes in figures[0].axes)
    assert 'Places' in titles
    assert ('Words' in titles) == ('visual' not in kind)
    assert 'Gate' in titles
    json.dumps(explanation.as_dict())


def test_words_that_change_nothing_are_told_in_a_sentence(metrics, pictures):
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT, places=False)
    explanation.word_shares = [0.0] * len(explanation.words)
    figure = draw(explanation)
    assert not any('Words' in axes.get_title(loc='left') for axes in figure.axes)
    assert 'The words of the prompt do not change quality.' in figure.texts[1].get_text()


def test_other_metrics_are_not_explained():
    with pytest.raises(ExplanationError, match='no metric of this package'):
        explain(torch.nn.Identity(), 'a.png', PROMPT)


def test_the_command_draws_and_prints(tiny_checkpoint, pictures, tmp_path):
    output = tmp_path / 'new' / 'e.svg'
    given = (pictures / 'a.png', '--prompt', PROMPT, '--weights', tiny_checkpoint, '--target', 'alignment')
    result = run('explain', *given, '--output', output, '--json', '--no-places')
    numbers = json.loads(result.stdout)
    assert numbers['target'] == 'alignment'
    assert [word for word, _ in numbers['words']] == PROMPT.split()
    assert numbers['places'] is None
    assert output.read_text().startswith('<?xml')


def test_misuse_is_one_sentence(tiny_checkpoint, pictures, tmp_path):
    image, weights = pictures / 'a.png', ('--weights', tiny_checkpoint)
    (tmp_path / 'p.csv').write_text('path,prompt\nother.png,a dog\n')
    (tmp_path / 'p.txt').write_text('a dog')
    for arguments, said in (
        ((image, *weights), 'there is no prompt for it'),
        ((image, '--prompts', tmp_path / 'p.csv', *weights), 'there is no prompt for it'),
        ((pictures, '--prompt', 'x', *weights), 'it is a folder'),
        ((pictures / '*', '--prompt', 'x', *weights), 'one at a time'),
        ((image, '--prompt', 'x', '--output', 'e.gif', *weights), 'must end in .png'),
        ((image, '--prompt', 'x', '--target', 'beauty', *weights), "target is 'beauty'"),
        ((tmp_path / 'p.csv', '--prompt', 'x', *weights), 'this is no image; name the images'),
        ((tmp_path / 'p.txt', '--prompt', 'x', *weights), 'no image that Pillow can read'),
    ):
        assert said in refused('explain', *arguments)


def test_autocast_around_an_explanation_does_not_matter(metrics, pictures):
    expected = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT)
    with torch.autocast('cpu', torch.bfloat16):
        explanation = explain(metrics['bert'], str(pictures / 'a.png'), PROMPT)
    assert explanation.word_shares == expected.word_shares
    assert explanation.places.equal(expected.places)


@pytest.mark.parametrize('prompt', [r'$\frac{ <b>x</b> $_{', 'a\x1b[31m cat\n$y_{$', '雪中的猫 🐱', '$' * 500])
def test_a_prompt_is_no_formula(metrics, pictures, tmp_path, prompt):
    explanation = explain(metrics['bert'], str(pictures / 'a.png'), prompt, places=False)
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
        explain_command.explain(str(tmp_path / 'a.png'), PromptChoice(), tmp_path / 'a.svg', {}, as_json=False)


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
