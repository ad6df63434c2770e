"""CLIP and SigLIP: tokens and embeddings are those of transformers' own models, tokenizers' too."""

import pytest
import torch
import torch.nn.functional as F
from clips import LENGTH, MATCHING, NETWORK, clip_folder
from tiny import inputs

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.tokenizer import tokenize, tokenize_windows
from pyiqa_moeagiqa.checkpoints.start import start_network
from pyiqa_moeagiqa.metrics.notes import cut_words, prompt_note, unknown_words
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.scoring.explain import read_words

FAMILIES = ('clip', 'siglip')
PROMPTS = ['A red Fox, in the SNOW', '', 'x' * 40, 'two cats  and\na dog!']


@pytest.fixture(scope='module', params=FAMILIES)
def theirs(request, tmp_path_factory):
    """Family, folder, transformers' model and its tokenizer."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, *clip_folder(folder, request.param)


@pytest.fixture(scope='module')
def network(theirs):
    family, folder, *_ = theirs
    weights = {'semantic': str(folder)}
    changes = {'branches': 'semantic', 'matching': MATCHING[family], 'weights': weights}
    return start_network(NETWORK | changes)[0].eval()


def test_prompts_are_read_as_transformers_reads_them(theirs, network):
    family, _, _, tokenizer = theirs
    texts = [prompt.lower() for prompt in PROMPTS] if family == 'siglip' else PROMPTS
    expected = tokenizer(texts, padding='max_length', truncation=True, max_length=LENGTH, return_tensors='pt')
    ids, mask, cut = tokenize(PROMPTS, LENGTH, network.tokenizer)
    assert ids.equal(expected['input_ids'])
    assert mask.equal(expected['attention_mask'])
    assert [count > 0 for count in cut] == [len(tokenizer(prompt)['input_ids']) > LENGTH for prompt in PROMPTS]


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
@torch.no_grad()
def test_tokens_and_embeddings_are_those_of_transformers(theirs, network, share):
    family, _, model, _ = theirs
    semantic = network.semantic
    semantic.freeze(share)
    ids, mask, _ = tokenize(PROMPTS, LENGTH, network.tokenizer)
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image = semantic.trained_image_features(semantic.frozen_image_features(pixels))
    words = semantic.words(ids, mask)
    assert image.equal(model.vision_model(pixels).last_hidden_state)
    assert words.equal(model.text_model(ids).last_hidden_state)
    for ours, expected in (
        (semantic.embed_image(image), model.get_image_features(pixels)),
        (semantic.embed_prompt(words, mask), model.get_text_features(ids)),
    ):
        torch.testing.assert_close(ours, F.normalize(expected.pooler_output, dim=-1), atol=1e-6, rtol=0)
    # transformers masks a CLIP's padding by default, which changes neither the prompt's own tokens nor its embedding
    if family == 'clip':
        masked = model.text_model(ids, mask).last_hidden_state
        torch.testing.assert_close(words[mask > 0], masked[mask > 0], atol=1e-6, rtol=0)


def test_the_cosine_of_image_and_prompt_is_the_models_own(theirs, network):
    _, _, model, _ = theirs
    ids, mask, _ = tokenize(PROMPTS, LENGTH, network.tokenizer)
    view = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    image, prompt = network(None, view, ids, mask).matching
    mean, std = (torch.tensor(part)[:, None, None] for part in (network.view_mean, network.view_std))
    expected = model(input_ids=ids, pixel_values=(view - mean) / std)
    torch.testing.assert_close(prompt @ image.T, expected.text_embeds @ expected.image_embeds.T, atol=1e-5, rtol=0)


def test_the_cosine_is_added_to_the_scores(network):
    crops, view, _, _ = inputs(network)
    ids, mask, _ = tokenize(PROMPTS[:2], LENGTH, network.tokenizer)
    answer = network(crops, view, ids, mask)
    with torch.no_grad():
        network.matching.weight.add_(1)
        more = network(crops, view, ids, mask)
        network.matching.weight.sub_(1)
    cosine = (answer.matching[0] * answer.matching[1]).sum(dim=1, keepdim=True)
    for name, scores in answer.targets.items():
        torch.testing.assert_close(more.targets[name].score, scores.score + cosine)


@pytest.mark.parametrize(('share', 'fixed'), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_the_frozen_share_counts_both_towers_layers(network, share, fixed):
    semantic = MoEAGIQA(network.config.changed(frozen_share=share)).semantic
    towers = semantic.towers
    for tower in (towers.vision_model, towers.text_model):
        layers = tower.encoder.layers
        assert [not any(p.requires_grad for p in layer.parameters()) for layer in layers].count(True) == fixed
        assert not any(parameter.requires_grad for parameter in tower.embeddings.parameters())
    assert any(parameter.requires_grad for parameter in towers.parameters()) == (share < 1)


@pytest.mark.parametrize('matching', [True, False])
def test_every_trained_parameter_has_a_gradient(theirs, network, matching):
    channels = MATCHING[theirs[0]] if matching else 0
    trained = MoEAGIQA(network.config.changed(matching=channels, branches='both')).train()
    crops, view, _, _ = inputs(trained)
    ids, mask, _ = tokenize(PROMPTS[:2], LENGTH, network.tokenizer)
    answer = trained(crops, view, ids, mask)
    sum(scores.score.mean() for scores in answer.targets.values()).backward()
    assert [key for key, p in trained.named_parameters() if p.requires_grad and p.grad is None] == []


def test_a_frozen_prompt_is_read_once(network):
    frozen = MoEAGIQA(network.config.changed(frozen_share=1.0)).eval()
    crops, view, _, _ = inputs(frozen)
    ids, mask, _ = tokenize(PROMPTS[:2], LENGTH, network.tokenizer)
    features = frozen.encode(crops, view, ids, mask)
    assert features.words.equal(frozen.semantic.words(ids, mask))
    assert features.words.equal(frozen.read(ids, mask))
    assert (
        frozen.assess(features, ids, mask)
        .targets['quality']
        .score.equal(frozen(crops, view, ids, mask).targets['quality'].score)
    )


def text_of(tokenizer, row) -> str:
    """The words of a window, without the marks of spaces and without special tokens."""
    tokens = [token for token in map(tokenizer.encoder.id_to_token, row) if not token.startswith('<')]
    return ' '.join(''.join(tokens).replace('</w>', ' ').replace('▁', ' ').split())


def test_windows_hold_each_token_once_between_the_special_ones(theirs, network):
    tokenizer, prompt = network.tokenizer, 'a red fox, two cats and a dog, a castle at night, a sofa in the snow'
    before, after = tokenizer.special
    windows = tokenize_windows([prompt], LENGTH, tokenizer)
    whole = tokenizer.encode(prompt).ids
    rows = [row[: sum(kept)] for row, kept in zip(windows.ids.tolist(), windows.mask.tolist(), strict=True)]
    assert [token for row in rows for token in row[before : len(row) - after]] == whole[before : len(whole) - after]
    assert all(row[:before] == whole[:before] and row[-after:] == whole[-after:] for row in rows)
    # A SigLIP's tiny vocabulary spells words by letters.
    first = {'clip': 'a red fox , two cats and a dog ,', 'siglip': 'a red fox,'}[theirs[0]]
    assert text_of(tokenizer, rows[0]) == first


def test_a_window_without_a_comma_ends_with_a_word(network):
    windows = tokenize_windows([' '.join(['castle'] * 20)], LENGTH, network.tokenizer)
    assert len(windows.ids) > 1
    for row in windows.ids.tolist():
        assert set(text_of(network.tokenizer, row).split()) == {'castle'}


def test_what_is_cut_and_what_is_read_is_said_in_words(network):
    tokenizer, prompt = network.tokenizer, 'a red fox in the snow, two cats and a dog on a sofa, a castle at night'
    _, _, (cut,) = tokenize([prompt], LENGTH, tokenizer)
    rest = cut_words(prompt, cut, tokenizer)
    assert 0 < len(rest) < len(prompt)
    assert prompt.endswith(rest)
    read, unread = read_words(prompt, LENGTH, tokenizer)
    assert read + unread == prompt.split()
    assert unread
    assert ' '.join(rest.split()).endswith(' '.join(unread))
    assert unknown_words('a red fox', tokenizer)[0] == 0
    assert prompt_note('a red fox', tokenizer) is None


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'prompt_tokens': 15}, "prompt_tokens is 15: it must be 16, as in the training of the 'siglip'"),
        ({'matching': 16}, 'matching is 16: it must be 0 or 32, the projection_dim'),
        ({'whole_view': True}, "whole_view is True: it must be false, unless semantic is 'bert'"),
        ({'semantic_options': {'family': 'blip'}}, "family is 'blip': it must be 'clip', 'siglip' or 'mobileclip'"),
        ({'semantic_options': {'family': 'siglip', 'projection_dim': 8}}, 'projection_dim is 8: it must be 768'),
        ({'semantic_options': {'tokenizer_bytes': 2**40}}, 'tokenizer_bytes is 1099511627776'),
        ({'semantic_options': {'text': {'name_or_path': '/etc'}}}, 'name_or_path'),
    ],
)
def test_what_a_siglip_cannot_be_is_said(changes, words):
    sizes = {'family': 'siglip', 'vision': {'hidden_size': 32, 'num_attention_heads': 2}, 'projection_dim': 32}
    options = NETWORK | {'semantic_options': sizes | {'text': {'max_position_embeddings': LENGTH}}}
    with pytest.raises(OptionError) as refused:
        MoEAGIQAConfig.from_options(options | changes)
    assert words in str(refused.value)


def test_a_clip_reads_no_more_tokens_than_it_has_places():
    with pytest.raises(OptionError, match="prompt_tokens is 78: it must be at most 77 for this 'clip'"):
        MoEAGIQAConfig.from_options(NETWORK | {'prompt_tokens': 78})
