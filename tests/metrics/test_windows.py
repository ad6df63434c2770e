"""Long prompts in windows: every token once, bounds kept, and a prompt that fits scored as ever."""

import pyiqa
import pytest
import torch

from pyiqa_moeagiqa.archs.tokenizer import MOST_WINDOWS, bert_tokenizer, tokenize, tokenize_windows
from pyiqa_moeagiqa.metrics.notes import cut_words

STYLE = 'a detailed oil painting of a red fox in a snowy forest, dramatic light, fog, '
LONG = STYLE * 4
PROMPTS = {
    'phrases': LONG,
    'no pauses': 'word ' * 90,
    'one word': 'x' * 90,
    'no spaces': '雪の中の猫' * 20,
    'commas': 'a,' * 70,
    'one token too many': 'word ' * 34,
}


@pytest.fixture(scope='module')
def metrics(tiny_checkpoint):
    make = {'pretrained_model_path': str(tiny_checkpoint)}
    return pyiqa.create_metric('moeagiqa', **make), pyiqa.create_metric('moeagiqa', long_prompts='window', **make)


@pytest.fixture(scope='module')
def images():
    return torch.rand(3, 3, 70, 90, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize('name', PROMPTS)
@pytest.mark.parametrize('length', [3, 4, 35])
def test_windows_hold_each_token_once_in_order(name, length):
    prompt = PROMPTS[name][: 300 if length == 35 else 30]
    windows = tokenize_windows([prompt], length)
    first, *tokens, last = bert_tokenizer().encode(prompt).ids
    rows = [row[: sum(kept)] for row, kept in zip(windows.ids.tolist(), windows.mask.tolist(), strict=True)]
    assert all(row[0] == first and row[-1] == last and 3 <= len(row) <= length for row in rows)
    assert [token for row in rows for token in row[1:-1]] == tokens
    assert windows.share.tolist() == pytest.approx([(len(row) - 2) / len(tokens) for row in rows])
    assert windows.cut == [0]


def test_a_window_ends_with_a_phrase_or_else_with_a_word():
    texts = [bert_tokenizer().encoder.decode(row) for row in tokenize_windows([LONG], 35).ids.tolist()]
    assert all(text.endswith(',') for text in texts), texts
    odd = 'word ' * 30 + 'antidisestablishmentarianism and more'
    assert 'and' in bert_tokenizer().encoder.decode(tokenize_windows([odd], 35).ids[1].tolist()).split()
    assert tokenize_windows([odd], 35).mask.sum(dim=1).tolist()[0] == 32


def test_a_prompt_that_fits_is_tokenized_as_ever():
    prompts = ['', 'a cat', 'word ' * 33]
    windows, (ids, mask, cut) = tokenize_windows(prompts, 35), tokenize(prompts, 35)
    assert windows.ids.equal(ids)
    assert windows.mask.equal(mask)
    assert windows.cut == cut == [0, 0, 0]
    assert windows.share.tolist() == [1, 1, 1]


def test_there_is_an_end_to_windows():
    windows = tokenize_windows(['word ' * 5000], 35)
    assert len(windows.ids) == MOST_WINDOWS
    assert windows.cut == [5000 - 33 * MOST_WINDOWS]


def test_what_was_cut_is_said_in_words():
    assert cut_words('a Cat in, the SNOW', 2) == 'the SNOW'
    assert cut_words('a cat', 0) == ''
    prompt = LONG + 'in the style of Vermeer'
    _, _, (cut,) = tokenize([prompt], 35)
    kept = prompt.removesuffix(cut_words(prompt, cut))
    assert len(bert_tokenizer().encode(kept).ids) == 35


def test_a_prompt_that_fits_scores_the_same_beside_a_long_one(metrics, images):
    cut, window = metrics
    prompts = ['a cat', LONG, 'a dog']
    plain, joined = cut(images, caption_list=prompts), window(images, caption_list=prompts)
    assert joined[[0, 2]].equal(plain[[0, 2]])
    assert not joined[1].equal(plain[1])
    assert window(images[1:2], caption_list=[LONG]).equal(joined[1:2])


def test_a_long_prompts_score_is_its_windows_mean_by_tokens(metrics, images):
    cut, window = metrics
    halves = ['word ' * 33, 'word ' * 11]
    parts = cut(images[:1].repeat(2, 1, 1, 1), caption_list=halves).flatten()
    score, details = window(images[:1], caption_list=[''.join(halves)], return_details=True)
    torch.testing.assert_close(score.flatten(), (parts[:1] * 3 + parts[1:]) / 4)
    assert details.crop_scores.shape == (1, 2)
    torch.testing.assert_close(details.crop_scores.mean(dim=1, keepdim=True), score)
    assert (details.gate.shape, details.chosen.shape) == ((1, 2, 4), (1, 2, 3))
    torch.testing.assert_close(details.gate.sum(dim=-1), torch.ones(1, 2))
    assert details.cut_tokens == [0]
    assert details.scores['alignment'].shape == (1, 1)


def test_a_batch_as_on_an_accelerator_gives_the_same(metrics, images, monkeypatch):
    _, window = metrics
    prompts = [LONG, 'a cat', 'word ' * 99]
    alone = window(images, caption_list=prompts)
    monkeypatch.setattr('pyiqa_moeagiqa.metrics.moeagiqa.images_at_once', lambda device: 4)
    torch.testing.assert_close(window(images, caption_list=prompts), alone)


def test_what_a_score_was_made_by_says_how_long_prompts_were_read(metrics):
    assert [metric.net.made_by['long_prompts'] for metric in metrics] == ['cut', 'window']


def test_windows_beyond_the_last_are_warned_of(metrics, images):
    with pytest.warns(UserWarning, match='1 of 1 prompts were cut .* to 32 windows of 35 tokens'):
        metrics[1](images[:1], caption_list=['word ' * 2000])
