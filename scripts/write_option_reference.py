"""Writes docs/options.md, every option of an option file, from the sections that check them: python scripts/write_option_reference.py

A test compares the page with what this script makes.
"""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.encoder_options import (
    BertOptions,
    BlipText,
    BlipVision,
    ClipOptions,
    ClipText,
    ClipVision,
    MobileVision,
    VisualOptions,
)
from pyiqa_moeagiqa.archs.prior_arch import PriorOptions
from pyiqa_moeagiqa.checkpoints.start import StartOptions
from pyiqa_moeagiqa.data.options import BenchmarkOptions
from pyiqa_moeagiqa.models import run_options as run
from pyiqa_moeagiqa.section import Section, words

PAGE = Path(__file__).parent.parent / 'docs' / 'options.md'
SECTIONS: dict[str, type[Section]] = {
    'The file': run.RunOptions,
    '`datasets.train`, `datasets.val`, `datasets.val_ANYTHING`, `test.NAME`': run.DataSetOptions,
    '`network` of a MoEAGIQAModel': MoEAGIQAConfig,
    '`network.weights` of a MoEAGIQAModel': StartOptions,
    '`network` of a MoEAGIQAPriorModel': PriorOptions,
    '`network.visual_options`': VisualOptions,
    "`network.semantic_options` of a 'bert'": BertOptions,
    "`network.semantic_options.vision` of a 'blip'": BlipVision,
    "`network.semantic_options.text` of a 'blip'": BlipText,
    "`network.semantic_options` of a 'clip'": ClipOptions,
    "`network.semantic_options.vision` of a 'clip'": ClipVision,
    "`network.semantic_options.mobile` of a 'clip'": MobileVision,
    "`network.semantic_options.text` of a 'clip'": ClipText,
    '`train`': run.TrainOptions,
    '`train.optim`': run.OptimOptions,
    '`train.scheduler`': run.SchedulerOptions,
    '`train.mos_loss_opt`': run.LossOptions,
    '`train.metric_loss_opt`': run.MetricLossOptions,
    '`val`': run.ValOptions,
    '`val.metrics.NAME`': run.FigureOptions,
    '`logger`': run.LoggerOptions,
    '`path`': run.PathOptions,
    '`dist_params`': run.DistOptions,
    "A `PromptBenchmarkDataset`, for pyiqa's `benchmark_results.py`": BenchmarkOptions,
}
HEAD = """# Options

Every option of an option file, by section. An option that is not listed, or a value out of its range, stops a run before it begins. Whole
numbers are below 2^31. A network's section also has `type: MoEAGIQA` or `type: MoEAGIQAPrior`, and a MoEAGIQA's has `weights`.
"""


def page() -> str:
    """The whole page."""
    return '\n'.join([HEAD, *(_table(title, section) for title, section in SECTIONS.items())])


def _table(title: str, section: type[Section]) -> str:
    lines = [f'## {title}', '', '| option | what it must be | default | what it does |', '|---|---|---|---|']
    for name, option in section.model_fields.items():
        allowed = re.sub(r' \((and below|in YAML).*?\)|( of its own, .*)', '', words(option))
        cells = (f'`{name}`', allowed, _default(option), option.description.replace('``', '`'))
        lines.append(f'| {" | ".join(" ".join(cell.split()) for cell in cells)} |')
    return '\n'.join([*lines, ''])


def _default(option: FieldInfo) -> str:
    if option.is_required():
        return 'must be given'
    default = option.get_default(call_default_factory=True)
    if default is None or isinstance(default, Section) or default == {}:
        return ''
    if isinstance(default, bool):
        return f'`{str(default).lower()}`'
    return f'`{list(default) if isinstance(default, tuple) else default}`'


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
