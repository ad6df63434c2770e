"""Every ablation of the paper is an option of one network."""

import pytest
import torch
from tiny import COMPACT_LIKE, TINY, TINY_BLIP, TINY_CLIP, TINY_SIGLIP, config, inputs, let_all_count

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.experts import ExpertScores
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA, mean_over_crops
from pyiqa_moeagiqa.checkpoints.load import network_with
from pyiqa_moeagiqa.options import OptionError

ABLATIONS = {
    'Table 5: visual': {'branches': 'visual', 'matching': 0},
    'Table 5: semantic': {'branches': 'semantic'},
    'Table 5: both, one expert': {'experts': 1, 'top_k': 1},
    'Table 5: prior': {'prior': True},
    'Table 7: layers 1-2': {'layers': [1, 2]},
    'Table 7: layer 4': {'layers': [4]},
    'Table 8: nothing frozen': {'frozen_share': 0.0},
    'Table 9: 2 of 2': {'experts': 2, 'top_k': 2},
    'Table 9: 1 of 3': {'experts': 3, 'top_k': 1},
    'larger crop': {'crop_size': 96},
    'squares of patches': {'token_pool': 2},
    'class tokens': {'class_tokens': True},
    'whole view as a crop': {'view_is_crop': True},
    'linear': {'linear': True},
    'linear, view as a crop': {'linear': True, 'view_is_crop': True},
    'linear, visual only': {'linear': True, 'branches': 'visual', 'matching': 0},
    'BLIP, linear': TINY_BLIP | {'linear': True},
    'gates': {'matching_gates': True},
    'gates, semantic only': {'branches': 'semantic', 'matching_gates': True},
    'as the compact network': COMPACT_LIKE,
    'one target': {'targets': ['quality']},
    'BLIP': TINY_BLIP,
    'BLIP, semantic only': TINY_BLIP | {'branches': 'semantic'},
    'BLIP, prior': TINY_BLIP | {'prior': True},
    'CLIP': TINY_CLIP,
    'SigLIP, semantic only': TINY_CLIP | TINY_SIGLIP | {'branches': 'semantic', 'matching_gates': True},
    'CLIP, no matching': TINY_CLIP | {'matching': 0, 'prior': True, 'linear': True},
}


@pytest.mark.parametrize('name', ABLATIONS)
def test_every_ablation_trains(name):
    torch.manual_seed(0)
    network = MoEAGIQA(config(**ABLATIONS[name])).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    answer = network(*inputs(network))
    loss = sum(scores.score.square().mean() for scores in answer.targets.values())
    loss.backward()
    optimizer.step()
    moved = {key for key, value in network.state_dict().items() if not value.equal(before[key])}
    assert any(key.startswith('experts.') for key in moved)
    assert not any(key.startswith('visual.') for key in moved)
    assert set(answer.targets) == set(network.config.targets)


@pytest.mark.parametrize('name', ABLATIONS)
def test_what_is_known_of_the_view_is_not_computed_again(name):
    torch.manual_seed(0)
    network = MoEAGIQA(config(**ABLATIONS[name])).eval()
    let_all_count(network)
    crops, view, ids, mask = inputs(network)
    with torch.no_grad():
        expected = network(crops, view, ids, mask).targets
        known = network.encode_view(view, ids, mask)
        found = network(crops, view if network.config.view_is_crop else None, ids, mask, known).targets
    for target, scores in expected.items():
        torch.testing.assert_close(found[target].score, scores.score, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    'name', ['Table 5: both, one expert', 'Table 9: 1 of 3', 'BLIP, prior', 'as the compact network']
)
def test_every_trained_parameter_has_a_gradient(name):
    # Distributed training waits for ever for a gradient that never comes.
    network = MoEAGIQA(config(**ABLATIONS[name])).train()
    answer = network(*inputs(network))
    loss = sum(scores.score.mean() for scores in answer.targets.values())
    if answer.matching is not None:
        image, prompt = answer.matching
        loss = loss + (image @ prompt.T).mean()
    loss.backward()
    lonely = [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert lonely == []


@pytest.mark.parametrize(('share', 'fixed'), [(0.0, 0), (0.5, 1), (0.9, 1), (1.0, 2)])
def test_the_frozen_share_counts_layers(share, fixed):
    semantic = MoEAGIQA(config(**TINY_BLIP | {'frozen_share': share})).semantic
    for layers in (semantic.vision.encoder.layers, semantic.text.encoder.layer):
        assert [all(not p.requires_grad for p in layer.parameters()) for layer in layers].count(True) == fixed


def test_frozen_parts_stay_in_evaluation_mode():
    network = MoEAGIQA(config(**TINY_BLIP)).train()
    assert not network.visual.training
    assert not network.semantic.text.embeddings.training
    assert network.semantic.text.encoder.layer[1].training
    assert network.experts.training


def test_the_score_is_the_sum_over_the_chosen_experts():
    network = MoEAGIQA(config()).eval()
    answer = network(*inputs(network)).targets['quality']
    assert answer.chosen.shape[-1] == network.config.top_k
    torch.testing.assert_close(answer.gate.sum(-1), torch.ones_like(answer.score))
    torch.testing.assert_close(answer.gate.topk(network.config.top_k).indices, answer.chosen)


def test_the_prior_begins_without_effect():
    torch.manual_seed(0)
    network = MoEAGIQA(config(prior=True)).eval()
    crops, view, ids, mask = inputs(network)
    before = network(crops, view, ids, mask).targets['quality'].score
    torch.nn.init.normal_(network.prior.cls_token)
    torch.testing.assert_close(network(crops, view, ids, mask).targets['quality'].score, before)
    torch.nn.init.ones_(network.inject.w2)
    assert not torch.allclose(network(crops, view, ids, mask).targets['quality'].score, before)


def test_another_crop_size_interpolates_what_depends_on_it():
    small = MoEAGIQA(config(prior=True)).eval()
    torch.nn.init.uniform_(small.inject.w1)
    large = network_with(config(prior=True, crop_size=96), small.state_dict(), 'test', crop_size=64)
    assert large.inject.w1.shape[-2:] == (6, 6)
    assert small.inject.w1.shape[-2:] == (4, 4)
    torch.testing.assert_close(large.inject.w1.mean(), small.inject.w1.mean(), atol=0.02, rtol=0)
    assert large.eval()(*inputs(large)).targets['quality'].score.isfinite().all()


def test_the_prompt_matters_to_alignment():
    network = MoEAGIQA(config()).eval()
    crops, view, ids, mask = inputs(network)
    before = network(crops, view, ids, mask).targets['alignment'].score
    assert not torch.allclose(network(crops, view, ids.flip(1), mask).targets['alignment'].score, before)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'experts': 2, 'top_k': 3}, 'top_k is 3'),
        ({'layer': [1]}, "'layer': did you mean 'layers'?"),
        ({'layers': [3, 2]}, 'ascending'),
        ({'layers': [2, 9]}, 'has 4 layers'),
        ({'layers': 5}, 'layers is 5: it must be a list of layer numbers'),
        ({'layers': ['5']}, 'a list of layer numbers'),
        ({'pixel_mean': 0.5}, 'a list of three numbers'),
        ({'pixel_std': [1, 1]}, 'a list of three numbers'),
        ({'targets': 'quality'}, 'a list of names'),
        ({'branches': 'audio'}, "'audio'"),
        ({'frozen_share': 1.5}, 'from 0 to 1'),
        ({'crops': 0}, 'from 1 to 1024'),
        ({'crops': '5'}, 'a whole number'),
        ({'prior': 'yes'}, 'true or false'),
        ({'dropout': '1e-1'}, 'a number'),
        ({'targets': ['beauty']}, 'quality'),
        ({'channels': 33}, 'multiple of heads'),
        ({'crop_size': 65}, 'multiple of the patch size'),
        ({'visual': 'vit_tiny_patch99'}, 'vit_tiny_patch99'),
        ({'whole_view': 1}, 'whole_view is 1: it must be true or false'),
        (TINY_BLIP | {'whole_view': True}, "whole_view is True: it must be false, unless semantic is 'bert'"),
        ({'crop_scales': 512}, 'crop_scales is 512: it must be a list of at most 16 sides from 0 to'),
        ({'crop_scales': [512.0]}, 'a list of at most 16 sides'),
        ({'crop_scales': [-1]}, 'a list of at most 16 sides'),
        ({'crop_scales': [10**6]}, 'a list of at most 16 sides'),
        ({'crop_scales': [0] * 17}, 'a list of at most 16 sides'),
        (
            {'crop_weights': [1]},
            'crop_weights is [1]: it must be a list of numbers from 0.001 to 1000, one for each of',
        ),
        ({'crop_scales': [512, 0], 'crop_weights': [1]}, 'one for each of crop_scales'),
        ({'crop_scales': [512, 0], 'crop_weights': [1, 0]}, 'from 0.001 to 1000'),
        ({'crop_scales': [512], 'crop_weights': ['1']}, 'from 0.001 to 1000'),
        ({'linear': 'yes'}, 'true or false'),
        ({'linear': True, 'branches': 'semantic'}, "linear is True: it must be false if branches is 'semantic'"),
        ({'matching_gates': None}, 'true or false'),
        ({'matching_gates': True, 'matching': 0}, 'matching_gates is True: it must be false if matching is 0'),
    ],
)
def test_an_impossible_option_is_named(options, words):
    with pytest.raises(OptionError) as error:
        MoEAGIQA(MoEAGIQAConfig.from_options(TINY | options))
    assert words in str(error.value)
    assert str(error.value).count('. ') <= 1


@pytest.fixture(params=[False, True], ids=['layers as they are', 'layers normed'])
def with_prior(request):
    """A tiny v2 whose prior begins like the ViT, as pre-training leaves it, but goes on in a way of its own."""
    torch.manual_seed(0)
    network = MoEAGIQA(config(**TINY_BLIP | {'prior': True, 'norm_layers': request.param})).eval()
    own = {
        name: tensor for name, tensor in network.prior.state_dict().items() if name.startswith(('blocks.3.', 'norm.'))
    }
    network.prior.load_state_dict(network.visual.state_dict() | own)  # the ViT lacks the last block
    torch.nn.init.normal_(network.inject.w2)  # it starts at zero, where the prior would not count
    return network


def scores_and_blocks(network):
    """The scores, and how many of the ViTs' blocks were called whole: of the prior's last one only a part is computed."""
    calls = []
    hooks = [
        block.register_forward_hook(lambda *call: calls.append(1))
        for block in (*network.visual.blocks, *network.prior.blocks)
    ]
    with torch.no_grad():
        scores = network(*inputs(network)).targets['quality'].score
    for hook in hooks:
        hook.remove()
    return scores, len(calls)


def test_a_shared_trunk_is_computed_once_and_changes_no_score(with_prior):
    apart, more = scores_and_blocks(with_prior)
    with_prior.find_shared_trunk()
    assert with_prior.trunk == 3
    together, fewer = scores_and_blocks(with_prior)
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=0)
    assert (more, fewer) == (3 + 3, 3)
    with torch.no_grad():  # the prior's own block counts
        with_prior.prior.blocks[3].mlp.fc2.bias[0] += 9
    assert not torch.allclose(scores_and_blocks(with_prior)[0], together, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'shared'),
    [
        ('pos_embed', 0),
        ('cls_token', 0),
        ('patch_embed.proj.bias', 0),
        ('blocks.0.norm1.bias', 0),
        ('blocks.1.attn.qkv.weight', 1),
        ('blocks.2.mlp.fc2.bias', 2),
    ],
)
def test_a_prior_that_differs_in_one_tensor_shares_the_layers_before_it(with_prior, name, shared):
    tensor = with_prior.prior.state_dict()[name]
    tensor.view(-1)[0] += 1e-3
    apart, _ = scores_and_blocks(with_prior)
    with_prior.find_shared_trunk()
    assert with_prior.trunk == shared
    together, blocks = scores_and_blocks(with_prior)
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=0)
    assert blocks == 3 + 3 - shared


def test_the_view_weighs_the_same_however_many_crops_there_are():
    view_first = config(view_is_crop=True, crops=3)
    scores = torch.tensor([[0.2, 0.6, 0.5, 0.4]])
    torch.testing.assert_close(mean_over_crops(scores, view_first), scores.mean(dim=1, keepdim=True))
    alike = torch.tensor([[0.2, *[0.5] * 15]])
    for crops in (1, 3, 15):
        torch.testing.assert_close(mean_over_crops(alike[:, : 1 + crops], view_first), torch.tensor([[0.425]]))
    torch.testing.assert_close(mean_over_crops(scores[:, :2], config(crops=3)), torch.tensor([[0.4]]))


def test_crops_weigh_as_their_scales_do():
    turns = config(crop_scales=(512, 378, 0), crop_weights=(3, 2, 1), crops=3)
    scores = torch.tensor([[0.9, 0.3, 0.6, 0.1, 0.5]], dtype=torch.float64)
    for count, expected in ((1, 0.9), (2, 3.3 / 5), (3, 3.9 / 6), (5, (3.9 + 0.3 + 1.0) / 11)):
        assert mean_over_crops(scores[:, :count], turns).item() == pytest.approx(expected)
    first = config(view_is_crop=True, crop_scales=(512, 378, 0), crop_weights=(3, 2, 1), crops=3)
    assert mean_over_crops(scores[:, :4], first).item() == pytest.approx((0.9 + 3 * (0.9 + 1.2 + 0.1) / 6) / 4)
    assert mean_over_crops(scores[:, :2], first).item() == pytest.approx((0.9 + 3 * 0.3) / 4)
    alike = config(view_is_crop=True, crop_scales=(512, 378, 0), crop_weights=(2.5, 2.5, 2.5), crops=3)
    torch.testing.assert_close(mean_over_crops(scores[:, :4], alike), scores[:, :4].mean(dim=1, keepdim=True))


def test_the_weighted_mean_is_the_same_alone_and_under_autocast():
    turns = config(crop_scales=(512, 378, 0), crop_weights=(3, 2, 1))
    scores = torch.rand(50, 15, generator=torch.Generator().manual_seed(0))
    together = mean_over_crops(scores, turns)
    assert torch.cat([mean_over_crops(row[None], turns) for row in scores]).equal(together)
    with torch.autocast('cpu', torch.bfloat16):
        assert mean_over_crops(scores, turns).equal(together)


@pytest.mark.parametrize(
    'changes',
    [{}, {'branches': 'visual', 'matching': 0}, {'view_is_crop': True}, {'class_tokens': True, 'token_pool': 2}],
)
@torch.no_grad()
def test_where_experts_say_nothing_the_score_is_linear_in_the_features(changes):
    torch.manual_seed(0)
    network = MoEAGIQA(config(linear=True, **changes)).eval()
    let_all_count(network)
    for mixture in network.experts.values():
        for expert in mixture.experts:
            expert[-1].weight.zero_()
            expert[-1].bias.zero_()
    if hasattr(network, 'matching'):
        network.matching.weight.zero_()
    given = inputs(network)
    features, answer = network.encode(*given), network(*given)
    means = features.degradation.double().flatten(3).mean(dim=3)  # (N, n, D)
    for place, name in enumerate(network.config.targets):
        parts = [
            network.linear.view if network.config.view_is_crop and crop == 0 else network.linear.crops
            for crop in range(means.shape[1])
        ]
        expected = torch.stack(
            [
                means[:, crop] @ part.weight[place].double() + part.bias[place].double()
                for crop, part in enumerate(parts)
            ],
            dim=1,
        )
        assert expected.std() > 1e-3
        torch.testing.assert_close(answer.targets[name].score.double(), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_linear_score_is_added_to_the_experts():
    torch.manual_seed(0)
    network = MoEAGIQA(config(linear=True)).eval()
    let_all_count(network)
    given = inputs(network)
    both = network(*given).targets
    linear = network.linear(network.encode(*given).degradation.mean(dim=(3, 4)))
    for part in (network.linear.crops.weight, network.linear.crops.bias):
        part.zero_()
    alone = network(*given).targets
    for place, name in enumerate(alone):
        torch.testing.assert_close(both[name].score, alone[name].score + linear[..., place], atol=1e-5, rtol=0)
        assert not torch.allclose(both[name].score, alone[name].score, atol=1e-3)


@torch.no_grad()
def test_gates_start_open():
    torch.manual_seed(0)
    gated = MoEAGIQA(config(matching_gates=True)).eval()
    plain = MoEAGIQA(config()).eval()
    own = {name: tensor for name, tensor in gated.state_dict().items() if name in plain.state_dict()}
    assert set(gated.state_dict()) - set(own) == {
        f'matching.{name}' for name in ('floor', 'threshold', 'steepness', 'gain')
    }
    plain.load_state_dict(own)
    given = inputs(plain)
    expected, answer = plain(*given), gated(*given)
    for name in expected.targets:
        assert answer.targets[name].score.equal(expected.targets[name].score)
    assert answer.matching[0].equal(expected.matching[0])


@torch.no_grad()
def test_a_gate_shuts_where_image_and_prompt_do_not_match():
    matching = MoEAGIQA(config(matching_gates=True)).matching
    matching.weight.zero_()
    matching.steepness.copy_(torch.tensor([50.0, 0.0]))
    matching.threshold.fill_(0.3)
    matching.gain.copy_(torch.tensor([1.0, 2.0]))
    matching.floor.fill_(0.125)
    score = torch.tensor([[0.75, 0.5]] * 3)
    targets = {name: ExpertScores(score, None, None) for name in ('quality', 'alignment')}
    answer = matching.add_to(targets, torch.tensor([-0.5, 0.3, 1.0]))
    shut, half, opened = answer['quality'].score
    torch.testing.assert_close(shut, torch.full((2,), 0.125))
    torch.testing.assert_close(half, (score[0] + 0.125) / 2)
    torch.testing.assert_close(opened, score[0])
    torch.testing.assert_close(answer['alignment'].score, score)  # its gate has no steepness


@torch.no_grad()
def test_gates_change_scores_once_they_are_steep():
    torch.manual_seed(0)
    network = MoEAGIQA(config(**COMPACT_LIKE)).eval()
    given = inputs(network)
    before = network(*given).targets['alignment'].score
    let_all_count(network)
    assert not torch.allclose(network(*given).targets['alignment'].score, before, atol=1e-3)


def test_tokens_are_not_pooled_over_more_than_a_crop_has():
    assert MoEAGIQA(config(token_pool=4))
    with pytest.raises(OptionError, match='token_pool is 5: a crop has 4 x 4 tokens'):
        MoEAGIQA(config(token_pool=5))
