"""pyiqa knows the metric without an import of ours, and Python's start hardly notices."""

import os
import subprocess
import sys

import pytest

NAMES = ['moeagiqa', 'moeagiqa-v1', 'moeagiqa-v2']


def python(code: str, *options: str, **environment: str) -> str:
    """What a new interpreter prints."""
    command = [sys.executable, *options, '-c', code]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_list_models_without_an_import_of_ours():
    assert python("import pyiqa; print(pyiqa.list_models(filter='moeagiqa*'))") == str(NAMES)


def test_imagereward_is_a_metric_without_an_import_of_ours():
    code = "import pyiqa; print('imagereward' in pyiqa.list_models(metric_mode='NR'))"
    assert python(code) == 'True'
    assert python(code, MOEAGIQA_NO_HOOK='1') == 'False'


def test_the_hook_can_be_off_and_an_import_registers():
    listing = "print(pyiqa.list_models(filter='moeagiqa*'))"
    assert python(f'import pyiqa; {listing}', MOEAGIQA_NO_HOOK='1') == '[]'
    for order in ('import pyiqa, pyiqa_moeagiqa', 'import pyiqa_moeagiqa, pyiqa'):
        assert python(f'{order}; {listing}', MOEAGIQA_NO_HOOK='1') == str(NAMES)


def test_python_starts_without_anything_heavy():
    loaded = python('import sys; print(sorted({name.split(".")[0] for name in sys.modules}))')
    assert "'pyiqa_moeagiqa'" in loaded
    for heavy in ('torch', 'pyiqa', 'numpy', 'yaml', 'typer', 'transformers'):
        assert f"'{heavy}'" not in loaded


def test_build_network_knows_all_by_entry_point():
    code = (
        'from pyiqa.utils.registry import ARCH_REGISTRY as a, DATASET_REGISTRY as d, MODEL_REGISTRY as m;'
        "print(*(r.get(n).__name__ for r, n in ((a, 'MoEAGIQA'), (a, 'MoEAGIQAMetric'), (a, 'MoEAGIQAPrior'), (a, 'ImageRewardMetric'),"
        "(d, 'PromptNRDataset'), (m, 'MoEAGIQAModel'))))"
    )
    expected = 'MoEAGIQA MoEAGIQAMetric MoEAGIQAPrior ImageRewardMetric PromptNRDataset MoEAGIQAModel'
    assert python(code) == expected
    assert python(code, MOEAGIQA_NO_HOOK='1') == expected


def test_dataset_info_has_ours_and_pyiqas():
    code = (
        'import pyiqa; from pyiqa.data.dataset_api import get_dataset_info as second;'
        "print(pyiqa.get_dataset_info('agiqa3k')['images'], second('agiqa3k')['prompts'], 'koniq10k' in pyiqa.get_dataset_info())"
    )
    assert python(code) == '2982 300 True'


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
    assert f'could not register itself in {name}' in python(code)


def test_every_pyiqa_metric_is_still_there():
    code = 'import pyiqa; print(len([n for n in pyiqa.list_models() if not n.startswith("moeagiqa")]) > 50)'
    assert python(code) == 'True'


def test_an_import_registers_after_pyiqa_has_looked_for_entry_points():
    code = (
        'from pyiqa.utils.registry import ARCH_REGISTRY as a, DATASET_REGISTRY as d, MODEL_REGISTRY as m;'
        'a._entry_points_loaded = d._entry_points_loaded = m._entry_points_loaded = True;'
        "import pyiqa_moeagiqa; print('MoEAGIQA' in a, 'PromptNRDataset' in d, 'MoEAGIQAModel' in m)"
    )
    assert python(code, MOEAGIQA_NO_HOOK='1') == 'True True True'
