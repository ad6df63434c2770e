"""Each example runs on a tiny random pipeline, and does what its first line says."""

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import tiny_pipeline
import torch
from PIL import Image

EXAMPLES = Path(__file__).parent.parent.parent / 'examples'
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob('*.py') if path.stem != 'pipelines')
CAT = 'a cat'


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory):
    return str(tiny_pipeline.write(tmp_path_factory.mktemp('tiny')))


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / 'prompts.txt').write_text('a cat\na dog\n')
    return str(tmp_path / 'prompts.txt')


@pytest.mark.parametrize('name', SCRIPTS)
def test_help_shows_how_it_is_called(name, capsys):
    with pytest.raises(SystemExit, match='0'):
        importlib.import_module(name).main(['--help'])
    assert f'python examples/{name}.py' in capsys.readouterr().out


def test_the_best_of_n_is_the_best_and_can_be_made_again(pipeline, tiny_checkpoint, tmp_path, capsys):
    best_of_n = importlib.import_module('best_of_n')
    words = [pipeline, '--prompt', CAT, '--batch', '2', '--steps', '2', '--weights', str(tiny_checkpoint)]
    words += ['--output', str(tmp_path / 'best.png')]
    best, seed, image = best_of_n.main([*words, '--count', '5'])
    reward = best_of_n.Reward(pretrained_model_path=str(tiny_checkpoint))
    with Image.open(tmp_path / 'best.png') as written:
        assert reward([written], CAT).item() == best == pytest.approx(reward([image], CAT).item())
    assert '5 of 5 images' in capsys.readouterr().out
    again, _, _ = best_of_n.main([*words, '--count', '9', '--enough', str(best - 1)])
    assert '2 of 9 images' in capsys.readouterr().out.splitlines()[-1]  # good enough after the first batch
    assert again <= best
    assert 0 <= seed < 5


def test_refl_raises_the_reward_in_20_updates(pipeline, prompts, tiny_checkpoint, tmp_path):
    refl = importlib.import_module('refl')
    words = [pipeline, '--prompts', prompts, '--output', str(tmp_path / 'lora'), '--updates', '20', '--batch', '2']
    before, after = refl.main([*words, '--steps', '4', '--rate', '0.03', '--weights', str(tiny_checkpoint)])
    assert after > before + 0.005
    assert any((tmp_path / 'lora').glob('*.safetensors'))


def test_ddpo_samples_and_updates(pipeline, prompts, tiny_checkpoint, tmp_path):
    ddpo = importlib.import_module('ddpo')
    words = [pipeline, '--prompts', prompts, '--output', str(tmp_path / 'lora'), '--epochs', '2', '--steps', '3']
    words += ['--prompts-at-once', '2', '--batch', '2', '--weights', str(tiny_checkpoint)]
    rows = ddpo.main(words)
    assert [row['first ratio'] for row in rows] == pytest.approx([1, 1], abs=1e-4)  # of the same weights
    assert len({row['reward'] for row in rows}) == 2
    (file,) = (tmp_path / 'lora').glob('*.safetensors')
    weights = importlib.import_module('safetensors.torch').load_file(file)
    assert any(tensor.abs().sum() > 0 for name, tensor in weights.items() if 'lora_B' in name)  # zero at the start


def test_ddpo_draws_as_ddim_does(pipeline):
    """diffusers' own step, given the same noise, ends where our distribution's mean and deviation say."""
    ddpo = importlib.import_module('ddpo')
    loaded = importlib.import_module('pipelines').load(pipeline, 2, 4)
    latents, noise, drawn = torch.randn(3, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for time in loaded.scheduler.timesteps:
        distribution = ddpo.next_latents(loaded.scheduler, noise, time, latents)
        theirs = loaded.scheduler.step(noise, time, latents, eta=1.0, variance_noise=drawn).prev_sample
        torch.testing.assert_close(distribution.loc + distribution.scale * drawn, theirs, atol=2e-3, rtol=1e-3)


def test_ddpo_compares_images_of_one_prompt():
    ddpo = importlib.import_module('ddpo')
    gain = ddpo.advantages(torch.tensor([1.0, 3.0, 11.0, 13.0]), ['a', 'a', 'b', 'b'])
    assert gain.tolist() == pytest.approx([-gain[1].item(), gain[1].item()] * 2)
    assert gain[1] > 0


@pytest.fixture
def table(pictures, tmp_path):
    rows = [(str(path.relative_to(tmp_path)), CAT) for path in sorted(pictures.rglob('*.[pjw]*'))]
    pd.DataFrame(rows, columns=['path', 'prompt']).to_csv(tmp_path / 'table.csv', index=False)
    return str(tmp_path / 'table.csv')


def test_the_guard_watches_a_rise_that_is_none(table, tiny_checkpoint, capsys):
    guard = importlib.import_module('guard')
    rows = guard.main([table, '--images', '2', '--steps', '2', '--weights', str(tiny_checkpoint)])
    assert [len(row['signs']) for row in rows[:1]] == [0]
    assert rows[0]['quality'] < rows[1]['quality'] < rows[2]['quality']
    assert set(rows[0]) == {'quality', 'alignment', 'taken', 'piqe', 'signs'}
    assert 'step 2: quality' in capsys.readouterr().out


def test_the_guard_says_which_picture_is_missing(tmp_path, capsys):
    guard = importlib.import_module('guard')
    (tmp_path / 'table.csv').write_text('path,prompt\ngone.png,a cat\n')
    with pytest.raises(SystemExit) as ended:
        guard.main([str(tmp_path / 'table.csv')])
    assert ended.value.code == 2
    assert "gone.png' (the paths in" in capsys.readouterr().err


def test_each_sign_is_given_for_what_got_worse(tiny_checkpoint):
    guard = importlib.import_module('guard')
    watching = guard.Guard(guard.Reward(pretrained_model_path=str(tiny_checkpoint)), ['piqe', 'entropy'])
    watching.first = {'quality': 0.5, 'alignment': 0.5, 'taken': 0.0, 'piqe': 30, 'entropy': 6, 'novel': 0.0}
    assert watching.signs(watching.first | {'quality': 0.9}) == []
    worse = {
        'alignment': 0.4,
        'taken': 0.2,
        'piqe': 40,
        'entropy': 5,
        'novel': 0.25,
    }  # PIQE falls where pictures improve
    for name, value in worse.items():
        assert watching.signs(watching.first | {name: value}) == [name]


def test_the_guard_moves_no_pixel_farther_than_it_may(tiny_checkpoint):
    guard = importlib.import_module('guard')
    reward, start = guard.Reward(pretrained_model_path=str(tiny_checkpoint)), torch.rand(3, 70, 70)
    moved = guard.climb(reward, guard.climb(reward, start, start, CAT, 0.02, 0.01), start, CAT, 0.02, 0.01)
    assert 0 < (moved - start).abs().max() <= 0.0101
    assert sys.modules['guard'].compressed(start).shape == start.shape
