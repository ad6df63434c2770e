"""``moeagiqa prepare`` and ``moeagiqa data check`` as a user meets them."""

import json

import pandas as pd
import pytest
from command_line import refused, run


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch, columns):
    (tmp_path / 'work').mkdir()
    monkeypatch.chdir(tmp_path / 'work')
    columns(80)
    return tmp_path / 'work'


# -- prepare --------------------------------------------------------------------------------------------------------


def test_a_data_set_is_prepared(source, work):
    result = run('prepare', 'agiqa3k', '--source', source)
    assert result.stdout == 'datasets/agiqa3k.csv: 20 images, 10 prompts\n'
    assert result.stderr == f'moeagiqa: {source}/data.csv: 20 of the 2982 published images are annotated.\n'
    table = pd.read_csv(work / 'datasets' / 'agiqa3k.csv', keep_default_na=False)
    assert {'image_0', 'image_9', 'prompt_0', 'prompt_9'} <= set(table)


@pytest.mark.parametrize('name', ['agiqa1k', 'agiqa3k', 'aigiqa20k', 'koniq10k'])
def test_every_set_that_is_prepared_passes_the_check(download, tmp_path, name):
    output = tmp_path / 'datasets' / 'table.csv'
    result = run('prepare', name, '--source', download(name), '--output', output)
    result = run('data', 'check', output)
    assert result.stdout.splitlines()[-1] == 'nothing is wrong'


def test_a_partial_download_needs_its_option(source, work):
    (source / 'images' / 'sd1.5_highcorr_003.jpg').unlink()
    words = refused('prepare', 'agiqa3k', '--source', source)
    assert '1 of 20 images are not in this folder or below it (the first is sd1.5_highcorr_003.jpg' in words
    assert not (work / 'datasets').exists()
    result = run('prepare', 'agiqa3k', '--source', source, '--partial')
    assert result.stdout == 'datasets/agiqa3k.csv: 19 images, 10 prompts\n'
    assert '1 of 20 rows are left out, because their images are missing.' in result.stderr


def test_a_wrong_download_is_said_in_one_sentence(source, tmp_path, change):
    assert 'there is no data.csv in this folder' in refused('prepare', 'agiqa3k', '--source', tmp_path / 'work')
    assert 'gone: there is no such folder' in refused('prepare', 'agiqa3k', '--source', 'gone')
    change('mos_align', 3, '51')
    words = refused('prepare', 'agiqa3k', '--source', source)
    assert "data.csv: column 'mos_align' is outside 0 to 5 in row 3 ('51')" in words


@pytest.mark.parametrize('options', [['agiqa5k'], ['agiqa3k', '--split', 'image'], ['agiqa3k', '--seed', '1']])
def test_what_is_no_set_or_option_is_a_usage_error(source, options):
    result = run('prepare', *options, '--source', source, code=2)
    assert options[0 if len(options) == 1 else 1] in result.stderr


# -- data check -----------------------------------------------------------------------------------------------------


@pytest.fixture
def table(pictures):
    path = pictures / 'table.csv'
    path.write_text(
        'path,prompt,quality,alignment,split\na.png,a [bold]cat[/bold],1,9,train\nb.jpg,a dog,2,8,test\n'
        'sub/c.webp,a fish,4,7,test\n'
    )
    return path


def test_a_table_is_reported(table):
    result = run('data', 'check', table, '--mos-range', 0, 10)
    shown = ' '.join(result.stdout.split())
    assert f'{table}: 3 rows' in shown
    assert 'images: 3 can be read (1 PNG RGB, 1 JPEG RGB, 1 WEBP RGB); smallest 60 x 50' in shown
    assert 'prompts: 3 different; images per prompt 1 / 1 / 1' in shown
    assert 'quality: 1 to 4, mean 2.333' in shown
    assert f'1 to 2 {"█" * 40} 1' in shown
    assert '│ split │ 1 │ 0 │ 2 │ 0 │ 0 │' in shown
    assert result.stdout.splitlines()[-1] == 'nothing is wrong'


def test_what_is_wrong_is_listed_with_exit_code_1(table):
    table.write_text(table.read_text() + 'gone[/x].png,a [b]cat,5,11,tset\n')
    result = run('data', 'check', table, '--mos-range', 0, 10, code=1)
    wrong = [line for line in result.stdout.splitlines() if line.startswith('wrong: ')]
    assert wrong == [
        "wrong: there is no such image file in row 5 ('gone[/x].png')",
        "wrong: column 'alignment' is outside 0 to 10 in row 5 ('11')",
        "wrong: column 'split' is none of train, val, test in row 5 ('tset')",
    ]


def test_a_range_that_no_mos_lies_in_is_a_finding_and_no_crash(table):
    result = run('data', 'check', table, '--mos-range', 20, 30, code=1)
    assert "wrong: column 'alignment' is outside 20 to 30 in rows 2 ('9'), 3 ('8'), 4 ('7')" in result.stdout


def test_the_report_as_json(table):
    table.write_text(table.read_text() + 'gone.png,ein Bär,5,1,test\n')
    result = run('data', 'check', table, '--json', '--targets', ' alignment', code=1)
    report = json.loads(result.stdout)
    assert report['rows'] == 4
    assert list(report['mos']) == ['alignment']
    assert sum(report['mos']['alignment']['counts']) == 4
    (problem,) = report['problems']
    assert problem == {
        'problem': 'there is no such image file',
        'column': 'path',
        'rows': [5],
        'cells': ['gone.png'],
    }


USAGE = {
    'gone': (['gone.csv'], 'gone.csv: there is no such file'),
    'ending': (['{}/a.png'], 'a.png: a table must end in .csv, .tsv, .jsonl, .json, .parquet, .xlsx'),
    'range': (['{}/table.csv', '--mos-range', '5', '0'], 'The MOS range is 5 to 0: give two finite numbers'),
    'target': (['{}/table.csv', '--targets', 'quality,beauty'], "column 'beauty' is missing; there are 'path'"),
    'not UTF-8': (['{}/latin.csv'], 'latin.csv: row 2 is not UTF-8 text'),
    'no path': (['{}/other.csv'], "column 'path' is missing; there are 'picture', 'prompt'"),
}


@pytest.mark.parametrize('name', USAGE)
def test_a_file_that_is_no_such_table_is_a_usage_error(table, pictures, name):
    (pictures / 'latin.csv').write_bytes('path,prompt,quality\na.png,Bär,1\n'.encode('latin-1'))
    (pictures / 'other.csv').write_text('picture,prompt,quality\na.png,x,1\n')
    arguments, words = USAGE[name]
    assert words in refused('data', 'check', *[argument.format(pictures) for argument in arguments])


@pytest.mark.parametrize('options', [['--mos-range', '0'], ['--mos-range', 'low', 'high'], ['--target', 'quality']])
def test_a_wrong_option_has_exit_code_2(table, options):
    run('data', 'check', table, *options, code=2)
