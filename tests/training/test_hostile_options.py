"""Option files that are broken, endless or not files at all: one sentence, and nothing in them runs."""

import os

import pytest
import yaml
from pictures import make_table, options

from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.option_file import read_options


@pytest.fixture
def opt(tiny_checkpoint, tmp_path):
    return options(make_table(tmp_path), tiny_checkpoint)


@pytest.fixture
def file(opt, tmp_path):
    (tmp_path / 'options.yml').write_text(yaml.safe_dump(opt))
    return tmp_path / 'options.yml'


def refusal(path, *changes) -> str:
    with pytest.raises(OptionError) as refused:
        read_options(path, changes)
    text = str(refused.value)
    assert '\n' not in text
    assert len(text) < 2000
    return text


LAUGHS = 'a0: &a0 [ha, ha]\n' + ''.join(f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 10))


@pytest.mark.parametrize(
    'text',
    ['', 'x', '[]', '[' * 5000, '{a: ' * 5000, '? ' * 3000, 'a: 2001-99-99', '!!int "x"', '!!int ""', '!!bool "x"',
     '!!timestamp "x"', 'a: ' + '9' * 5000, 'a: 0x' + 'f' * 9999, 'a: "\\ud800"', '\tname: x', '&a [*a]', LAUGHS,
     '? [1]\n: 2', '1: 2', 'null: 2', '---\n---\n', 'a: 1\na: 2', 'train:\n  amp: true\n  amp: false', '!!binary "////"',
     'a: 2001-01-01', '\x00', 'a' * 2_000_000],
    ids=lambda text: repr(text[:20]),
)  # fmt: skip
def test_what_is_no_option_file_is_said(tmp_path, text):
    (tmp_path / 'o.yml').write_text(text)
    assert str(tmp_path / 'o.yml') in refusal(tmp_path / 'o.yml')


def test_bytes_that_are_no_text_are_said(tmp_path):
    (tmp_path / 'o.yml').write_bytes(b'name: \xff\xfe')
    assert 'cannot be read as YAML' in refusal(tmp_path / 'o.yml')


@pytest.mark.parametrize('tag', ['!!python/object/apply:os.mkdir [{}]', '!!python/object/new:os.mkdir [{}]'])
def test_nothing_in_it_runs(file, tmp_path, tag):
    ran = tmp_path / 'ran'
    (tmp_path / 'o.yml').write_text(f'name: {tag.format(ran)}')
    refusal(tmp_path / 'o.yml')
    refusal(file, f'name={tag.format(ran)}')
    assert not ran.exists()


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ('train=3', 'option train is 3'),
        ('train=null', 'option train is missing'),
        ('manual_seed=1' + '0' * 400, 'too large'),
        ('manual_seed=4294967296', 'from 0 to 4294967295'),
        ('train.total_epoch=1' + '0' * 30, 'whole number'),
        ('name=' + '[' * 3000, 'not YAML'),
        ('name="\\ud800"', 'no text file can hold'),
        ('network.' + 'a.' * 3000 + 'b=1', 'levels deep'),
        ('train.metric_loss_opt.type=[1]', "one of pyiqa's losses"),
        ('train.optim={1: 2}', 'no text'),
        ('val.metrics={}', 'val option metrics is {}: it must be a section with at least one figure'),
        ('published={a: 2001-01-01}', 'neither text nor a number'),
    ],
    ids=lambda text: text[:30],
)
def test_a_change_that_no_run_can_have_is_said(file, change, said):
    assert said in refusal(file, change)


def test_an_empty_section_is_said(file):
    file.write_text(file.read_text().replace('train:\n  accumulate', 'train:\nx:\n  accumulate'))
    assert 'train' in refusal(file)


def test_what_is_no_file_is_said(tmp_path):
    os.mkfifo(tmp_path / 'pipe.yml')
    assert 'a pipe or a device' in refusal(tmp_path / 'pipe.yml')
    assert 'a folder' in refusal(tmp_path)
    assert 'there is no such file; "moeagiqa options write' in refusal(tmp_path / 'gone.yml')
    assert 'a pipe or a device' in refusal('/dev/zero')


def test_a_byte_order_mark_is_passed_over(file, opt):
    file.write_bytes(b'\xef\xbb\xbf' + file.read_bytes())
    assert read_options(file)['name'] == opt['name']
