"""What pyiqa's own trainer needs from this package: the options that it has parsed, checked before it reads any data.

Its loop then calls the same data sets and models as ``moeagiqa train``.
"""

from typing import Any

from ..data.prompt_nr_dataset import PromptNRDataset
from ..models.fill_in import fill_in, fill_in_from
from ..models.run_options import check_run
from ..models.validation import require_decidable


def options_for_pyiqa(opt: dict[str, Any]) -> dict[str, Any]:
    """Check the options that pyiqa has parsed for one of this package's models, and fill in what follows from others.

    Raises:
        OptionError: for wrong options, or a validation that could not decide which network is best.
        CheckpointError, TableError: for weights or a table that cannot be read.
    """
    check_run(opt)
    opt = fill_in(opt)
    # pyiqa's own build_dataset would open the log before pyiqa has named its file.
    fill_in_from(PromptNRDataset(opt['datasets']['train']), opt)
    require_decidable(PromptNRDataset(opt['datasets']['val']), opt['val'])
    return opt
