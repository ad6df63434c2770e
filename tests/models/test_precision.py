"""Mixed precision: which type a device gets, what is refused, and that a step's losses stay what they are."""

from contextlib import nullcontext

import pytest
import torch
from training.pictures import batch, build, make_table, options, plain

from pyiqa_moeagiqa.models import precision
from pyiqa_moeagiqa.models.precision import Precision
from pyiqa_moeagiqa.options import OptionError

CPU, GPU = torch.device('cpu'), torch.device('cuda')


@pytest.mark.parametrize(
    ('amp', 'device', 'fast', 'expected'),
    [
        (True, CPU, torch.bfloat16, torch.bfloat16),
        (True, CPU, torch.float32, torch.float32),
        (True, GPU, torch.bfloat16, torch.bfloat16),
        (True, GPU, torch.float32, torch.float16),  # an older GPU: float16 with a scaled loss
        (False, GPU, torch.bfloat16, torch.float32),
        ('bfloat16', CPU, torch.float32, torch.bfloat16),  # asked for by name
        ('float16', GPU, torch.bfloat16, torch.float16),
    ],
)
def test_the_type_follows_option_and_hardware(monkeypatch, amp, device, fast, expected):
    monkeypatch.setattr(precision, 'fast_dtype', lambda device: fast)
    monkeypatch.setattr(torch.cuda.amp.common, 'amp_definitely_not_available', lambda: False)
    chosen = Precision(amp, device)
    assert chosen.dtype == expected
    assert chosen.scaler.is_enabled() == (expected == torch.float16)


def test_float16_on_a_processor_is_refused():
    with pytest.raises(OptionError, match="amp is 'float16': on a processor it must be true, false or 'bfloat16'"):
        Precision('float16', CPU)


def losses(opt, folder, amp):
    model, data = build(plain(opt, amp=amp, ranking_weight=0.1, matching_weight=0.1), folder)
    model.feed_data(batch(data, range(4)))
    model.optimize_parameters(1)
    assert all(parameter.dtype == torch.float32 for parameter in model.trained.values())
    return model.log_dict


def test_a_step_in_bfloat16_has_nearly_the_losses_of_float32(tiny_checkpoint, tmp_path):
    opt = options(make_table(tmp_path), tiny_checkpoint)
    exact, fast = losses(opt, tmp_path, False), losses(opt, tmp_path, 'bfloat16')
    assert fast == pytest.approx(exact, rel=0.03, abs=0.01)
    assert fast != exact  # it was in use


@pytest.mark.parametrize('fails', [False, True])
def test_matrix_products_are_less_exact_within_steps_alone(tiny_checkpoint, tmp_path, monkeypatch, fails):
    model, data = build(plain(options(make_table(tmp_path), tiny_checkpoint), matmul_precision='high'), tmp_path)
    seen, losses = [], model.losses

    def watched():
        seen.append(torch.get_float32_matmul_precision())
        if fails:
            raise KeyError
        return losses()

    monkeypatch.setattr(model, 'losses', watched)
    model.feed_data(batch(data, range(4)))
    with pytest.raises(KeyError) if fails else nullcontext():
        model.optimize_parameters(1)
    assert (seen, torch.get_float32_matmul_precision()) == (['high'], 'highest')
    model.test()
    assert torch.get_float32_matmul_precision() == 'highest'
