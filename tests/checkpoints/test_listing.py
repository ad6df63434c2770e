"""``moeagiqa weights list``, as it is read in a terminal of 80 columns."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pyiqa_moeagiqa.checkpoints import find, install, save
from pyiqa_moeagiqa.checkpoints.listing import figure_lines, list_weights
from pyiqa_moeagiqa.file_hash import file_hash


def printed_words() -> str:
    """All of it without spaces and line ends: where a line is broken depends on the length of the paths in it."""
    return ''.join(''.join(printed()).split())


def printed() -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(list_weights())
    return console.export_text().splitlines()


@pytest.fixture
def installed(with_prior, tmp_path):
    return install(save(replace(with_prior, info=with_prior.info), tmp_path / 'v2.safetensors'))


def test_an_installed_checkpoint_is_described(installed):
    text = '\n'.join(printed())
    assert file_hash(installed) in text
    for part in ('AGIQA-3K, MOS from 0 to 5', 'AGIQA-3K: SRCC 0.8123, PLCC 0.8712', 'MIT', ' MB'):
        assert part in text
    assert ''.join(str(installed).split()) in printed_words()


def test_a_name_without_weights_says_how_to_get_them_in_few_lines():
    lines = printed()
    start = next(number for number, line in enumerate(lines) if line.startswith('moeagiqa-v1'))
    end = next(number for number, line in enumerate(lines) if line.startswith('moeagiqa-v2'))
    assert 'hasnoweightsyet' in ''.join(''.join(lines[start:end]).split())
    assert end - start <= 5


def test_every_line_fits(installed):
    assert max(map(len, printed())) <= 80


def test_no_line_is_filled_up_in_a_pipe_whose_lines_are_endless(installed):
    console = Console(width=10_000, record=True, file=io.StringIO())
    console.print(list_weights())
    assert max(map(len, console.export_text().splitlines())) < 1000


def test_the_compact_model_is_not_passed_off_as_the_papers():
    assert "not the paper's network" in ' '.join(line.strip() for line in printed())


def test_a_damaged_checkpoint_is_said_to_be_so(installed):
    installed.write_bytes(b'half')
    assert 'cutshort' in printed_words()


def test_where_the_embedded_file_is_missing_that_is_said(monkeypatch, tmp_path):
    listing = 'pyiqa_moeagiqa.checkpoints.listing.find'
    monkeypatch.setattr(listing, lambda name: tmp_path / 'gone' if name == 'moeagiqa' else find(name))
    assert 'nosuchfile' in printed_words()


def test_figures_may_be_nested():
    figures = {'AGIQA-3K': {'quality': {'srcc': 0.5, 'plcc': 0.25}, 'alignment': {'srcc': 0.125}}, 'note': 'seed 1'}
    expected = ['AGIQA-3K quality: SRCC 0.5000, PLCC 0.2500', 'AGIQA-3K alignment: SRCC 0.1250']
    assert list(figure_lines(figures)) == expected


@pytest.mark.parametrize('figures', [{}, None, 'good', {'AGIQA-3K': {}}])
def test_no_figures_no_lines(figures):
    assert list(figure_lines(figures)) == []
