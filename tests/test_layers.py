"""Folders build on each other in one direction, as CONTRIBUTING.md says."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / 'pyiqa_moeagiqa'
LAYERS = (
    {'commands'}, {'cluster', 'serve'}, {'leaderboard'}, {'scoring'}, {'training'}, {'models'}, {'metrics'}, {'data'}, {'checkpoints'}, {'archs'},
    {'images', 'prompts'},
)  # fmt: skip


def layer(folder: str) -> int | None:
    return next((place for place, folders in enumerate(LAYERS) if folder in folders), None)


def imported_folders(file: Path):
    """Line and folder of every relative import, within functions, too."""
    package = file.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = [*package[: len(package) - node.level + 1], *(node.module or '').split('.')]
            yield node.lineno, target[0]


def test_a_folder_imports_from_folders_below_alone():
    upward = []
    for file in sorted(PACKAGE.rglob('*.py')):
        own = layer(file.relative_to(PACKAGE).parts[0])
        for line, folder in imported_folders(file):
            theirs = layer(folder)
            if own is not None and theirs is not None and theirs < own:
                upward.append(f'{file.relative_to(PACKAGE)}:{line} imports from {folder}/')
    assert upward == []
