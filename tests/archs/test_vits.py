"""Each family of timm's ViTs serves eq. 3, the prior and the text; a tiny random network stands for it."""

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from tiny import COMPACT_LIKE, TINY, TINY_BLIP, config, inputs

from pyiqa_moeagiqa.archs.lora import add_adapters, plain_names
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.prior_arch import MoEAGIQAPrior
from pyiqa_moeagiqa.archs.vit import build_vit, image_token, layer_features
from pyiqa_moeagiqa.checkpoints import Checkpoint, load_network, save
from pyiqa_moeagiqa.checkpoints.complete import vit_weights
from pyiqa_moeagiqa.checkpoints.export import NAMES, export
from pyiqa_moeagiqa.checkpoints.load import outline
from pyiqa_moeagiqa.images.size import height_width
from pyiqa_moeagiqa.options import OptionError

FAMILIES = {
    'plain ViT': 'vit_base_patch16_224.augreg_in21k_ft_in1k',
    'CLIP': 'vit_base_patch16_clip_224.openai',
    'DeiT, distilled': 'deit_tiny_distilled_patch16_224.fb_in1k',
    'DINOv2': 'vit_small_patch14_dinov2.lvd142m',
    'DINOv2 with registers': 'vit_small_patch14_reg4_dinov2.lvd142m',
    'DINOv3': 'vit_small_patch16_dinov3.lvd1689m',
    'SigLIP 2': 'vit_base_patch16_siglip_224.v2_webli',
    'AIMv2': 'aimv2_large_patch14_224.apple_pt',
    'BEiT': 'beit_base_patch16_224.in22k_ft_in22k_in1k',
    'EVA-02': 'eva02_small_patch14_224.mim_in22k',
    'relative positions': 'vit_relpos_small_patch16_224.sw_in1k',
    'Swin': 'swin_tiny_patch4_window7_224.ms_in1k',
    'Swin v2': 'swinv2_tiny_window8_256.ms_in1k',
    'ConvNeXt': 'convnext_atto.d2_in1k',
}
USES = {
    'eq. 3': {'branches': 'visual', 'matching': 0, 'class_tokens': True},
    'prior': TINY_BLIP | {'prior': True},
    'bert': COMPACT_LIKE | {'norm_layers': False},
}
SMALLER = {'Swin': {'embed_dim': 24}, 'Swin v2': {'embed_dim': 24}, 'ConvNeXt': {}}
PAGE = Path(__file__).parents[2] / 'docs' / 'model.md'
WITH_TABLES = ('BEiT', 'Swin')  # of relative positions
each_family = pytest.mark.parametrize('family', FAMILIES)
each_use = pytest.mark.parametrize('use', USES)


@cache
def patch_size(family: str) -> int:
    return timm.create_model(FAMILIES[family], device='meta').feature_info[-1]['reduction']


def options(family: str, **changes) -> dict:
    smaller = SMALLER.get(family, TINY['visual_options'])
    side = 4 * patch_size(family) if family not in SMALLER else 64
    return {'visual': FAMILIES[family], 'visual_options': smaller, 'crop_size': side} | changes


def random_network(family: str, **changes) -> MoEAGIQA:
    """A network of this family in which the prior counts."""
    torch.manual_seed(0)
    network = MoEAGIQA(config(**options(family, **changes))).eval()
    if network.config.prior:
        torch.nn.init.normal_(network.inject.w2)
    return network


def scores(network: MoEAGIQA) -> torch.Tensor:
    with torch.inference_mode():
        return network.eval()(*inputs(network)).targets['quality'].score


@each_family
@each_use
def test_a_family_scores_trains_and_is_loaded_as_it_was_saved(family, use, tmp_path):
    network = random_network(family, **USES[use])
    before = scores(network)
    assert before.shape == (2, network.config.crops + network.config.view_is_crop)
    assert before.isfinite().all()
    assert before.std() > 0
    answer = network.train()(*inputs(network))
    loss = sum(target.score.mean() for target in answer.targets.values())
    (loss if answer.matching is None else loss + answer.matching[0].sum() + answer.matching[1].sum()).backward()
    assert [name for name, parameter in network.trained.items() if parameter.grad is None] == []
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'saved.safetensors')
    assert scores(load_network(path)[0]).equal(before)
    larger, _ = load_network(path, crop_size=network.config.crop_size + 2 * patch_size(family))
    assert scores(larger).isfinite().all()


@each_family
@each_use
def test_crops_need_not_be_squares(family, use, tmp_path):
    patch = patch_size(family)
    network = random_network(family, **USES[use], crop_size=[2 * patch, 4 * patch])
    if use != 'prior':  # BLIP has a view of its own
        assert network.view_size == (2 * patch, 4 * patch)
    before = scores(network)
    assert before.std() > 0
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'saved.safetensors')
    assert scores(load_network(path)[0]).equal(before)
    if family in WITH_TABLES:
        with pytest.raises(
            OptionError, match=r'crop_size is \d+, and the weights are for \(\d+, \d+\): .*take their size'
        ):
            load_network(path, crop_size=4 * patch)
    else:
        assert scores(load_network(path, crop_size=4 * patch)[0]).isfinite().all()
    square = random_network(family, **USES[use])
    path = save(Checkpoint(square.config, square.state_dict(), {}), path)
    assert scores(load_network(path, crop_size=(2 * patch, 8 * patch))[0]).isfinite().all()


@pytest.mark.parametrize(('stored', 'wanted'), [(64, (32, 128)), ((32, 128), 64), ((32, 128), (128, 32))])
def test_positions_are_fitted_to_another_shape_of_as_many_patches(stored, wanted, tmp_path):
    network = random_network('plain ViT', crop_size=stored)
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'saved.safetensors')
    rows, columns = (side // 16 for side in height_width(stored))
    before = network.visual.pos_embed[:, 1:].unflatten(1, (rows, columns)).permute(0, 3, 1, 2)
    grid = tuple(side // 16 for side in height_width(wanted))
    expected = torch.nn.functional.interpolate(before, grid, mode='bicubic', antialias=True)
    fitted = load_network(path, crop_size=wanted)[0].visual.pos_embed
    torch.testing.assert_close(fitted[:, 1:].unflatten(1, grid).permute(0, 3, 1, 2), expected, atol=1e-6, rtol=0)
    assert fitted[:, :1].equal(network.visual.pos_embed[:, :1])


@each_family
@each_use
def test_a_family_starts_from_timms_own_file(family, use, tmp_path):
    network = random_network(family, **USES[use])
    given = options(family)
    size = {} if family == 'ConvNeXt' else {'img_size': given['crop_size'] + 2 * patch_size(family)}
    published = timm.create_model(given['visual'], num_classes=3, **given['visual_options'], **size).state_dict()
    torch.save(published, tmp_path / 'timm.pth')
    for part in ('visual', 'prior'):
        if hasattr(network, part):
            vit = getattr(network, part)
            weights = vit_weights(vit, str(tmp_path / 'timm.pth'), network.config, part)
            vit.load_state_dict(weights)
            same = [name for name, tensor in vit.state_dict().items() if tensor.equal(published[name])]
            assert len(same) > len(weights) / 2


@each_family
def test_the_images_token_is_the_class_token_or_what_timm_pools(family):
    given = options(family)
    torch.manual_seed(0)
    vit = build_vit(given['visual'], given['crop_size'], **given['visual_options']).eval()
    pixels = torch.rand(2, 3, given['crop_size'], given['crop_size'])
    with torch.inference_mode():
        has_class_token = getattr(vit, 'cls_token', None) is not None
        expected = vit.fc_norm(vit.forward_features(pixels)[:, 0]) if has_class_token else vit(pixels)
        torch.testing.assert_close(image_token(vit, pixels), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('family', [family for family in FAMILIES if family != 'ConvNeXt'])
def test_a_familys_adapters_begin_without_effect_are_trained_and_count_in_the_score(family, tmp_path):
    network = random_network(family, **USES['prior'], lora_rank=4, lora_towers=('visual', 'prior'))
    for name, parameter in network.named_parameters():
        if name.split('.')[-1] in ('gamma', 'gamma_1', 'gamma_2'):  # small scales would hide what layers say
            torch.nn.init.ones_(parameter)
    before, own = scores(network), {name for name in network.trained if not name.startswith(('visual.', 'prior.'))}
    add_adapters(network)
    torch.testing.assert_close(scores(network), before, atol=1e-6, rtol=0)
    network.train()(*inputs(network)).targets['quality'].score.mean().backward()
    adapters = {name: parameter for name, parameter in network.trained.items() if name not in own}
    assert all(name.startswith(('visual.', 'prior.')) and '.lora_' in name for name in adapters)
    assert [name for name, parameter in adapters.items() if parameter.grad is None] == []
    for name, parameter in adapters.items():
        if '.lora_B.' in name:
            torch.nn.init.normal_(parameter, std=0.3)
    weights = {name: tensor.contiguous() for name, tensor in plain_names(network.state_dict()).items()}
    path = save(Checkpoint(network.config, weights, {}), tmp_path / 'saved.safetensors')
    trained, (merged, _) = scores(network), load_network(path)
    assert (trained - before).abs().max() > 1e-3
    torch.testing.assert_close(scores(merged), trained, atol=1e-5, rtol=0)
    assert merged.state_dict().keys() == random_network(family, **USES['prior']).state_dict().keys()


def test_an_encoder_without_linear_layers_has_no_adapters():
    network = random_network('ConvNeXt', **USES['eq. 3'], lora_rank=4)
    with pytest.raises(OptionError, match="lora_rank is 4: no layer of 'visual' is linear and has more channels; take"):
        add_adapters(network)


@pytest.mark.parametrize('family', ['Swin', 'ConvNeXt'])
def test_later_stages_are_enlarged_to_the_first(family):
    given = options(family)
    vit = build_vit(given['visual'], given['crop_size'], **given['visual_options']).eval()
    pixels = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        first, last = vit.forward_intermediates(pixels, indices=[1, 3], intermediates_only=True)
        joined, _ = layer_features(vit, pixels, [2, 4], class_tokens=True)
    assert joined.shape == (2, 2 * (first.shape[1] + last.shape[1]), 8, 8)
    assert joined[:, : first.shape[1]].equal(first)
    enlarged, means = joined[:, first.shape[1] :].split([last.shape[1], first.shape[1] + last.shape[1]], dim=1)
    torch.testing.assert_close(enlarged[:, :, ::7, ::7], last)  # the corners
    torch.testing.assert_close(means[:, first.shape[1] :, 3, 5], last.mean(dim=(2, 3)))


@pytest.mark.parametrize('family', ['DINOv2 with registers', 'SigLIP 2'])
def test_a_trunk_is_shared_by_other_plain_vits(family):
    network = random_network(family, **TINY_BLIP, prior=True)
    network.prior.load_state_dict(network.visual.state_dict(), strict=False)
    apart = scores(network)
    network.find_shared_trunk()
    assert network.trunk == 3
    torch.testing.assert_close(scores(network), apart, atol=1e-6, rtol=0)


@pytest.mark.parametrize('family', ['SigLIP 2'])  # the one without a class token: each export takes long
def test_the_graph_of_a_family_gives_the_scores_of_torch(family, tmp_path):
    network = random_network(family, **USES['bert'], prior=True)
    path = save(Checkpoint(network.config, network.state_dict(), {'model_name': 'tiny'}), tmp_path / 'a.safetensors')
    graph = export(tmp_path / 'a.onnx', str(path))
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    given = dict(zip(NAMES, [part.numpy() for part in inputs(network)], strict=True))
    np.testing.assert_allclose(session.run(['quality_crops'], given)[0], scores(network), atol=1e-5, rtol=0)


def test_the_prior_of_a_vit_with_registers_trains_its_last_blocks():
    given = options('DINOv2 with registers', visual_options=TINY['visual_options'] | {'depth': 10})
    prior = MoEAGIQAPrior(weights='timm', **given)
    assert prior(torch.rand(2, 3, given['crop_size'], given['crop_size'])).shape == (2, 1)
    trained = {name for name, parameter in prior.vit.named_parameters() if parameter.requires_grad}
    assert {name.split('.')[0] for name in trained} == {'blocks', 'norm'}
    assert {name.split('.')[1] for name in trained if name.startswith('blocks')} == {'8', '9'}


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'visual': 'resnet18', 'visual_options': {}}, "'resnet18', a ResNet of timm: it must be a VisionTransformer, "),
        ({'visual': 'convnext_atto', 'visual_options': {'depth': 3}}, "'convnext_atto': timm cannot build it for crops"),
        (options('Swin', norm_layers=True), 'norm_layers is True: swin_tiny_patch4_window7_224.ms_in1k has no last norm'),
        (options('BEiT', norm_layers=True), 'norm_layers is True: beit_base_patch16_224.in22k_ft_in22k_in1k has no last'),
        (options('Swin', layers=[5]), r'layers is \(5,\): swin_tiny_patch4_window7_224.ms_in1k has 4 layers'),
        (options('DINOv2', crop_size=[56, 57]), r'crop_size is \(56, 57\): it must be a multiple of the patch size 14'),
        (options('DINOv2', crop_size=[28, 56], token_pool=3), r'token_pool is 3: a crop has 2 x 4 tokens'),
        (options('Swin', token_pool=3), r'token_pool is 3: a crop has 2 x 2 tokens'),
        (options('ConvNeXt', crop_size=48), 'crop_size is 48: it must be a multiple of the patch size 32'),
        (options('BEiT', crop_size=4096, crops=1), 'crop_size: beit_base_patch16_224.* numbers for the places of a crop'),
    ],
)  # fmt: skip
def test_what_no_network_can_have_is_said(changes, words):
    with pytest.raises(OptionError, match=words) as refused:
        outline(config(**changes))
    assert '\n' not in str(refused.value)


def test_a_prior_without_blocks_to_train_is_refused():
    with pytest.raises(OptionError, match=r"visual is 'swin_tiny.*freezes 8 blocks of a ViT and trains those after"):
        MoEAGIQAPrior(weights='timm', **options('Swin'))


def row(family: str) -> str:
    name = FAMILIES[family]
    pretrained = timm.get_pretrained_cfg(name)
    mean, std = (f'`[{", ".join(map("{:.3g}".format, values))}]`' for values in (pretrained.mean, pretrained.std))
    return f'| {family} | `{name}` | {patch_size(family)} | {mean} | {std} | {" | ".join("yes" for _ in USES)} |'


def test_the_table_lists_what_these_tests_run():
    assert '\n'.join(map(row, FAMILIES)) in PAGE.read_text(encoding='utf-8')


if __name__ == '__main__':
    print('\n'.join(map(row, FAMILIES)))
