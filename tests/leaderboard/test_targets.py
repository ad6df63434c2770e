"""Which MOS column stands against which score, and that one look at an image gives the scores of all targets."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.leaderboard.statistics import srcc
from pyiqa_moeagiqa.leaderboard.targets import Asked, parse_targets, target_for
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.scoring import by_content
from pyiqa_moeagiqa.scoring.command import make_metric
from pyiqa_moeagiqa.scoring.scale import targets_of
from pyiqa_moeagiqa.scoring.sources import SourceError


def metric(*targets):
    network = SimpleNamespace(config=SimpleNamespace(targets=targets))
    return SimpleNamespace(net=SimpleNamespace(network=network, target=targets[0]))


def test_columns_and_targets():
    assert parse_targets(['mos=quality', 'alignment', 'mos=quality', 'quality=quality']) == [
        Asked('mos', 'quality'), Asked('alignment'), Asked('quality', 'quality'),
    ]  # fmt: skip
    assert [one.label for one in parse_targets(['mos=quality', 'quality=quality', 'x'])] == [
        'mos=quality', 'quality', 'x',
    ]  # fmt: skip
    for texts, said in (
        ([], 'names no MOS column'),
        (['mos='], 'COLUMN=TARGET'),
        (['=quality'], 'COLUMN=TARGET'),
        (['generator'], 'holds no MOS'),
    ):
        with pytest.raises(SourceError, match=said):
            parse_targets(texts)


def test_what_a_column_is_compared_with():
    ours = metric('quality', 'alignment')
    assert target_for(targets_of(ours), Asked('mos', 'alignment')) == 'alignment'
    assert target_for(targets_of(ours), Asked('alignment')) == 'alignment'
    assert target_for(targets_of(ours), Asked('beauty')) == 'quality'
    assert target_for(targets_of(metric('beauty', 'quality')), Asked('beauty')) == 'beauty'
    assert target_for(targets_of(SimpleNamespace(net=SimpleNamespace())), Asked('beauty', 'x')) == ''  # as of piqe
    for asked in (Asked('mos', 'beauty'), Asked('authenticity')):  # the latter is a target of a data set: no quality
        with pytest.raises(OptionError, match='this checkpoint scores quality, alignment'):
            target_for(targets_of(ours), asked)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Eight pictures of noise with two MOS."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(random.integers(0, 256, (70, 70, 3), dtype=np.uint8)).save(f'{number}.png')
    rows = pd.DataFrame({'path': [f'{n}.png' for n in range(8)], 'prompt': [f'a cat {n % 3}' for n in range(8)]})
    return rows.assign(alignment=random.uniform(0, 5, 8), mine=random.uniform(0, 5, 8))


@pytest.fixture
def scored(monkeypatch):
    """The images that were scored."""
    names, score_items = [], by_content.score_items

    def spy(metric, items):
        items = list(items)
        names.extend(item.path.name for item in items)
        return score_items(metric, items)

    monkeypatch.setattr(by_content, 'score_items', spy)
    return names


def run(table, target, weights, *more):
    table.to_csv('set.csv', index=False)
    arguments = ['--metrics', f'ours=moeagiqa:{weights},entropy', '--data', 'set.csv', '--target', target, *more]
    return CliRunner().invoke(app, ['leaderboard', *arguments])


def scores_by_hand(table, weights, target):
    metric = make_metric('moeagiqa', {'pretrained_model_path': str(weights), 'target': target})
    return [
        float(metric(path, caption_list=[prompt])) for path, prompt in zip(table['path'], table['prompt'], strict=True)
    ]


def test_each_image_is_scored_once_for_all_targets(table, scored, tiny_checkpoint):
    result = run(table, 'mine=quality,alignment', tiny_checkpoint)
    assert result.exit_code == 0, result.output
    assert len(scored) == 2 * 8  # by two metrics
    rows = pd.read_csv('leaderboard/leaderboard.csv').set_index(['metric', 'target'])
    left = pd.read_csv('leaderboard/scores.csv')
    for label, column, target in (('mine=quality', 'mine', 'quality'), ('alignment', 'alignment', 'alignment')):
        scores = scores_by_hand(table, tiny_checkpoint, target)
        own = pd.DataFrame({'score': scores, 'mos': table[column]})
        assert rows.loc[('ours', label), 'srcc'] == pytest.approx(srcc(own))
        assert left[f'ours {target}'].tolist() == pytest.approx(scores, abs=1e-6)
        assert left[f'MOS {column}'].tolist() == pytest.approx(table[column].tolist())
    assert 'its quality is compared' in rows.loc[('ours', 'mine=quality'), 'how']
    assert rows.loc[('ours', 'alignment'), 'how'] == 'zero-shot'
    assert len(left) == 8
    assert list(left.columns[:3]) == ['data', 'path', 'prompt']
    assert left['entropy'].notna().all()


def test_a_second_run_scores_what_either_target_lacks(table, scored, tiny_checkpoint):
    assert run(table, 'mine=quality', tiny_checkpoint).exit_code == 0
    assert run(table, 'mine=quality,alignment', tiny_checkpoint).exit_code == 0
    assert len(scored) == 8 + 8 + 8  # two metrics, then those of ours that lacked alignment
    assert run(table, 'alignment,mine', tiny_checkpoint).exit_code == 0
    assert len(scored) == 8 + 8 + 8
    Image.new('RGB', (70, 70), 'red').save('3.png')
    assert run(table, 'alignment,mine', tiny_checkpoint).exit_code == 0
    assert scored[24:] == ['3.png', '3.png']
    for file in Path('leaderboard/scores').glob('*.parquet'):
        kept = pd.read_parquet(file)
        assert len(kept) == 9
        assert not kept.duplicated(['path', 'prompt']).any()


def test_a_column_of_ones_own_is_compared_with_quality(table, tiny_checkpoint):
    assert run(table, 'mine', tiny_checkpoint).exit_code == 0
    row = pd.read_csv('leaderboard/leaderboard.csv').set_index('metric').loc['ours']
    own = pd.DataFrame({'score': scores_by_hand(table, tiny_checkpoint, 'quality'), 'mos': table['mine']})
    assert row['srcc'] == pytest.approx(srcc(own))
    assert row['how'] == 'zero-shot; its quality is compared'
    result = run(table, 'mine=beauty', tiny_checkpoint)
    assert result.exit_code == 1
    rows = pd.read_csv('leaderboard/leaderboard.csv', keep_default_na=False).set_index('metric')
    assert rows.loc['ours', 'reason'] == "target is 'beauty': this checkpoint scores quality, alignment."
    assert rows.loc['entropy', 'reason'] == ''


def test_two_names_of_one_column_are_one_error(table, tiny_checkpoint):
    result = run(table.rename(columns={'mine': 'MOS'}), 'mos=quality,quality', tiny_checkpoint)
    assert result.exit_code == 2
    assert "--target mos=quality and quality both mean column 'MOS'" in result.stderr


def test_options_are_for_our_metrics_and_the_device_for_all(table, tiny_checkpoint):
    assert run(table, 'mine', tiny_checkpoint).exit_code == 0
    result = run(table, 'mine', tiny_checkpoint, '--fast', '--device', 'cpu', '--output', 'other')
    assert result.exit_code == 0, result.output
    made = [pd.read_csv(f'{folder}/scores.csv') for folder in ('leaderboard', 'other')]
    assert not np.allclose(made[0]['ours quality'], made[1]['ours quality'], atol=1e-9)  # one crop
    assert made[0]['entropy'].equals(made[1]['entropy'])
    result = run(table, 'mine', tiny_checkpoint, '--device', 'abacus', '--output', 'none')
    assert result.exit_code == 2
    assert '--device abacus' in result.stderr
    result = run(table, 'mine', tiny_checkpoint, '--crops', '1', '--dtype', 'float7', '--output', 'none')
    assert result.exit_code == 1
    assert "ours: dtype is 'float7'" in result.output
