"""MobileCLIP: tokens and embeddings are those of OpenCLIP's own models, of every published size."""

import json

import pytest
import torch
from clips import LENGTH, MATCHING, NETWORK, copy_of, mobileclip_folder
from refusals import refuses
from safetensors.torch import load_file
from tiny import inputs

from pyiqa_moeagiqa.archs.clip import ClipSemantic
from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.encoder_options import ClipOptions
from pyiqa_moeagiqa.archs.lora import add_adapters
from pyiqa_moeagiqa.archs.mobileclip import MobileClipTowers
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.checkpoints import Checkpoint, CheckpointError, load_network, save
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
def test_tokens_and_embeddings_are_those_of_openclip(theirs, network, share, monkeypatch):
    model, semantic = theirs[1], network.semantic
    monkeypatch.setattr(semantic, 'frozen_layers', int(4 * share))
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
    renamed = from_clip(theirs)
    assert all(tensor.is_contiguous() for tensor in renamed.values())  # else products differ in their last digits
    shapes = {name: tensor.shape for name, tensor in renamed.items()}
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


@torch.no_grad()
def test_a_vit_gives_the_tokens_of_timm():
    semantic = ClipSemantic(
        {'family': 'mobileclip', 'mobile': {'name': 'vit_base_mci_224', 'image_size': 64}}, 8
    ).eval()
    semantic.freeze(0.5)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    image, trunk = semantic.trained_image_features(semantic.frozen_image_features(pixels)), semantic.towers.trunk
    torch.testing.assert_close(image, trunk.forward_features(pixels))
    embedded = torch.nn.functional.normalize(trunk(pixels), dim=-1)
    torch.testing.assert_close(semantic.embed_image(image), embedded)


def test_the_defaults_are_a_published_models():
    config = open_clip.get_model_config('MobileCLIP-S2')
    stated = mobileclip_options(
        {'model_cfg': config, 'preprocess_cfg': {'mean': [0.0] * 3, 'std': [1.0] * 3}}, '', (b'', 0)
    )
    assert ClipOptions.check(stated) == ClipOptions.check({'family': 'mobileclip'})


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


def test_what_the_folder_states_is_read(theirs, network):
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


def change_config(folder, section, changes) -> None:
    """Change a section of what OpenCLIP wrote; None removes an option."""
    path = folder / 'open_clip_config.json'
    config = json.loads(path.read_text())
    whole = config if section == 'preprocess_cfg' else config['model_cfg']
    if isinstance(changes, dict):
        whole[section] = whole[section] | changes
    else:
        whole[section] = changes
    path.write_text(json.dumps(config))


@pytest.fixture(scope='module')
def _written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('mobileclip')
    mobileclip_folder(folder)
    return folder


@pytest.fixture
def written(_written, tmp_path):
    """A folder that a test may change."""
    return copy_of(_written, tmp_path / 'mobileclip')


WIDE = {'width': 16384, 'layers': 128}  # of 400 billion weights


@pytest.mark.parametrize(
    ('section', 'changes', 'words'),
    [
        ('vision_cfg', {'timm_model_name': 'resnet50'}, "the image tower 'resnet50', which is none of a MobileCLIP"),
        ('vision_cfg', {'timm_model_name': 'x' * 9999}, 'which is none of a MobileCLIP'),
        ('vision_cfg', 5, 'the image tower None'),
        ('vision_cfg', {'timm_proj': 'linear'}, "(timm_pool 'avg', timm_proj 'linear')"),
        ('vision_cfg', {'timm_pool': 'token'}, "(timm_pool 'token', timm_proj None)"),
        ('vision_cfg', {'patch_dropout': 0.5}, "Unknown model_cfg.vision_cfg option 'patch_dropout'"),
        ('vision_cfg', {'image_size': [64, 64]}, 'model_cfg.vision_cfg option image_size is [64, 64]'),
        ('text_cfg', {'embed_cls': True}, 'model_cfg.text_cfg option embed_cls is True'),
        ('text_cfg', {'qk_norm': True}, "Unknown model_cfg.text_cfg option 'qk_norm'"),
        ('text_cfg', {'width': 'wide'}, "model_cfg.text_cfg option width is 'wide'"),
        ('text_cfg', {'width': None}, 'model_cfg.text_cfg option width is None'),
        ('text_cfg', {'no_causal_mask': 'false'}, "option no_causal_mask is 'false': it must be true or false"),
        ('text_cfg', 5, 'model_cfg option text_cfg is 5'),
        ('text_cfg', WIDE, 'its tensors do not fit this network'),
        ('embed_dim', None, 'model_cfg option embed_dim'),
        ('preprocess_cfg', {'resize_mode': 'squash'}, "preprocess_cfg option resize_mode is 'squash'"),
        ('preprocess_cfg', {'std': [0, 1, 1]}, 'preprocess_cfg option std is [0, 1, 1]'),
    ],
)
def test_other_models_of_openclip_and_damaged_files_are_refused(written, section, changes, words):
    change_config(written, section, changes)
    with refuses(CheckpointError, str(written), words):
        started(written)


def test_what_openclip_leaves_out_is_as_in_openclip(written):
    change_config(written, 'preprocess_cfg', {'mean': None, 'std': None})
    change_config(written, 'text_cfg', {'embed_cls': False, 'mlp_ratio': 4.0, 'hf_tokenizer_name': 'me/mobileclip'})
    change_config(written, 'quick_gelu', True)
    options = started(written).config.semantic_options
    assert options['mobile']['mean'] == list(open_clip.OPENAI_DATASET_MEAN)
    assert options['mobile']['std'] == list(open_clip.OPENAI_DATASET_STD)
    assert options['text']['hidden_act'] == 'quick_gelu'
    # The tokenizer that the file names pads with its own pad_token, the last word of the tiny vocabulary.
    assert options['text']['pad_token_id'] == options['text']['vocab_size'] - 1


def test_a_checkpoint_is_loaded_without_random_weights(network, tmp_path, monkeypatch):
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'net.safetensors', half=False)
    build, devices = MobileClipTowers.__init__, []

    def noted(towers, options):
        devices.append(torch.get_default_device().type)
        build(towers, options)

    monkeypatch.setattr(MobileClipTowers, '__init__', noted)
    again = load_network(path)[0].state_dict()
    assert set(devices) == {'meta'}
    assert all(again[name].equal(tensor) for name, tensor in network.state_dict().items())


def test_weights_in_pytorchs_own_format_are_taken(written):
    safe, ids = written / 'open_clip_model.safetensors', torch.tensor([[1, 2]])
    before = started(written).semantic.words(ids, ids > 0)
    torch.save(load_file(safe), written / 'open_clip_pytorch_model.bin')
    safe.unlink()
    assert started(written).semantic.words(ids, ids > 0).equal(before)


@pytest.mark.parametrize(
    ('options', 'tokens', 'words'),
    [
        ({'causal': False}, 50, "prompt_tokens is 50: it must be 77, as in the training of the 'mobileclip'"),
        ({'causal': True}, 78, "prompt_tokens is 78: it must be at most 77 for this 'clip'"),
        ({'family': 'clip', 'causal': False}, 77, "causal is False: it must be true, unless family is 'mobileclip'"),
        ({'vision': {}}, 77, "vision is {}: it must be left out if family is 'mobileclip'"),
        ({'family': 'clip', 'mobile': {}}, 77, "mobile is {}: it must be left out if family is 'clip'"),
        ({'mobile': {'image_size': 2000}}, 77, 'image_size is 2000: it must be a whole number from 1 to 1024'),
        ({'mobile': {'name': 'resnet50'}}, 77, "name is 'resnet50': it must be 'fastvit_mci0', 'fastvit_mci1'"),
    ],
)
def test_what_a_mobileclip_cannot_be_is_said(options, tokens, words):
    own = {'semantic_options': {'family': 'mobileclip'} | options, 'prompt_tokens': tokens}
    with pytest.raises(OptionError) as refused:
        MoEAGIQAConfig.from_options(NETWORK | own)
    assert words in str(refused.value)
