"""The ``moeagiqa`` command as a user meets it: answers, files, one sentence for what is wrong, exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pandas as pd
import pytest
import torch
from command_line import refused, run
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tables import read_table, write_table

from pyiqa_moeagiqa.archs.hardware import fast_dtype
from pyiqa_moeagiqa.scoring.command import make_metric

HEAVY = ('torch', 'pandas', 'pyiqa', 'timm', 'transformers', 'tqdm', 'numpy')


@pytest.fixture(autouse=True)
def _quiet_and_elsewhere(tmp_path, monkeypatch, columns):
    (tmp_path / 'work').mkdir()
    monkeypatch.chdir(tmp_path / 'work')
    monkeypatch.setenv('MOEAGIQA_HOME', str(tmp_path / 'home'))
    columns(80)


@pytest.fixture
def score(tiny_checkpoint):
    """How ``moeagiqa score`` with the tiny network begins."""
    return 'score', '--weights', tiny_checkpoint


def shown_scores(result) -> list[float]:
    """The last column of the table that was printed; a row may go over several lines."""
    rows = [line.split('│') for line in result.stdout.splitlines() if '│' in line]
    return [float(cells[-2]) for cells in rows if cells[-2].strip()]


def damage(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# -- score ----------------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy():
    code = (
        'import sys\nfrom pyiqa_moeagiqa.cli import app\n'
        "try: app(['--help'])\n"
        f'except SystemExit as end: assert not end.code; print([name for name in {HEAVY} if name in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'Usage' in done.stdout
    assert done.stdout.splitlines()[-1] == '[]'


@pytest.mark.parametrize(
    'command',
    ['', 'score', 'rank', 'explain', 'compare', 'leaderboard', 'prepare', 'data check', 'train', 'convert', 'export', 'serve',
     'options write', 'weights list', 'weights install'],
)  # fmt: skip
def test_every_command_has_help(command):
    assert 'Usage' in run(*command.split(), '--help').stdout


def test_a_folder_is_scored_into_a_table_best_first(score, pictures):
    result = run(*score, pictures, '--prompt', 'a [bold]cat[/bold] :smile: [/x]')
    scores = shown_scores(result)
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    shown = ''.join(result.stdout.split())
    assert 'a[bold]cat[/bold]:smile:[/x]' in shown


def test_a_long_path_is_shown_whole(score, pictures, monkeypatch):
    long = pictures / ('n' * 100 + '.png')
    (pictures / 'a.png').rename(long)
    result = run(*score, long, '--prompt', 'a cat')
    column = ''.join(line.split('│')[1] for line in result.stdout.splitlines() if '│' in line)
    assert ''.join(column.split()) == ''.join(str(long).split())  # lines are broken at spaces


@pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
def test_scores_are_written_to_a_file(score, pictures, tmp_path, ending):
    output = tmp_path / f'scores.{ending}'
    result = run(*score, pictures, '--prompt', 'None', '--output', output)
    table = read_table(output)
    others = ['alignment', 'alignment_mos', 'alignment_low', 'alignment_high', 'alignment_percentile', 'novelty']
    assert {'path', 'prompt', 'score', 'mos', 'low', 'high', 'percentile', *others, 'content'} <= set(table.columns)
    assert table['path'].tolist() == [str(pictures / name) for name in ('a.png', 'b.jpg', 'sub/c.webp')]
    assert table['prompt'].tolist() == ['None'] * 3
    assert table['score'].between(-1, 2).all()
    assert f'3 scores in {output}' in result.stdout


def test_a_score_is_what_the_metric_says(score, pictures, tiny_checkpoint, tmp_path):
    run(*score, pictures / 'a.png', '--prompt', 'a cat', '--crops', 3, '--output', tmp_path / 's.csv')
    metric = make_metric('moeagiqa', {'pretrained_model_path': str(tiny_checkpoint), 'crops': 3})
    expected = metric(str(pictures / 'a.png'), caption_list=['a cat']).item()
    assert read_table(tmp_path / 's.csv')['score'].tolist() == [expected]


@pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
def test_prompts_come_from_a_file(score, pictures, tmp_path, ending):
    rows = [('a.png', 'None'), ('b.jpg', 'NA'), ('sub/c.webp', 'a 🐈, yes')]
    prompts = write_table(pictures / f'prompts.{ending}', rows)
    run(*score, pictures, '--prompts', prompts, '--output', tmp_path / 's.csv')
    assert read_table(tmp_path / 's.csv')['prompt'].tolist() == ['None', 'NA', 'a 🐈, yes']


def test_an_unreadable_image_is_reported_and_the_rest_is_scored(score, pictures, tmp_path):
    damage(pictures / 'a.png')
    (pictures / 'b.jpg').write_text('no image')
    result = run(*score, pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv', code=1)
    assert f'{pictures / "a.png"}: not scored: the image is truncated' in result.stderr
    assert f'{pictures / "b.jpg"}: not scored: no image that Pillow can read' in result.stderr
    assert read_table(tmp_path / 's.csv')['path'].tolist() == [str(pictures / 'sub' / 'c.webp')]


def test_an_image_that_was_repaired_is_scored_by_the_second_run(score, pictures, tmp_path):
    whole = (pictures / 'a.png').read_bytes()
    damage(pictures / 'a.png')
    arguments = (pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run(*score, *arguments, code=1)
    (pictures / 'a.png').write_bytes(whole)
    run(*score, *arguments)
    assert sorted(read_table(tmp_path / 's.csv')['path']) == [
        str(pictures / name) for name in ('a.png', 'b.jpg', 'sub/c.webp')
    ]


def test_rows_without_image_and_images_without_row_are_reported(score, pictures, tmp_path):
    (pictures / 'prompts.csv').write_text('path,prompt\na.png,A\nb.jpg,B\ngone.png,G\n')
    result = run(*score, pictures, '--prompts', pictures / 'prompts.csv', '--output', tmp_path / 's.csv', code=1)
    assert f'{pictures / "gone.png"}: not scored: there is no such image file' in result.stderr
    assert f'{pictures / "sub" / "c.webp"}: not scored: there is no prompt for it' in result.stderr
    assert read_table(tmp_path / 's.csv')['prompt'].tolist() == ['A', 'B']


def test_a_prompt_that_was_cut_is_said(score, pictures):
    result = run(*score, pictures / 'a.png', '--prompt', 'a cat and ' * 30)
    cut = '…' + ' '.join(['a cat and'] * 8)
    assert f"{pictures / 'a.png'}: its prompt was cut by 57 tokens: '{cut}…'" in result.stderr


def test_progress_is_shown_on_a_terminal(pictures, tiny_checkpoint, monkeypatch):
    from pyiqa_moeagiqa.scoring import command
    from pyiqa_moeagiqa.scoring.sources import PromptChoice

    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, 'stderr', terminal)
    weights = {'pretrained_model_path': str(tiny_checkpoint)}
    command.score(command.Job([str(pictures)], PromptChoice('a cat'), None, 'moeagiqa', weights))
    assert '3/3' in terminal.getvalue()
    assert 'image' in terminal.getvalue()


def test_piqe_needs_no_prompt_and_lower_comes_first(pictures):
    result = run('score', pictures / '?.*', '--metric', 'piqe')
    scores = shown_scores(result)
    assert len(scores) == 2
    assert scores == sorted(scores)


def test_piqe_keeps_prompts_in_its_file(pictures, tmp_path):
    run('score', pictures / 'a.png', '--metric', 'piqe', '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    assert read_table(tmp_path / 's.csv')['prompt'].tolist() == ['a cat']


def test_prompts_are_found_where_they_are(score, pictures, tmp_path):
    info = PngInfo()
    info.add_text('parameters', 'a red fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1')
    Image.open(pictures / 'a.png').save(pictures / 'a.png', pnginfo=info)
    (pictures / 'b.txt').write_text('a blue bird\n')
    result = run(*score, pictures, '--output', tmp_path / 's.csv', code=1)
    assert read_table(tmp_path / 's.csv')['prompt'].tolist() == ['a red fox', 'a blue bird']
    *_, reason, found = result.stderr.splitlines()
    assert f'{pictures / "sub" / "c.webp"}: not scored: there is no prompt for it: not in metadata.jsonl' in reason
    assert found == 'prompts: 1 from PNG metadata of AUTOMATIC1111, 1 from sidecars; 1 image has none'
    result = run(*score, pictures / '*.*', '--prompt-from', 'sidecar', '--output', tmp_path / 't.csv', code=1)
    assert read_table(tmp_path / 't.csv')['prompt'].tolist() == ['a blue bird']
    assert 'not scored: there is no prompt for it: not in a text file beside it\n' in result.stderr


def test_no_prompt_anywhere_is_said_before_a_network_is_loaded(pictures, monkeypatch):
    monkeypatch.setattr('pyiqa_moeagiqa.scoring.command.make_metric', lambda *_: pytest.fail('a network was loaded'))
    assert 'Prompts are needed' in refused('score', pictures)


PROMPTS = {
    'no prompt': ([], 'Prompts are needed: give either --prompt TEXT for all images or --prompts FILE'),
    'both': (['--prompt', 'a cat', '--prompts', 'p.csv'], 'give either --prompt TEXT for all images or --prompts FILE'),
    'no such file': (['--prompts', 'p.csv'], 'p.csv: there is no such file'),
    'two places': (
        ['--prompt', 'a cat', '--prompt-from', 'sidecar'],
        '--prompt-from sidecar was given with --prompt or --prompts',
    ),
}


@pytest.mark.parametrize('name', PROMPTS)
def test_wrong_prompt_options_are_usage_errors(score, pictures, name):
    options, words = PROMPTS[name]
    assert words in refused(*score, pictures, *options)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('path,words\na.png,x\n', "column 'prompt' is missing"),
        ('path,prompt\na.png,bär\n'.encode('latin-1'), 'row 2 is not UTF-8 text'),
        ('path,prompt\na.png,x\na.png,y\n', "different prompts in rows 2 ('a.png'), 3 ('a.png')"),
    ],
)
def test_a_wrong_prompts_file_is_a_usage_error(score, pictures, text, words):
    (pictures / 'p.csv').write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in refused(*score, pictures, '--prompts', pictures / 'p.csv')


USAGE = {
    'path': (['gone.png'], 'gone.png: there is no such file or folder'),
    'ending': (['--output', 's.txt'], 's.txt: the output must end in .csv, .jsonl, .parquet'),
    'unwritable': (['--output', '{}/a.png/s.csv'], 'a.png/s.csv: it cannot be written ('),
    'somebody elses': (['--output', '{}/mine.csv'], 'mine.csv: it holds something else'),
    'checkpoint': (['--weights', 'gone.safetensors'], 'gone.safetensors: there is no such file'),
    'no checkpoint': (['--weights', '{}/a.png'], 'a.png: cut short or no safetensors file'),
    'no weights yet': (['--metric', 'moeagiqa-v2', '--weights', 'moeagiqa-v2'], 'moeagiqa-v2 has no weights yet'),
    'metric': (['--metric', 'beauty'], '--metric beauty: pyiqa has no such metric'),
    'reference': (['--metric', 'psnr'], '--metric psnr: it compares with a reference image'),
    'crops for others': (['--metric', 'piqe', '--crops', '2'], '--metric piqe takes no --crops'),
    'fast for others': (['--metric', 'piqe', '--fast'], '--metric piqe takes no --fast'),
    'dtype': (['--dtype', 'int4'], "dtype is 'int4': it must be 'auto', 'float32'"),
    'target': (['--target', 'beauty'], 'scores quality, alignment'),
    'device': (['--device', 'gpu'], '--device gpu: it cannot be used'),
    'best of a stream': (['--output', '-', '--top', '1'], '--top'),
}


@pytest.mark.parametrize('name', USAGE)
def test_wrong_usage_is_said_in_one_sentence(score, pictures, name):
    options, words = USAGE[name]
    (pictures / 'mine.csv').write_text('path,prompt\na.png,x\n')
    options = [option.format(pictures) for option in options]
    assert words in refused(*score, pictures, '--prompt', 'a cat', *options)
    assert (pictures / 'mine.csv').read_text() == 'path,prompt\na.png,x\n'


@pytest.mark.parametrize('options', [['--dtype', 'auto'], ['--fast'], ['--dtype', 'float16', '--crops', 3]])
def test_faster_ways_give_about_the_same_scores(score, pictures, tmp_path, options):
    exact, fast = tmp_path / 'exact.csv', tmp_path / 'fast.csv'
    run(*score, pictures, '--prompt', 'a cat', '--output', exact, '--crops', 3 if '--crops' in options else 2)
    run(*score, pictures, '--prompt', 'a cat', '--output', fast, *options)
    made_by = json.loads((tmp_path / 'fast.csv.run.json').read_text())
    expected = 'float16' if 'float16' in options else str(fast_dtype(torch.device('cpu'))).removeprefix('torch.')
    assert made_by['dtype'] == expected
    assert made_by['crops'] == (1 if '--fast' in options else 3 if '--crops' in options else 2)
    away = (read_table(exact)['score'] - read_table(fast)['score']).abs()
    assert away.max() < (0.5 if '--fast' in options else 0.02)


def test_scores_of_two_dtypes_are_not_mixed(score, pictures, tmp_path):
    arguments = [pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv']
    run(*score, *arguments)
    assert "made with dtype 'float32', now it is 'float16'" in refused(*score, *arguments, '--dtype', 'float16')
    run(*score, *arguments, '--dtype', 'float32')


def test_a_metric_that_pyiqa_cannot_make_is_said(pictures, monkeypatch):
    import pyiqa

    def fail(name, **options):
        raise ModuleNotFoundError("No module named 'parts'\nand more")

    monkeypatch.setattr(pyiqa, 'create_metric', fail)
    words = refused('score', pictures, '--metric', 'entropy')
    assert "--metric entropy: pyiqa cannot make it (No module named 'parts')" in words


@pytest.mark.parametrize('options', [['--crops', '0'], ['--crops', 'many'], ['--crop', '2']])
def test_a_wrong_option_has_exit_code_2(score, pictures, options):
    result = run(*score, pictures, '--prompt', 'a cat', *options, code=2)
    assert options[0] in result.stderr


def test_output_made_with_other_settings_is_refused(score, pictures, tmp_path):
    arguments = (pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run(*score, *arguments)
    before = (tmp_path / 's.csv').read_bytes()
    assert 'made with crops 2, now it is 5' in refused(*score, *arguments, '--crops', 5)
    assert 'made with metric ' in refused('score', *arguments, '--metric', 'piqe')
    assert (tmp_path / 's.csv').read_bytes() == before
    run(*score, *arguments, '--crops', 2)


def test_a_checkpoint_may_be_named_another_way(score, pictures, tmp_path, tiny_checkpoint):
    arguments = (pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run(*score, *arguments)
    run(*score, *arguments, '--weights', os.path.relpath(tiny_checkpoint))


# -- stopping and going on ------------------------------------------------------------------------------------------


@pytest.fixture
def many(pictures):
    """A folder of more pictures than are scored before the run is stopped."""
    folder = pictures.parent / 'many'
    folder.mkdir()
    for place in range(150):
        os.link(pictures / 'a.png', folder / f'{place:03}.png')
    return folder


# A shell's background jobs ignore Ctrl-C; a user's command does not.
COMMAND = (
    'import signal; signal.signal(signal.SIGINT, signal.default_int_handler); '
    'from pyiqa_moeagiqa.cli import main; main()'
)


def stop(arguments, output, how) -> tuple[int, str]:
    """Run in a process of its own, stop it once some rows are written; exit code and standard error."""
    environment = os.environ | {'OMP_NUM_THREADS': '1'}
    command = [sys.executable, '-c', COMMAND, 'score', *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    ) as process:
        give_up = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < give_up:
            if output.exists() and output.read_bytes().count(b'\n') > 5:
                process.send_signal(how)
                break
            time.sleep(0.01)
        else:
            process.kill()
        _, errors = process.communicate()
    return process.returncode, errors


def test_rows_survive_kill_and_the_next_run_goes_on(score, many, tiny_checkpoint, tmp_path):
    output = tmp_path / 's.csv'
    arguments = (many, '--prompt', 'a cat', '--output', output)
    journal = tmp_path / 's.csv.jsonl'
    code, errors = stop(['--weights', tiny_checkpoint, *arguments], journal, signal.SIGKILL)
    assert code == -signal.SIGKILL, errors
    with journal.open('ab') as file:
        file.write(f'{{"path": "{many}/149.png", "prompt": "a c'.encode())  # what a machine that lost its power leaves
    kept = [json.loads(line)['score'] for line in journal.read_text().splitlines()[:-1]]
    assert 5 <= len(kept) < 150
    result = run(*score, *arguments)
    assert f'({len(kept)} were there already)' in result.stdout
    table = read_table(output)
    assert table['score'].tolist()[: len(kept)] == kept
    assert sorted(table['path']) == [str(path) for path in sorted(many.iterdir())]
    assert not journal.exists()


def test_ctrl_c_keeps_the_rows_and_says_so(score, many, tiny_checkpoint, tmp_path):
    output = tmp_path / 's.parquet'
    arguments = (many, '--prompt', 'a cat', '--output', output)
    journal = tmp_path / 's.parquet.jsonl'
    code, errors = stop(['--weights', tiny_checkpoint, *arguments], journal, signal.SIGINT)
    assert code == 130, errors
    assert (
        errors.splitlines()[-1]
        == f'moeagiqa: stopped; the scores in {output} are kept, the same command goes on from there.'
    )
    assert 'Traceback' not in errors
    kept = read_table(output)
    assert 5 <= len(kept) < 150
    assert not journal.exists()
    run(*score, *arguments)
    table = read_table(output)
    pd.testing.assert_frame_equal(table.head(len(kept)), kept)
    assert sorted(table['path']) == [str(path) for path in sorted(many.iterdir())]


# -- a second run, other targets, other consoles ---------------------------------------------------------------------


def test_a_new_picture_under_an_old_name_is_scored_again(score, pictures, tmp_path):
    arguments = (pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv')
    run(*score, *arguments)
    before = read_table(tmp_path / 's.csv').set_index('path')['score']
    (pictures / 'a.png').write_bytes((pictures / 'b.jpg').read_bytes())
    result = run(*score, *arguments)
    assert '3 scores in' in result.stdout
    assert '(2 were there already; 1 was redone, as its image has changed)' in result.stdout
    after = read_table(tmp_path / 's.csv').set_index('path')['score']
    assert len(after) == 3
    assert after[str(pictures / 'a.png')] == before[str(pictures / 'b.jpg')]
    assert after[str(pictures / 'b.jpg')] == before[str(pictures / 'b.jpg')]


def test_rows_stay_where_their_image_is_gone_and_a_damaged_one_is_not_called_redone(score, pictures, tmp_path):
    table = pictures / 'prompts.csv'
    table.write_text('path,prompt\na.png,a cat\nb.jpg,a dog\nsub/c.webp,a cup\n')
    arguments = (pictures, '--prompts', table, '--output', tmp_path / 's.csv')
    run(*score, *arguments)
    before = (tmp_path / 's.csv').read_bytes()
    (pictures / 'a.png').rename(tmp_path / 'a.png')
    assert '(3 were there already)' in run(*score, *arguments).stdout
    assert (tmp_path / 's.csv').read_bytes() == before
    (pictures / 'a.png').write_bytes((tmp_path / 'a.png').read_bytes()[:200])
    result = run(*score, *arguments, code=1)
    assert '2 scores in' in result.stdout
    assert 'redone' not in result.stdout
    assert len(read_table(tmp_path / 's.csv')) == 2, 'the old score is of another picture'


@pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
def test_a_run_with_nothing_left_to_do_loads_no_network(score, pictures, tmp_path, ending):
    arguments = [*map(str, score), str(pictures), '--prompt', 'a cat', '--output', str(tmp_path / f's.{ending}')]
    run(*arguments)
    before = (tmp_path / f's.{ending}').read_bytes()
    code = (
        'import sys\nfrom pyiqa_moeagiqa.cli import app\n'
        f'try: app({arguments!r})\n'
        "except SystemExit as end: assert not end.code; print([n for n in ('torch', 'pandas', 'pyiqa') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f'3 scores in {tmp_path / f"s.{ending}"} (3 were there already)', '[]']
    assert (tmp_path / f's.{ending}').read_bytes() == before


def test_another_target_is_an_option_and_stands_in_every_output(score, pictures, tiny_checkpoint, tmp_path):
    run(*score, pictures, '--prompt', 'a cat', '--output', tmp_path / 'q.csv')
    run(*score, pictures, '--prompt', 'a cat', '--output', tmp_path / 'a.csv', '--target', 'alignment')
    quality, alignment = read_table(tmp_path / 'q.csv'), read_table(tmp_path / 'a.csv')
    assert quality['alignment'].tolist() == alignment['score'].tolist()
    assert alignment['quality'].tolist() == quality['score'].tolist()
    mixed = refused(*score, pictures, '--prompt', 'a cat', '--output', tmp_path / 'q.csv', '--target', 'alignment')
    assert "made with target 'quality', now it is 'alignment'" in mixed


def test_scores_go_to_standard_output_as_csv(score, pictures):
    result = run(*score, pictures, '--prompt', 'a, cat', '-o', '-')
    table = pd.read_csv(io.StringIO(result.stdout))
    assert table['prompt'].tolist() == ['a, cat'] * 3
    assert list(table.columns[:3]) == ['path', 'prompt', 'score']


def test_a_device_is_named(score, pictures):
    run(*score, pictures / 'a.png', '--prompt', 'x', '--device', 'cpu')


def test_the_best_are_shown_beside_an_output_where_they_are_asked_for(score, pictures, tmp_path):
    result = run(*score, pictures, '--prompt', 'a cat', '--output', tmp_path / 's.csv', '--top', '1')
    assert len(shown_scores(result)) == 1
    assert len(read_table(tmp_path / 's.csv')) == 3


def test_ctrl_c_promises_nothing_of_standard_output(score, pictures, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr('pyiqa_moeagiqa.scoring.command.start', stopped)
    assert refused(*score, pictures, '--prompt', 'a cat', '-o', '-', code=130) == 'moeagiqa: stopped; nothing is kept.'


def test_the_best_alone_are_shown(score, pictures):
    assert len(shown_scores(run(*score, pictures, '--prompt', 'a cat', '--top', 2))) == 2


def test_the_version_is_said():
    result = run('--version')
    assert (result.exit_code, result.stdout) == (0, f'moeagiqa {version("pyiqa-moeagiqa")}\n')


MODULE = (sys.executable, '-m', 'pyiqa_moeagiqa')


def process(*arguments, **environment):
    return subprocess.run([*MODULE, *arguments], capture_output=True, env=os.environ | environment, check=False)


def test_the_package_runs_as_a_module():
    assert process('--version').stdout.decode().startswith('moeagiqa ')


@pytest.mark.parametrize('encoding', ['ascii', 'cp932'])
def test_a_pipe_of_another_encoding_loses_no_scores_and_its_table_is_not_wrapped(
    score, pictures, monkeypatch, encoding
):
    named, words = pictures / '猫 🐱.png', 'a cat in the snow, ' * 20
    (pictures / 'a.png').rename(named)
    monkeypatch.delenv('COLUMNS')
    result = process(*score, named, '--prompt', f'{words}🐱', PYTHONIOENCODING=encoding, PYTHONUTF8='0')
    assert result.returncode == 0, result.stderr.decode(encoding, 'replace')
    assert b'.png' in result.stdout
    assert words in result.stdout.decode(encoding)


def test_escape_sequences_are_shown_and_not_executed(score, pictures):
    (pictures / 'evil\x1b[31m\n.png').write_bytes(b'no image')
    result = run(*score, pictures, '--prompt', 'a\x1b[2Jb\u202e', code=1)
    assert '\x1b' not in result.stdout + result.stderr
    assert 'a\\x1b[2Jb\\u202e' in result.stdout
    assert 'evil\\x1b[31m\\n.png: not scored' in result.stderr


def test_a_reader_that_has_enough_ends_the_run_quietly(score, pictures):
    command = [*MODULE, *score, pictures, '--prompt', 'x', '-o', '-']
    scoring = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    scoring.stdout.close()
    said = scoring.stderr.read()
    assert scoring.wait() == 141
    assert b'Traceback' not in said
    assert b'Broken pipe' not in said


def test_standard_output_that_is_full_is_named(score, pictures):
    command = [*MODULE, *score, pictures, '--prompt', 'x', '-o', '-']
    with open('/dev/full', 'w') as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert 'moeagiqa: Standard output cannot be written (no space left on device).' in done.stderr
    assert 'Traceback' not in done.stderr


# -- options write --------------------------------------------------------------------------------------------------


def test_option_files_are_written(tmp_path):
    result = run('options', 'write', tmp_path / 'mine')
    assert (tmp_path / 'mine' / 'options' / 'moeagiqa.yml').is_file()
    assert (tmp_path / 'mine' / 'datasets_meta' / 'agiqa3k.yml').is_file()
    assert str(tmp_path / 'mine' / 'options' / 'moeagiqa.yml') in result.stdout.splitlines()


def test_changed_option_files_need_force(tmp_path):
    run('options', 'write', tmp_path)
    changed = tmp_path / 'options' / 'moeagiqa.yml'
    changed.write_text('name: mine\n')
    assert 'moeagiqa.yml is there already and differs' in refused('options', 'write', tmp_path)
    run('options', 'write', tmp_path, '--force')
    assert changed.read_text() != 'name: mine\n'


def test_imagereward_scores_images_for_their_prompts(image_reward_file, pictures, tmp_path):
    import pyiqa

    prompts = {'a.png': 'a cat in the snow', 'b.jpg': 'a very old clock ' * 12, 'sub/c.webp': 'a dog'}
    write_table(tmp_path / 'prompts.csv', prompts.items())
    (pictures / 'd.png').write_text('no image')
    options = ['--metric', 'imagereward', '--weights', image_reward_file, '--output', tmp_path / 's.csv']
    result = run('score', pictures, '--prompts', tmp_path / 'prompts.csv', *options, code=1)
    assert 'b.jpg: its prompt was cut by 15 tokens: ' in result.stderr
    assert 'd.png: not scored' in result.stderr
    metric = pyiqa.create_metric('imagereward', pretrained_model_path=str(image_reward_file))
    scores = read_table(tmp_path / 's.csv').set_index('path')['score']
    for name, prompt in prompts.items():
        expected, _ = metric(str(pictures / name), caption_list=[prompt], return_details=True)
        assert scores[str(pictures / name)] == pytest.approx(float(expected), abs=1e-6)
    made_by = json.loads((tmp_path / 's.csv.run.json').read_text())
    assert (made_by['metric'], made_by['dtype']) == ('imagereward', 'float32')


IMAGE_REWARD_USAGE = {
    'crops': (['--prompt', 'a cat', '--crops', 3], '--metric imagereward takes no --crops'),
    'fast': (['--prompt', 'a cat', '--fast'], '--metric imagereward takes no --fast'),
    'no prompts': ([], 'Prompts are needed'),
    'dtype': (['--prompt', 'a cat', '--dtype', 'float16'], "dtype is 'float16': it must be 'auto'"),
    'gone': (['--prompt', 'a cat', '--weights', 'gone.pt'], 'gone.pt: there is no such file'),
    'another': (['--prompt', 'a cat', '--weights', '{tiny}'], 'a MoE-AGIQA checkpoint'),
}


@pytest.mark.parametrize('name', IMAGE_REWARD_USAGE)
def test_wrong_usage_of_imagereward_is_said_in_one_sentence(image_reward_file, tiny_checkpoint, pictures, name):
    options, words = IMAGE_REWARD_USAGE[name]
    options = [str(option).format(tiny=tiny_checkpoint) for option in options]
    weights = [] if '--weights' in options else ['--weights', image_reward_file]
    assert words in refused('score', pictures, '--metric', 'imagereward', *weights, *options)


def test_imagereward_is_named_to_those_who_give_its_file_to_moeagiqa(image_reward_file, pictures):
    said = refused('score', pictures, '--prompt', 'a cat', '--weights', image_reward_file)
    assert 'score with the metric imagereward' in said


def test_option_files_cannot_be_written_into_a_file(pictures):
    assert 'a.png' in refused('options', 'write', pictures / 'a.png')


# -- weights, convert -----------------------------------------------------------------------------------------------


def test_weights_are_listed_with_what_is_missing():
    result = run('weights', 'list')
    for name in ('moeagiqa-v1', 'moeagiqa-v2'):
        assert name in result.stdout


def test_installed_weights_are_found_by_name(tiny_checkpoint, pictures, tmp_path):
    from pyiqa_moeagiqa.checkpoints import read, save

    checkpoint = read(tiny_checkpoint)
    checkpoint.info['model_name'] = 'moeagiqa-v1'
    result = run('weights', 'install', save(checkpoint, tmp_path / 'mine.safetensors'))
    assert result.stdout.strip() == str(tmp_path / 'home' / 'moeagiqa-v1.safetensors')
    run('score', pictures / 'a.png', '--prompt', 'a cat', '--metric', 'moeagiqa-v1')


BAD_FILES = {
    'gone': (None, 'there is no such file'),
    'empty': (b'', 'not read'),
    'text': (b'my notes', 'not read'),
    'image': ('image', 'not read'),
    'no dictionary': ([1, 2], 'list'),
    'other keys': ({'weights': {}}, "lacks 'reward_model_state_dict'"),
    'no tensors': ({'reward_model_state_dict': {}, 'regressor_model_state_dict': {}}, ''),
    'parts that are no dictionaries': ({'reward_model_state_dict': 1, 'regressor_model_state_dict': [1]}, ''),
    'values that are no tensors': (
        {'reward_model_state_dict': {'a': 1}, 'regressor_model_state_dict': {'weight1': 2, 'proj': 3}},
        '',
    ),
}


@pytest.fixture
def bad_file(tmp_path, pictures):
    def make(name):
        path, content = tmp_path / 'best.pth', BAD_FILES[name][0]
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == 'image':
            path.write_bytes((pictures / 'a.png').read_bytes())
        elif content is not None:
            torch.save(content, path)
        return path

    return make


@pytest.mark.parametrize('name', BAD_FILES)
def test_a_file_that_cannot_be_converted_is_named(bad_file, tmp_path, name):
    visual = tmp_path / 'visual.pth'
    torch.save({'norm.weight': torch.zeros(2)}, visual)
    output = tmp_path / 'out.safetensors'
    words = refused('convert', '--finetuned', bad_file(name), '--visual', visual, '--output', output)
    assert 'best.pth: ' in words
    assert BAD_FILES[name][1] in words
    assert not output.exists()


@pytest.mark.parametrize('name', ['gone', 'empty', 'text', 'image'])
def test_a_file_that_is_no_checkpoint_is_not_installed(bad_file, tmp_path, name):
    assert 'best.pth: ' in refused('weights', 'install', bad_file(name))
    assert not (tmp_path / 'home').exists()


def test_a_checkpoint_without_a_full_size_name_is_not_installed(tiny_checkpoint):
    words = refused('weights', 'install', tiny_checkpoint)
    assert "a checkpoint of 'tiny', and only those of moeagiqa-v1 and moeagiqa-v2" in words
