"""Names of strangers are text: in figures, pages, Markdown, LaTeX, spreadsheets and on a terminal."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from pyiqa_moeagiqa.cli import app
from pyiqa_moeagiqa.leaderboard.entry import Entry
from pyiqa_moeagiqa.leaderboard.plots import heat_map, intervals, named, scatter
from pyiqa_moeagiqa.leaderboard.table import by_group
from pyiqa_moeagiqa.markup import escape_latex, escape_markdown
from pyiqa_moeagiqa.pages import svg, write_page
from pyiqa_moeagiqa.spreadsheet import write_csv

NASTY = [
    '$x_{$',
    r'$\frac$ \~^ & % # {',
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://a.b")',
    '@SUM(A1) | b',
    'a\nb\t\x1b[31m\x07',
    '\u202egnp.exe',
    '雪中的猫 🐱',
    '{{ 7 * 7 }} {% raw %}',
    '[bold]x[/bold] :cat:',
    '-' * 300,
    'metric',
]


def entries():
    random, names = np.random.default_rng(0), [*NASTY, *NASTY, *NASTY]
    table = pd.DataFrame({'generator': names, 'prompt': names, 'mos': random.normal(size=len(names))})
    return [Entry(name, 'set', 'quality', table=table.assign(score=random.normal(size=len(names)))) for name in NASTY]


def test_every_name_can_be_drawn():
    there = entries()
    rows = pd.DataFrame({'metric': NASTY, 'srcc': 0.5, 'srcc_low': 0.4, 'srcc_high': 0.6})
    grid = by_group(there, 'generator').drop(columns=['data', 'target']).set_index('metric')
    assert grid.shape == (len(NASTY), len(NASTY))  # a generator called 'metric' hides nothing
    for figure in (scatter(there), intervals(rows), heat_map(grid)):
        assert svg(figure).startswith('data:image/svg+xml')
    labels = [label.get_text() for label in heat_map(grid).axes[0].get_yticklabels()]
    assert labels == list(map(named, NASTY))
    assert max(map(len, labels)) <= 36


def test_a_lower_is_better_metric_is_drawn_with_its_own_sign():
    one = entries()[0]
    axis = scatter([Entry('piqe', 'set', 'quality', table=one.table, lower_better=True)]).axes[0]
    assert axis.get_xlabel() == 'score (lower is better)'
    drawn = axis.collections[0].get_offsets()
    assert sorted(drawn[:, 0]) == pytest.approx(sorted(-one.table['score']))
    assert scatter([one]).axes[0].get_xlabel() == 'score (higher is better)'


def test_a_wide_heat_map_shows_the_first_groups():
    table = pd.DataFrame([range(500)], index=['entropy'], columns=[f'g{n}' for n in range(500)]) / 500
    assert heat_map(table).get_figwidth() < 40


def test_a_page_shows_control_characters_and_markup(tmp_path):
    parts = [{'data': name, 'target': 'x', 'images': 0, 'prompts': 0, 'rows': pd.DataFrame(), 'missing': [(name, name)]}
             | {'figures': [], 'tests': pd.DataFrame(), 'disputed': []} for name in NASTY]  # fmt: skip
    empty = pd.DataFrame()
    write_page(
        tmp_path / 'a.html', 'leaderboard.html', title='x', parts=parts, columns_say={}, across=empty, published=empty
    )
    page = (tmp_path / 'a.html').read_text(encoding='utf-8')
    assert '<script>alert' not in page
    assert '<img' not in page
    assert '{{ 7 * 7 }}' in page
    assert not re.search('[\x00-\x08\x0b-\x1f\x7f\u202e]', page)
    assert r'a\nb\t\x1b[31m\x07' in page


@pytest.mark.parametrize(
    ('text', 'wanted'),
    [
        (r'a\b', r'a\textbackslash{}b'),
        ('~^', r'\textasciitilde{}\textasciicircum{}'),
        ('& % $ # _ { }', r'\& \% \$ \# \_ \{ \}'),
        ('p < 0.001 | >', r'p \textless{} 0.001 \textbar{} \textgreater{}'),
        ('a\nb', r'a\textbackslash{}nb'),
        ('雪 é', '雪 é'),
    ],
)
def test_latex_escapes(text, wanted):
    assert escape_latex(text) == wanted


def test_markdown_escapes():
    assert escape_markdown('a|b\n<b>*x*_y_`z`[l](u)$m$') == r'a\|b\\n\<b\>\*x\*\_y\_\`z\`\[l\](u)\$m\$'
    assert escape_markdown('piqe 0.5 - 95 %') == 'piqe 0.5 - 95 %'


def test_no_cell_is_a_formula(tmp_path):
    write_csv(tmp_path / 'a.csv', pd.DataFrame({'=x': NASTY, 'score': -1.5}))
    rows = pd.read_csv(tmp_path / 'a.csv', keep_default_na=False)
    assert list(rows.columns) == ["'=x", 'score']
    assert (rows['score'] == -1.5).all()
    assert not any(cell.startswith(('=', '+', '-', '@')) for cell in rows["'=x"])


def test_hostile_names_from_table_to_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '200')
    random, rows = np.random.default_rng(0), []
    for number in range(3 * len(NASTY)):
        name = NASTY[number % len(NASTY)]
        Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(f'{number}.png')
        rows.append((f'{number}.png', name, name, number))
    pd.DataFrame(rows, columns=['path', 'prompt', 'generator', '$q_{$']).to_csv('$s_{$ & ~.csv', index=False)
    names = 'entropy,$a_{$ <b>|\x1b[31m=entropy:gone.pth'
    result = CliRunner().invoke(
        app, ['leaderboard', '--metrics', names, '--data', '$s_{$ & ~.csv', '--target', '$q_{$']
    )
    assert result.exit_code == 1, result.output  # gone.pth
    assert '\x1b' not in result.output
    assert r'$a_{$ <b>|\x1b[31m' in result.output
    folder = tmp_path / 'leaderboard'
    assert r'\caption{\$s\_\{\$ \& \textasciitilde{}, \$q\_\{\$}' in (folder / 'leaderboard.tex').read_text()
    assert r'$a_{$ &lt;b&gt;|\x1b[31m' in (folder / 'leaderboard.html').read_text()
    scores = pd.read_csv(folder / 'scores.csv', keep_default_na=False)
    assert len(scores) == len(rows)
    assert '\'=HYPERLINK("http://a.b")' in set(scores['prompt'])
    assert len(list((folder / 'figures').iterdir())) == 3
