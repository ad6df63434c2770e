"""``moeagiqa rank``: each prompt's best first, and winners in a folder under names that do not collide."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from command_line import refused, run

from pyiqa_moeagiqa.checkpoints import read, save
from pyiqa_moeagiqa.scoring.ranking import file_names


@pytest.fixture(autouse=True)
def _wide(columns):
    columns(300)


@pytest.fixture
def rank(tiny_checkpoint):
    """How ``moeagiqa rank`` with the tiny network begins."""
    return 'rank', '--weights', tiny_checkpoint


def shown(result) -> list[list[str]]:
    """The cells of the table that was printed, without its header."""
    return [[cell.strip() for cell in line.split('│')[1:-1]] for line in result.stdout.splitlines() if '│' in line]


@pytest.fixture
def prompts(pictures):
    path = pictures / 'prompts.csv'
    path.write_text('path,prompt\na.png,A red fox!\nb.jpg,a red fox?\nsub/c.webp,A red fox!\n')
    return path


def test_each_prompts_best_is_first(rank, pictures, prompts):
    result = run(*rank, pictures, '--prompts', prompts)
    rows = shown(result)
    assert [row[:2] for row in rows] == [['A red fox!', '1'], ['', '2'], ['a red fox?', '1']]
    assert {rows[0][2], rows[1][2]} == {str(pictures / 'a.png'), str(pictures / 'sub' / 'c.webp')}
    assert float(rows[0][3]) >= float(rows[1][3])
    assert result.stdout.count('├') == 1, 'a line between the prompts'


def test_lower_is_first_where_it_is_better(pictures):
    result = run('rank', pictures / '?.*', '--metric', 'piqe')
    scores = [float(row[-1]) for row in shown(result)]
    assert scores == sorted(scores)


@pytest.mark.parametrize(('option', 'are_links'), [('--copy-to', False), ('--link-to', True)])
def test_winners_are_put_into_a_folder(rank, pictures, prompts, tmp_path, option, are_links):
    folder = tmp_path / 'new' / 'best'
    result = run(*rank, pictures, '--prompts', prompts, option, folder)
    best = shown(result)[0][2]
    first, second = sorted(folder.iterdir())
    assert (first.stem, second.name) == ('a-red-fox-1', 'a-red-fox-2-1.jpg')
    assert first.suffix == best[best.rfind('.') :]
    assert first.read_bytes() == Path(best).read_bytes()
    assert [path.is_symlink() for path in (first, second)] == [are_links] * 2
    assert f'2 images in {folder}' in result.stdout


def test_more_than_one_may_win(rank, pictures, tmp_path):
    run(*rank, pictures, '--prompt', 'cats', '--top', 2, '--copy-to', tmp_path / 'best')
    assert sorted(path.stem for path in (tmp_path / 'best').iterdir()) == ['cats-1', 'cats-2']


def test_nothing_is_overwritten(rank, pictures, prompts, tmp_path):
    (tmp_path / 'best').mkdir()
    (tmp_path / 'best' / 'mine.txt').write_text('mine')
    for folder, reason in ((tmp_path / 'best', 'there is something in it'), (prompts, 'a file, not a folder')):
        words = refused(*rank, pictures, '--prompts', prompts, '--copy-to', folder)
        assert f'{folder}: {reason}' in words
    assert [path.name for path in (tmp_path / 'best').iterdir()] == ['mine.txt']


def test_winners_go_one_way(rank, pictures):
    assert 'give either --copy-to DIR or --link-to DIR' in refused(
        *rank, pictures, '--prompt', 'x', '--copy-to', 'a', '--link-to', 'b'
    )


def test_one_that_fails_is_said_and_the_rest_is_ranked(rank, pictures):
    (pictures / 'a.png').write_text('no image')
    result = run(*rank, pictures, '--prompt', 'a cat', code=1)
    assert f'{pictures / "a.png"}: not scored: no image that Pillow can read' in result.stderr
    assert [row[1] for row in shown(result)] == ['1', '2']


def test_one_that_cannot_be_copied_is_said_and_the_rest_is(rank, pictures, prompts, tmp_path, monkeypatch):
    from pyiqa_moeagiqa.scoring import ranking

    copy = ranking.shutil.copy2

    def fail_once(source, target):
        if str(source).endswith('.jpg'):
            raise PermissionError(13, 'Permission denied')
        copy(source, target)

    monkeypatch.setattr(ranking.shutil, 'copy2', fail_once)
    result = run(*rank, pictures, '--prompts', prompts, '--copy-to', tmp_path / 'best', code=1)
    assert f'b.jpg: not in {tmp_path / "best"}: permission denied' in result.stderr
    assert [path.stem for path in (tmp_path / 'best').iterdir()] == ['a-red-fox-1']


@pytest.mark.parametrize('ending', ['csv', 'parquet'])
def test_the_output_is_sorted_with_its_rank_and_answers_a_second_run(rank, pictures, tmp_path, monkeypatch, ending):
    prompts = pictures / 'prompts.csv'
    prompts.write_text('path,prompt\na.png,a cat\nb.jpg,a dog\nsub/c.webp,a cat\n')
    arguments = (pictures, '--prompts', prompts, '--output', tmp_path / f's.{ending}')
    first = run(*rank, *arguments)
    table = pd.read_csv(tmp_path / 's.csv') if ending == 'csv' else pd.read_parquet(tmp_path / 's.parquet')
    assert table.columns[0] == 'rank'
    assert list(zip(table['prompt'], table['rank'], strict=True)) == [('a cat', 1), ('a cat', 2), ('a dog', 1)]
    assert table['score'].iloc[0] > table['score'].iloc[1]
    before = (tmp_path / f's.{ending}').read_bytes()
    monkeypatch.setattr('pyiqa_moeagiqa.metrics.moeagiqa.MoEAGIQAMetric._assess', None)  # nothing is computed again
    assert run(*rank, *arguments).stdout == first.stdout.replace(f'.{ending}\n', f'.{ending} (3 were there already)\n')
    assert (tmp_path / f's.{ending}').read_bytes() == before


def test_a_file_that_score_wrote_is_sorted_and_score_does_not_go_on_with_a_sorted_one(
    rank, pictures, tiny_checkpoint, tmp_path
):
    arguments = (pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run('score', '--weights', tiny_checkpoint, *arguments)
    assert '3 scores in' in run(*rank, *arguments).stdout
    assert pd.read_csv(tmp_path / 's.csv')['rank'].tolist() == [1, 2, 3]
    assert 'sorted by rank; go on with "moeagiqa rank"' in refused('score', '--weights', tiny_checkpoint, *arguments)


def test_a_new_picture_under_an_old_name_wins_or_loses_by_its_own_score(rank, pictures, tmp_path):
    def winner(folder):
        return (next(folder.iterdir())).read_bytes()

    arguments = (pictures / 'a.png', pictures / 'b.jpg', '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run(*rank, *arguments, '--copy-to', tmp_path / 'one')
    names = {(pictures / name).read_bytes(): name for name in ('a.png', 'b.jpg')}
    best = names[winner(tmp_path / 'one')]
    (pictures / best).write_bytes((pictures / 'sub' / 'c.webp').read_bytes())
    result = run(*rank, *arguments, '--copy-to', tmp_path / 'two')
    assert '1 was there already; 1 was redone, as its image has changed' in result.stdout
    fresh = run(*rank, *arguments[:-1], tmp_path / 'fresh.csv')
    assert shown(result)[0] == shown(fresh)[0]


def test_winners_are_known_to_have_a_place_before_the_work(rank, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr('pyiqa_moeagiqa.scoring.ranking.start', None)  # would be the work
    (tmp_path / 'file').write_text('')
    assert f'{tmp_path / "file" / "best"}: it cannot be written' in refused(
        *rank, pictures, '--prompt', 'x', '--copy-to', tmp_path / 'file' / 'best'
    )


def test_the_table_may_be_cut_to_the_best(rank, pictures):
    rows = shown(run(*rank, pictures, '--prompt', 'a cat', '--top', 2))
    assert [row[1] for row in rows] == ['1', '2']


def test_images_of_different_sizes_are_said_to_be(rank, pictures):
    assert 'The images differ in size' in run(*rank, pictures, '--prompt', 'a cat').stdout
    assert 'differ in size' not in run(*rank, pictures / 'a.png', pictures / 'b.jpg', '--prompt', 'a cat').stdout


def test_ranks_do_not_go_to_standard_output(rank, pictures):
    assert 'ranks are known once all is scored' in refused(*rank, pictures, '--prompt', 'x', '--output', '-')


def test_a_calibrated_checkpoint_says_where_the_best_is_no_clear_one(pictures, prompts, tiny_checkpoint, tmp_path):
    checkpoint = read(tiny_checkpoint)
    checkpoint.info |= {'dataset': 'agiqa3k', 'mos_range': [0, 5], 'interval': {'quality': [-9, 9]}}
    wide = save(checkpoint, tmp_path / 'wide.safetensors')
    checkpoint.info['interval'] = {'quality': [-1e-9, 1e-9]}
    narrow = save(checkpoint, tmp_path / 'narrow.safetensors')
    result = run('rank', pictures, '--prompts', prompts, '--weights', wide)
    assert "In 1 of 1 prompts the second's MOS lies within the 80 % interval of the best one's" in result.stdout
    assert all(name in result.stdout for name in ('mos', 'low', 'high', 'percentile'))
    assert 'look at both' not in run('rank', pictures, '--prompts', prompts, '--weights', narrow).stdout


def test_long_prompts_are_an_option(rank, pictures):
    assert run(*rank, pictures, '--prompt', 'word ' * 99, '--long-prompts', 'window').stderr == ''
    assert "long_prompts is 'all'" in refused(*rank, pictures, '--prompt', 'x', '--long-prompts', 'all')
    assert '--metric piqe takes no --long-prompts' in refused(
        'rank', pictures, '--metric', 'piqe', '--long-prompts', 'cut'
    )


def test_names_differ_and_fit():
    prompts = ['A cat', 'a cat!', 'a cat 2', '...', '雪の中の猫', 'x' * 999, 'x' * 998, '../../etc', 'é' * 99]
    names = file_names(prompts)
    assert [names[prompt] for prompt in prompts[:5]] == ['a-cat', 'a-cat-2', 'a-cat-2-2', 'prompt', '雪の中の猫']
    assert len(set(names.values())) == len(prompts)
    assert max(len(name.encode()) for name in names.values()) < 100
    assert names['../../etc'] == 'etc'


def test_images_of_one_score_stay_in_order(tmp_path, pictures):
    from pyiqa_moeagiqa.scoring.tables import ranked

    table = pd.DataFrame({'path': list('abc'), 'prompt': 'x', 'score': [0.5, torch.nan, 0.5]})
    assert ranked(table, False)['path'].tolist() == ranked(table, True)['path'].tolist() == ['a', 'c', 'b']
