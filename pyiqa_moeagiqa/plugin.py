"""The only file that changes pyiqa: its registries, its dictionary of metrics, its data-set info, its image reading and its option files.

Entry points (setup.py) call the ``register_*`` functions when pyiqa lacks a name in a registry. No entry point reaches the
other places, so a finder on ``sys.meta_path`` waits for their modules and acts right after pyiqa has loaded them. This
module runs at interpreter start, so it imports only ``sys``.
"""

import sys

TYPE_CHECKING = False  # that of typing would have to be imported
if TYPE_CHECKING:
    from typing import Any

METRICS = {
    'moeagiqa': 'the embedded compact model',
    'moeagiqa-v1': "the paper's network without the natural degradation prior",
    'moeagiqa-v2': "the paper's network with the natural degradation prior",
}
MODELS = {'MoEAGIQAModel': 'moeagiqa_model', 'MoEAGIQAPriorModel': 'prior_model'}
IMAGE_REWARD = 'imagereward'
OURS = (*METRICS, IMAGE_REWARD)


def register_archs() -> None:
    """Teach ``build_network`` the network, the metrics and the prior's pre-training network."""
    from pyiqa.utils.registry import ARCH_REGISTRY

    for name, module in (
        ('MoEAGIQA', 'archs.moeagiqa_arch'),
        ('MoEAGIQAMetric', 'metrics.moeagiqa'),
        ('MoEAGIQAPrior', 'archs.prior_arch'),
        ('ImageRewardMetric', 'metrics.imagereward'),
    ):
        ARCH_REGISTRY.register_lazy(name, f'pyiqa_moeagiqa.{module}:{name}', override=True)


def register_datasets() -> None:
    """Teach ``build_dataset`` the prompt-aware data sets, for training and for pyiqa's benchmark."""
    from pyiqa.utils.registry import DATASET_REGISTRY

    for name, module in (('PromptNRDataset', 'prompt_nr_dataset'), ('PromptBenchmarkDataset', 'benchmark_dataset')):
        DATASET_REGISTRY.register_lazy(name, f'pyiqa_moeagiqa.data.{module}:{name}', override=True)


def register_models() -> None:
    """Teach ``build_model`` the training models of the network and of its prior."""
    from pyiqa.utils.registry import MODEL_REGISTRY

    for name, module in MODELS.items():
        MODEL_REGISTRY.register_lazy(name, f'pyiqa_moeagiqa.models.{module}:{name}', override=True)


def _add_metrics(module: 'Any') -> None:
    for name in METRICS:
        module.DEFAULT_CONFIGS[name] = {
            'metric_opts': {'type': 'MoEAGIQAMetric', 'model_name': name},
            'metric_mode': 'NR',
            'lower_better': False,
            'score_range': '~0, ~1',
        }
    module.DEFAULT_CONFIGS[IMAGE_REWARD] = {
        'metric_opts': {'type': 'ImageRewardMetric'},
        'metric_mode': 'NR',
        'lower_better': False,
        'score_range': '~-2, ~2',
    }


def _add_dataset_info(module: 'Any') -> None:
    upstream = module.get_dataset_info

    def get_dataset_info(dataset_name: str | None = None) -> 'Any':
        from pyiqa_moeagiqa.data.info import dataset_info

        ours = dataset_info()
        if dataset_name is None:
            return upstream() | ours
        return ours[dataset_name] if dataset_name in ours else upstream(dataset_name)

    get_dataset_info.__doc__ = upstream.__doc__
    module.get_dataset_info = get_dataset_info
    for name in ('pyiqa', 'pyiqa.data.dataset_api'):
        importer: Any = sys.modules.get(name)
        if hasattr(importer, 'get_dataset_info'):
            importer.get_dataset_info = get_dataset_info


def _check_options(module: 'Any') -> None:
    # pyiqa's trainer builds data sets before the model and without its options: both are made to fit right after parsing.
    upstream = module.parse_options

    def parse_options(root_path: str, is_train: bool = True) -> 'Any':
        opt, args = upstream(root_path, is_train)
        if is_train and opt.get('model_type') in MODELS:
            from pyiqa_moeagiqa.training.pyiqa_trainer import options_for_pyiqa

            opt = options_for_pyiqa(opt)
        return opt, args

    parse_options.__doc__ = upstream.__doc__
    module.parse_options = parse_options
    for name in ('pyiqa.train', 'pyiqa.train_nsplits'):
        importer: Any = sys.modules.get(name)
        if hasattr(importer, 'parse_options'):
            importer.parse_options = parse_options


def _let_network_read_images(module: 'Any') -> None:
    # pyiqa reads one file into one tensor and ignores alpha, 16 bits and EXIF rotation. A network with its own read_images
    # gets the user's input unchanged.
    upstream = module.InferenceModel._prepare_inputs

    def _prepare_inputs(self: 'Any', target: 'Any', ref: 'Any' = None) -> 'Any':
        if hasattr(self.net, 'read_images'):
            from pyiqa_moeagiqa.images.read import ROUNDING, STRAY, refuse_reference

            refuse_reference(ref)
            return self.net.read_images(target, stray=ROUNDING if self.check_input_range else STRAY), None
        if hasattr(target, 'prompts'):  # an image that carries its prompt; other metrics get a plain tensor
            from torch import Tensor

            target = target.as_subclass(Tensor)
        return upstream(self, target, ref)

    module.InferenceModel._prepare_inputs = _prepare_inputs


def _register_all(module: 'Any') -> None:
    # Register without entry points, too: a package that is only on the path has none, and pyiqa looks for them once, so a
    # package that is installed while a notebook runs would be missed.
    register_archs()
    register_datasets()
    register_models()


AFTER_IMPORT = {
    'pyiqa.utils.registry': _register_all,
    'pyiqa.default_model_configs': _add_metrics,
    'pyiqa.models.inference_model': _let_network_read_images,
    'pyiqa.utils.options': _check_options,
    'pyiqa.api_helpers': _add_dataset_info,
}


class _PyiqaFinder:
    """Finds pyiqa's modules with the other finders, and adds our action after the module's code has run."""

    @classmethod
    def find_spec(cls, name: str, path: 'Any' = None, target: 'Any' = None) -> 'Any':
        if name not in AFTER_IMPORT:
            return None
        finders = [finder for finder in sys.meta_path if finder is not cls]
        spec: Any = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_register(module: 'Any') -> None:
                run(module)
                _act(name, module)

            spec.loader.exec_module = run_and_register
        return spec


def _act(name: str, module: 'Any') -> None:
    if getattr(module, '_moeagiqa_registered', False):
        return
    try:
        AFTER_IMPORT[name](module)
        module._moeagiqa_registered = True
    except Exception as error:  # a plugin must never break the import of its host
        import warnings

        warnings.warn(f'pyiqa-moeagiqa could not register itself in {name}: {error}', RuntimeWarning, stacklevel=2)


def install() -> None:
    """Register with pyiqa: now if it is loaded already, else when it is loaded. Calling it again changes nothing."""
    if _PyiqaFinder not in sys.meta_path:
        sys.meta_path.insert(0, _PyiqaFinder)
    for name in AFTER_IMPORT:
        if name in sys.modules:
            _act(name, sys.modules[name])
