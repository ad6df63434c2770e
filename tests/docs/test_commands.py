"""Every command and every example on the pages works as it stands there."""

import shutil
from pathlib import Path

import pytest
import sandbox
import torch
from blocks import Block, blocks, commands, inline_commands
from programs import ROOT, Wrong, end_services, options_are_known, run, run_python

PAGES = [
    ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')), ROOT / 'MODEL_CARD.md', ROOT / 'CONTRIBUTING.md',
    ROOT / 'examples' / 'README.md',
]  # fmt: skip
WITH_THE_REAL_DEFAULT = ('index.md',)  # whose scores are shown
TEXT = ('', 'text', 'csv', 'json', 'yaml')  # shown, not typed
EXAMPLES = ('python', 'pycon')


@pytest.fixture(scope='module')
def filled(tmp_path_factory) -> Path:
    """A folder of all stand-ins."""
    folder = tmp_path_factory.mktemp('filled')
    sandbox.fill(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks gain nothing by threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def services_end():
    """What a page starts ends with it."""
    yield
    end_services()


def run_block(block: Block, names: dict, page: str) -> None:
    if block.language == 'console':
        for command in commands(block):
            try:
                run(command.words, command.shown)
            except Wrong as wrong:
                raise Wrong(f'{page}:{command.line}: {wrong}') from None
    elif block.language in EXAMPLES:
        run_python(block.text, names, page, block.line)
    elif block.language not in TEXT:
        raise Wrong(f'{page}:{block.line}: no rule for blocks of {block.language!r}')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_what_stands_on_a_page_works(page, filled, tmp_path, monkeypatch):
    folder = shutil.copytree(filled, tmp_path / 'folder')
    sandbox.enter(folder, monkeypatch, tiny_default=page.name not in WITH_THE_REAL_DEFAULT)
    names = {'__name__': '__main__'}
    for block in blocks(page):
        run_block(block, names, page.name)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_within_sentences_have_their_options(page):
    for words in inline_commands(page, 'moeagiqa'):
        options_are_known(words)


# -- and what is wrong is found ---------------------------------------------------------------------------------------

WRONG = {
    'option': 'moeagiqa score images/ --promts prompts.csv',
    'file': 'moeagiqa score pictures/ --prompts prompts.csv',
    'command': 'moeagiqa rate images/',
    'option file': 'moeagiqa train options/table9/n5_k3.yml',
    'change of an option': 'moeagiqa train options/moeagiqa_compact.yml train.total_epochs=1',
    'split': 'moeagiqa leaderboard --metrics piqe --data datasets/agiqa3k.csv --split prompt_10=test',
    'program': 'curl https://example.org',
    'extra': "pip install '.[onyx]'",
    'package': 'pip install torchbao',
    'requirements': 'pip install -r requirements/doc.txt',
    'target': 'make demos',
    'launcher option': 'torchrun --nproc_per_nodes 4 -m pyiqa_moeagiqa.cli train options/moeagiqa_compact.yml',
    'launched command': 'torchrun --nproc_per_node 4 -m pyiqa_moeagiqa.cli trian options/moeagiqa_compact.yml',
    'module': 'python -m recipes.ablation --table datasets/agiqa3k.csv',
    'recipe option': 'python -m recipes.ablations --tables datasets/agiqa3k.csv --work ablations/',
    'script': 'python benchmark.py',
    'benchmark file': 'python -P benchmark_results.py -m piqe --data_opt datasets_meta/benchmark/agiqa4k.yml',
    'benchmark metric': 'python -P benchmark_results.py -m piqu --data_opt datasets_meta/benchmark/agiqa3k.yml',
    'second of two': 'make demo && make demos',
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_command_is_found(name, filled, monkeypatch):
    sandbox.enter(filled, monkeypatch, tiny_default=True)
    with pytest.raises((Wrong, FileNotFoundError)):
        run_block(Block('console', f'$ {WRONG[name]}\n', 1), {}, 'page.md')


WRONG_BLOCKS = {
    'output': Block('console', '$ moeagiqa prepare agiqa3k --source AGIQA-3K/\ndatasets/agiqa3k.csv: 21 images\n', 1),
    'value': Block('python', '>>> 1 + 1\n3\n', 1),
    'error': Block('python', 'import pyiqa\npyiqa.create_metric("moeagiqo")\n', 1),
    'language': Block('bash', 'moeagiqa score images/\n', 1),
}


@pytest.mark.parametrize('name', WRONG_BLOCKS)
def test_a_wrong_block_is_found(name, filled, monkeypatch):
    sandbox.enter(filled, monkeypatch, tiny_default=True)
    with pytest.raises(Wrong):
        run_block(WRONG_BLOCKS[name], {}, 'page.md')


@pytest.mark.parametrize('words', ['moeagiqa scores images/', 'moeagiqa score --promt TEXT', 'moeagiqa weights ls'])
def test_a_wrong_command_within_a_sentence_is_found(words):
    with pytest.raises(Wrong):
        options_are_known(words.split())


def test_commands_are_taken_apart_as_a_shell_does(tmp_path):
    (tmp_path / 'page.md').write_text(
        "Text, `moeagiqa weights list` in it.\n\n```console\n$ make demo \\\n    X=1   # said\nshown\n$ pip install '.[onnx]' && make test\n```\n"
    )
    (block,) = blocks(tmp_path / 'page.md')
    assert [tuple(command) for command in commands(block)] == [
        (['make', 'demo', 'X=1'], 'shown', 4),
        (['pip', 'install', '.[onnx]'], '', 6),
        (['make', 'test'], '', 6),
    ]
    assert list(inline_commands(tmp_path / 'page.md', 'moeagiqa')) == [['moeagiqa', 'weights', 'list']]
