"""pyiqa knows the metric without an import of ours, and Python's start hardly notices."""

import os
import subprocess
import sys

import pytest

NAMES = ['moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2']
CLASSES = ['MoEAGIQA', 'MoEAGIQAMetric', 'MoEAGIQAPrior', 'ImageRewardMetric', 'PromptNRDataset', 'MoEAGIQAModel']
LISTED = "import pyiqa; listed = pyiqa.list_models(filter='moeagiqa*'); print(listed, 'imagereward' in pyiqa.list_models(metric_mode='NR'))"
BUILT = (
    'from pyiqa.utils.registry import ARCH_REGISTRY as a, DATASET_REGISTRY as d, MODEL_REGISTRY as m;'
    f'print([r.get(name).__name__ for r, names in ((a, {CLASSES[:4]}), (d, {CLASSES[4:5]}), (m, {CLASSES[5:]})) for name in names])'
)


def python(code: str, **environment: str) -> list[str]:
    """The lines that a new interpreter prints."""
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_pyiqa_knows_all_without_an_import_of_ours():
    code = (
        f'{LISTED}; {BUILT};'
        "print(sum(not name.startswith('moeagiqa') for name in pyiqa.list_models()) > 50);"
        'from pyiqa.data.dataset_api import get_dataset_info as second;'
        "print(pyiqa.get_dataset_info('agiqa3k')['images'], second('agiqa3k')['prompts'], 'koniq10k' in pyiqa.get_dataset_info())"
    )
    assert python(code) == [f'{NAMES} True', str(CLASSES), 'True', '2982 300 True']


def test_without_the_hook_networks_are_known_by_entry_point_and_an_import_registers_the_metrics():
    code = f"{LISTED}; {BUILT}; import pyiqa_moeagiqa; print(pyiqa.list_models(filter='moeagiqa*'))"
    assert python(code, MOEAGIQA_NO_HOOK='1') == ['[] False', str(CLASSES), str(NAMES)]


def test_our_import_may_come_before_pyiqas():
    assert python(f'import pyiqa_moeagiqa; {LISTED}', MOEAGIQA_NO_HOOK='1') == [f'{NAMES} True']


def test_python_starts_without_anything_heavy():
    (loaded,) = python('import sys; print(sorted({name.split(".")[0] for name in sys.modules}))')
    assert "'pyiqa_moeagiqa'" in loaded
    for heavy in ('torch', 'pyiqa', 'numpy', 'yaml', 'typer', 'transformers'):
        assert f"'{heavy}'" not in loaded


def test_the_pyiqa_command_lists_it():
    done = subprocess.run([sys.executable, '-m', 'pyiqa.pyiqa_cmd', '-ls'], capture_output=True, text=True, check=False)
    assert 'moeagiqa-v2' in done.stdout, done.stderr


@pytest.mark.parametrize('name', ['pyiqa.default_model_configs', 'pyiqa.api_helpers'])
def test_a_failing_action_warns_and_does_not_break_pyiqa(name):
    code = (
        'import warnings; from pyiqa_moeagiqa import plugin;'
        f"plugin.AFTER_IMPORT['{name}'] = lambda module: 1 / 0;"
        "warnings.simplefilter('error'); "
        'ok = True\ntry:\n import pyiqa\nexcept RuntimeWarning as w:\n print(w)'
    )
    assert any(f'could not register itself in {name}' in line for line in python(code))


def test_an_import_registers_after_pyiqa_has_looked_for_entry_points():
    code = (
        'from pyiqa.utils.registry import ARCH_REGISTRY as a, DATASET_REGISTRY as d, MODEL_REGISTRY as m;'
        'a._entry_points_loaded = d._entry_points_loaded = m._entry_points_loaded = True;'
        "import pyiqa_moeagiqa; print('MoEAGIQA' in a, 'PromptNRDataset' in d, 'MoEAGIQAModel' in m)"
    )
    assert python(code, MOEAGIQA_NO_HOOK='1') == ['True True True']
