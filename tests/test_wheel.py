"""The wheel in an environment where it alone is ours, used from an empty directory, and removed again."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    clean = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', folder, ROOT, cwd=folder)
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def environment(wheel, tmp_path_factory) -> Path:
    """A fresh environment that borrows the dependencies, and not our editable install, from this one.

    A path that a .pth file adds is searched for modules, but its own .pth files are not read.
    """
    folder = tmp_path_factory.mktemp('environment')
    run(sys.executable, '-m', 'venv', folder, cwd=folder)
    python = folder / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '-q', '--no-deps', wheel, cwd=folder)
    site = next((folder / 'lib').glob('python*')) / 'site-packages'
    (site / 'borrowed.pth').write_text(sysconfig.get_paths()['purelib'] + '\n')
    return folder


LISTING = "import pyiqa; print(pyiqa.list_models(filter='moeagiqa*'))"
NAMES = "['moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2']"


def test_the_wheel_registers_by_itself_and_scores_offline_from_an_empty_directory(environment, tmp_path):
    code = (
        f'{LISTING};import torch, pyiqa_moeagiqa; metric = pyiqa.create_metric("moeagiqa");'
        'print(pyiqa_moeagiqa.__file__, metric(torch.rand(2, 3, 260, 300), caption_list=["a", "b"]).shape)'
    )
    names, scored = run(environment / 'bin' / 'python', '-c', code, cwd=tmp_path, HF_HUB_OFFLINE='1').splitlines()
    assert names == NAMES
    assert str(environment) in scored
    assert 'torch.Size([2, 1])' in scored


def test_the_command_writes_the_option_files(environment, tmp_path):
    run(environment / 'bin' / 'moeagiqa', 'options', 'write', '.', cwd=tmp_path)
    for folder in ('options', 'datasets_meta'):
        written = {path.relative_to(tmp_path) for path in (tmp_path / folder).rglob('*.yml')}
        assert written == {path.relative_to(ROOT) for path in (ROOT / folder).rglob('*.yml')}


def test_without_pth_files_one_import_does_it(wheel, tmp_path):
    run(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', tmp_path / 'lib', wheel, cwd=tmp_path)
    code = 'import pyiqa_moeagiqa; print(pyiqa_moeagiqa.__file__);' + LISTING
    printed = run(sys.executable, '-c', code, cwd=tmp_path, PYTHONPATH=str(tmp_path / 'lib'), MOEAGIQA_NO_HOOK='1')
    assert str(tmp_path / 'lib') in printed
    assert NAMES in printed


def test_a_checkout_of_pyiqa_on_the_path_is_served(environment, tmp_path):
    # The checkout's own folder comes first on the path, so its pyiqa is the one that is loaded.
    shutil.copytree(*importlib.util.find_spec('pyiqa').submodule_search_locations, tmp_path / 'pyiqa')
    printed = run(environment / 'bin' / 'python', '-c', 'import pyiqa; print(pyiqa.__file__);' + LISTING, cwd=tmp_path)
    assert str(tmp_path / 'pyiqa') in printed
    assert NAMES in printed


@pytest.fixture
def trap(tmp_path) -> Path:
    """A folder of our package's name in the working directory, which leaves a file behind where it is run."""
    (tmp_path / 'pyiqa_moeagiqa').mkdir()
    (tmp_path / 'pyiqa_moeagiqa' / '__init__.py').write_text(f'open({str(tmp_path / "was_run")!r}, "w")')
    return tmp_path / 'was_run'


WHERE = "import sys; print(getattr(sys.modules.get('pyiqa_moeagiqa'), '__file__', None))"


@pytest.mark.parametrize('path', ['', os.pathsep, '.', os.pathsep + '/nowhere', '{tmp_path}'])
def test_a_folder_of_that_name_elsewhere_is_not_run_at_start(environment, tmp_path, trap, path):
    loaded = run(environment / 'bin' / 'python', '-c', WHERE, cwd=tmp_path, PYTHONPATH=path.format(tmp_path=tmp_path))
    assert Path(loaded).is_relative_to(environment)
    assert not trap.exists()


def test_the_path_is_as_it_was_after_the_hook(environment, tmp_path):
    code = 'import sys; print(sys.path)'
    expected = run(environment / 'bin' / 'python', '-c', code, cwd=tmp_path, MOEAGIQA_NO_HOOK='1')
    assert run(environment / 'bin' / 'python', '-c', code, cwd=tmp_path) == expected


def test_an_editable_install_loads_its_checkout(tmp_path, trap, tmp_path_factory):
    checkout, folder = tmp_path_factory.mktemp('it\'s a "checkout" é'), tmp_path_factory.mktemp('editable')
    (checkout / 'pyiqa_moeagiqa').mkdir()
    for name in (
        'setup.py',
        'README.md',
        'LICENSE',
        'NOTICE',
        'pyiqa_moeagiqa/__init__.py',
        'pyiqa_moeagiqa/plugin.py',
    ):
        shutil.copy(ROOT / name, checkout / name)
    build = f'from setuptools.build_meta import build_editable; build_editable({str(folder)!r})'
    run(sys.executable, '-c', build, cwd=checkout)
    wheel = next(folder.glob('*.whl'))
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder)
    run(sys.executable, '-m', 'pip', '--python', folder, 'install', '-q', '--no-deps', wheel, cwd=folder)
    loaded = run(folder / 'bin' / 'python', '-c', WHERE, cwd=tmp_path, PYTHONPATH=os.pathsep)
    assert Path(loaded).is_relative_to(checkout)
    shutil.rmtree(checkout)
    assert run(folder / 'bin' / 'python', '-c', WHERE, cwd=tmp_path, PYTHONPATH=os.pathsep) == 'None'
    assert not trap.exists()


def test_uninstalling_takes_everything_away(environment, tmp_path, trap):
    # The last test of this module: the environment is of no use after it.
    site = next((environment / 'lib').glob('python*')) / 'site-packages'
    hook = (site / 'pyiqa_moeagiqa.pth').read_text()
    run(environment / 'bin' / 'python', '-m', 'pip', 'uninstall', '-q', '-y', 'pyiqa-moeagiqa', cwd=tmp_path)
    assert [path.name for path in site.iterdir() if 'moeagiqa' in path.name] == []
    assert run(environment / 'bin' / 'python', '-c', 'print("starts")', cwd=tmp_path) == 'starts'
    (site / 'pyiqa_moeagiqa.pth').write_text(hook)  # as left behind by someone who deletes the package's folder
    assert run(environment / 'bin' / 'python', '-c', WHERE, cwd=tmp_path, PYTHONPATH=os.pathsep) == 'None'
    assert not trap.exists()
