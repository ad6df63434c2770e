"""MobileCLIP: tokens and embeddings are those of OpenCLIP's own models, of every published size."""

import json

import pytest
import torch
from clips import LENGTH, MATCHING, NETWORK, mobileclip_folder
from refusals import refuses
from tiny import inputs

from pyiqa_moeagiqa.archs.clip import ClipSemantic
from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.lora import add_adapters
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.checkpoints import CheckpointError
from pyiqa_moeagiqa.checkpoints.names import from_clip
from pyiqa_moeagiqa.checkpoints.open_clip import TOWERS, mobileclip_options
from pyiqa_moeagiqa.checkpoints.start import start_network
from pyiqa_moeagiqa.options import OptionError

open_clip = pytest.importorskip('open_clip', reason='OpenCLIP is missing: pip install open_clip_torch')

PROMPTS = ['A red Fox, in the SNOW', '', 'x' * 40, 'two cats  and\na dog!']
PUBLISHED = [name for name in open_clip.list_models() if name.startswith('MobileCLIP')]


@pytest.fixture(scope='module', params=[True, False], ids=['both ways', 'causal'])
def theirs(request, tmp_path_factory):
    """Folder and OpenCLIP's model, whose text tower reads in both directions or in one."""
    folder = tmp_path_factory.mktemp('mobileclip')
    return folder, mobileclip_folder(folder, both_ways=request.param)


def started(folder, **changes):
    own = {'branches': 'semantic', 'matching': MATCHING['mobileclip'], 'weights': {'semantic': str(folder)}}
    return start_network(NETWORK | own | changes)[0].eval()


@pytest.fixture(scope='module')
def network(theirs):
    return started(theirs[0])


def read(network):
    """Ids and mask of the prompts."""
    return tokenize(PROMPTS, LENGTH, network.tokenizer)[:2]


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
@torch.no_grad()
def test_tokens_and_embeddings_are_those_of_openclip(theirs, network, share):
    model, semantic = theirs[1], network.semantic
    semantic.freeze(share)
    ids, mask = read(network)
    assert ids[1, 2:].eq(0).all()  # padding, which the prompt's tokens see
    pixels = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image = semantic.trained_image_features(semantic.frozen_image_features(pixels))
    expected = model.visual.trunk.forward_features(pixels).flatten(2).transpose(1, 2)
    torch.testing.assert_close(image, expected, atol=1e-4, rtol=1e-4)
    expected = model.encode_image(pixels, normalize=True)
    assert expected.std(dim=0).mean() > 1e-3
    torch.testing.assert_close(semantic.embed_image(image), expected, atol=1e-6, rtol=0)
    embedded = semantic.embed_prompt(semantic.words(ids, mask), mask)
    torch.testing.assert_close(embedded, model.encode_text(ids, normalize=True), atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_cosine_of_image_and_prompt_is_the_models_own(theirs, network):
    ids, mask = read(network)
    view = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    image, prompt = network(None, view, ids, mask).matching
    mean, std = (torch.tensor(part)[:, None, None] for part in ((0.1, 0.2, 0.3), (0.9, 0.8, 0.7)))
    expected_image, expected_prompt, _ = theirs[1]((view - mean) / std, ids)
    torch.testing.assert_close(prompt @ image.T, expected_prompt @ expected_image.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize('name', PUBLISHED)
def test_every_published_size_has_openclips_names_and_shapes(name):
    config = open_clip.get_model_config(name)
    states = {'model_cfg': config, 'preprocess_cfg': {}}
    with torch.device('meta'):
        theirs = open_clip.CustomTextCLIP(config['embed_dim'], config['vision_cfg'], config['text_cfg']).state_dict()
        ours = ClipSemantic(mobileclip_options(states, name, (b'', 0)), 8).towers.state_dict()
    assert ours.pop('tokenizer').numel() == 0
    shapes = {name: tensor.shape for name, tensor in from_clip(theirs).items()}
    assert shapes == {name: tensor.shape for name, tensor in ours.items()}


def test_all_towers_of_published_ones_are_known():
    published = {open_clip.get_model_config(name)['vision_cfg']['timm_model_name'] for name in PUBLISHED}
    assert published == set(TOWERS)


def test_batch_norms_stay_and_every_trained_parameter_has_a_gradient(network):
    trained = MoEAGIQA(network.config.changed(branches='both', frozen_share=0.5)).train()
    trunk = trained.semantic.towers.trunk
    before = {name: statistic.clone() for name, statistic in trunk.named_buffers()}
    crops, view, _, _ = inputs(trained)
    ids, mask, _ = tokenize(PROMPTS[:2], LENGTH, network.tokenizer)
    answer = trained(crops, view, ids, mask)
    sum(scores.score.mean() for scores in answer.targets.values()).backward()
    assert [key for key, p in trained.named_parameters() if p.requires_grad and p.grad is None] == []
    assert all(statistic.equal(before[name]) for name, statistic in trunk.named_buffers())
    fixed = [not any(p.requires_grad for p in stage.parameters()) for stage in trunk.stages]
    assert fixed == [True, True, False, False]
    for part in (trunk.stem, trunk.final_conv, trunk.head):
        assert not any(p.requires_grad for p in part.parameters())


def test_a_vits_places_are_frozen_with_its_embeddings():
    options = {'family': 'mobileclip', 'mobile': {'name': 'vit_base_mci_224', 'image_size': 224}}
    with torch.device('meta'):
        semantic = ClipSemantic(options, 8)
        semantic.freeze(0.5)
    trained = {name for name, p in semantic.towers.trunk.named_parameters() if p.requires_grad}
    assert {name.split('.')[0] for name in trained} == {'blocks'}
    assert {int(name.split('.')[1]) for name in trained} == set(range(6, 12))


@torch.no_grad()
def test_adapters_start_from_the_network_without(network):
    ids, mask = read(network)
    view = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    expected = network(None, view, ids, mask).targets['quality'].score
    adapted = MoEAGIQA(network.config.changed(lora_rank=4, lora_towers=('semantic',), frozen_share=0.0)).eval()
    adapted.load_state_dict(network.state_dict())
    add_adapters(adapted)
    places = {name.split('.')[2] for name in adapted.trained if 'lora_A' in name}
    assert places == {'trunk', 'text_model'}
    torch.testing.assert_close(
        adapted.eval()(None, view, ids, mask).targets['quality'].score, expected, atol=1e-6, rtol=0
    )


def test_the_best_of_what_is_stated_is_read(theirs, network):
    folder, model = theirs
    options, text = network.config.semantic_options, model.text
    assert options['family'] == 'mobileclip'
    assert options['mobile'] == {
        'name': 'fastvit_mci0',
        'image_size': 64,
        'mean': [0.1, 0.2, 0.3],
        'std': [0.9, 0.8, 0.7],
    }
    assert options['causal'] == (text.attn_mask is not None)
    assert options['text']['vocab_size'] == text.vocab_size
    assert network.semantic.tokenizer_json == (folder / 'tokenizer.json').read_bytes()


@pytest.mark.parametrize(
    ('section', 'changes', 'words'),
    [
        ('vision_cfg', {'timm_model_name': 'resnet50'}, "the image tower 'resnet50', which is none of a MobileCLIP"),
        ('vision_cfg', {'timm_model_name': None}, 'the image tower None'),
        ('vision_cfg', {'timm_proj': 'linear'}, "the image tower 'fastvit_mci0', which is none"),
        ('vision_cfg', {'timm_pool': 'token'}, "the image tower 'fastvit_mci0', which is none"),
        ('text_cfg', {'embed_cls': True}, "gives text_cfg the option 'embed_cls'"),
        ('text_cfg', 5, 'has no section text_cfg'),
    ],
)
def test_other_models_of_openclip_are_refused(tmp_path, section, changes, words):
    mobileclip_folder(tmp_path)
    path = tmp_path / 'open_clip_config.json'
    config = json.loads(path.read_text())
    config['model_cfg'][section] = config['model_cfg'][section] | changes if isinstance(changes, dict) else changes
    path.write_text(json.dumps(config))
    with refuses(CheckpointError, str(tmp_path), words):
        started(tmp_path)


def test_wrong_numbers_are_refused(tmp_path):
    mobileclip_folder(tmp_path)
    path = tmp_path / 'open_clip_config.json'
    config = json.loads(path.read_text())
    config['model_cfg']['text_cfg']['width'] = 'wide'
    path.write_text(json.dumps(config))
    with pytest.raises((CheckpointError, OptionError), match='hidden_size'):
        started(tmp_path)


@pytest.mark.parametrize(
    ('options', 'tokens', 'words'),
    [
        ({'causal': False}, 50, "prompt_tokens is 50: it must be 77, as in the training of the 'mobileclip'"),
        ({'causal': True}, 78, "prompt_tokens is 78: it must be at most 77 for this 'clip'"),
        ({'family': 'clip', 'causal': False}, 77, "causal is False: it must be true, unless family is 'mobileclip'"),
        ({'mobile': {'name': 'resnet50'}}, 77, "name is 'resnet50': it must be 'fastvit_mci0', 'fastvit_mci1'"),
    ],
)
def test_what_a_mobileclip_cannot_be_is_said(options, tokens, words):
    own = {'semantic_options': {'family': 'mobileclip'} | options, 'prompt_tokens': tokens}
    with pytest.raises(OptionError) as refused:
        MoEAGIQAConfig.from_options(NETWORK | own)
    assert words in str(refused.value)
