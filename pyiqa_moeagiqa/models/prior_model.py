"""Pre-training of the natural degradation prior (eq. 1): photographs in, their quality out, no prompt looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyiqa.losses import build_loss
from torch import Tensor

from ..archs.prior_arch import MoEAGIQAPrior
from ..checkpoints.file import write_whole
from .distributed import gather
from .run_options import check_run
from .training_model import TrainingModel


class Score(NamedTuple):
    """One score per crop, (N, n)."""

    score: Tensor


class MoEAGIQAPriorModel(TrainingModel):
    """Trains and validates MoEAGIQAPrior on one target; ``model_type: MoEAGIQAPriorModel`` in an option file.

    Reads ``network`` (see ``MoEAGIQAPrior``), ``datasets`` (PromptNRDataset; prompts may be empty) and of ``train``,
    beside what every TrainingModel reads, ``mos_loss_opt``.
    """

    def start(self, opt: Mapping[str, Any]) -> MoEAGIQAPrior:
        if self.is_train:
            check_run(opt)
        return MoEAGIQAPrior(**{name: value for name, value in opt['network'].items() if name != 'type'})

    def _start_training(self, train: Mapping[str, Any]) -> None:
        super()._start_training(train)
        self.mos_loss = build_loss(train['mos_loss_opt'])

    def assess(self) -> dict[str, Score]:
        crops = self.batch['crops']
        score = self.net(crops.flatten(0, 1)).float().view(crops.shape[:2])
        return {'quality': Score(score)}

    def losses(self) -> dict[str, Tensor]:
        score = gather(self.assess()['quality'].score.mean(dim=1, keepdim=True))
        mos, weight = gather(self.batch['mos_label']), gather(self.batch['mos_weight'])
        return {'l_quality': self.mos_loss(score, mos, weight=weight)}

    def write_checkpoint(self, path: Path) -> None:
        """Write all of the network: it is where ``weights.prior`` of a v2 starts."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_whole(weights, path.with_name(path.name + '.safetensors'))
