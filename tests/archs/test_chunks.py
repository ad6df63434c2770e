import pytest
import timm
import torch
from tiny import config, inputs

from pyiqa_moeagiqa.archs.chunks import TOKENS_AT_ONCE, crops_at_once, in_chunks, without_twins
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.vit import image_token, tokens_after

CPU, CUDA = torch.device('cpu'), torch.device('cuda')


def test_a_processor_takes_a_few_crops_at_a_time_and_an_accelerator_all():
    assert crops_at_once(197, CPU) == TOKENS_AT_ONCE // 197
    assert crops_at_once(10 * TOKENS_AT_ONCE, CPU) == 1
    assert crops_at_once(197, CUDA) > 10**6
    with torch.autocast('cpu', torch.bfloat16):
        assert crops_at_once(197, CPU) > 4 * TOKENS_AT_ONCE // 197


@pytest.mark.parametrize('size', [1, 2, 3, 7, 100])
def test_all_rows_are_computed_in_their_order(size):
    rows, sizes = torch.arange(7.0), []

    def double(chunk):
        sizes.append(len(chunk))
        return 2 * chunk, None

    answer, nothing = in_chunks(double, rows, size)
    torch.testing.assert_close(answer, 2 * rows, rtol=0, atol=0)
    assert nothing is None
    assert max(sizes) <= size


def test_without_enough_memory_chunks_are_halved_until_they_fit():
    tried = []

    def fits_two(chunk):
        tried.append(len(chunk))
        if len(chunk) > 2:
            raise torch.OutOfMemoryError
        return (chunk + 1,)

    (answer,) = in_chunks(fits_two, torch.arange(9.0), 2**31)
    assert answer.tolist() == list(range(1, 10))
    assert tried == [9, 5, 3, 2, 2, 2, 2, 1]


def test_one_row_that_does_not_fit_is_said():
    def fits_none(chunk):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        in_chunks(fits_none, torch.zeros(3), 2)


@pytest.mark.parametrize('options', [{'branches': 'visual', 'matching': 0}, {'view_is_crop': True}, {'prior': True}])
def test_chunks_change_no_score(options, monkeypatch):
    torch.manual_seed(0)
    network = MoEAGIQA(config(**options)).eval()
    given = inputs(network, images=3)
    with torch.no_grad():
        together = network(*given).targets['quality'].score
        monkeypatch.setattr('pyiqa_moeagiqa.archs.chunks.TOKENS_AT_ONCE', 1)
        alone = network(*given).targets['quality'].score
    assert together.std() > 0
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    'options',
    [{}, {'init_values': 0.5}, {'qk_norm': True}, {'qkv_bias': False}, {'depth': 1}, {'scale_attn_norm': True}],
)
@pytest.mark.parametrize('layers', [None, 1, 2, 4])
def test_the_class_token_is_the_one_of_the_whole_network(options, layers):
    torch.manual_seed(0)
    size = {'embed_dim': 32, 'depth': 4, 'num_heads': 2, 'img_size': 64, 'num_classes': 0}
    vit = timm.create_model('vit_tiny_patch16_224', **size | options).eval()
    torch.nn.init.normal_(vit.cls_token)
    layers = layers and min(layers, len(vit.blocks))
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        given = (tokens_after(vit, pixels, [layers])[layers], layers) if layers else ()
        whole = vit.forward_features(pixels)[:, 0]
        torch.testing.assert_close(image_token(vit, pixels, *given), whole, atol=1e-5, rtol=0)
        vit.train()
        torch.testing.assert_close(image_token(vit, pixels, *given), whole, atol=1e-5, rtol=0)


def test_twins_are_computed_once():
    one, other = torch.rand(2, 3, 4, 4)
    kept, of = without_twins(torch.stack([one, other, one, other]))
    assert kept.equal(torch.stack([one, other]))
    assert of == [0, 1, 0, 1]
    kept, of = without_twins(torch.stack([one, other]))
    assert kept.equal(torch.stack([one, other]))
    assert of is None
