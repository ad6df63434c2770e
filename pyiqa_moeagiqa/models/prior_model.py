"""Pre-train the natural degradation prior (eq. 1): it predicts the quality of photographs without prompts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyiqa.losses import build_loss
from torch import Tensor
from torch.nn import functional as F

from ..archs.prior_arch import MoEAGIQAPrior
from ..checkpoints.file import write_whole
from ..checkpoints.start import start_prior
from ..data.degradations import KINDS
from ..distributed import gather
from ..options import OptionError
from .training_model import TrainingModel


class PriorAnswer(NamedTuple):
    """One score per crop, (N, n), and the logits of the degradation's kind, (N, n, kinds); ``kinds`` can be 0."""

    score: Tensor
    kinds: Tensor


class MoEAGIQAPriorModel(TrainingModel):
    """Trains and validates MoEAGIQAPrior on one target; ``model_type: MoEAGIQAPriorModel`` in an option file.

    Reads ``network`` (see ``start_prior``), ``datasets`` (PromptNRDataset; prompts may be empty) and ``train``: the
    options of every TrainingModel, and ``mos_loss_opt``. With ``degrade`` in the data sets and ``kinds`` in the network
    it learns the kind and strength of synthetic degradations.
    """

    def start(self, opt: Mapping[str, Any]) -> MoEAGIQAPrior:
        network = start_prior(opt['network'])
        for phase, data in opt['datasets'].items():
            if bool(data.get('degrade')) != bool(network.kinds):
                raise OptionError(
                    f'datasets.{phase} option degrade is {data.get("degrade", False)}, but network option kinds is '
                    f'{network.kinds}: kinds must be {len(KINDS)} with degrade, and 0 without.'
                )
        return network

    def _start_training(self, train: Mapping[str, Any]) -> None:
        super()._start_training(train)
        self.mos_loss = build_loss(train['mos_loss_opt'])

    def assess(self) -> dict[str, PriorAnswer]:
        crops = self.batch['crops']
        answer = self.net(crops.flatten(0, 1)).float().unflatten(0, crops.shape[:2])
        return {'quality': PriorAnswer(answer[..., 0], answer[..., 1:])}

    def losses(self) -> dict[str, Tensor]:
        answer = self.assess()['quality']
        score = gather(answer.score.mean(dim=1, keepdim=True))
        mos, weight = gather(self.batch['mos_label']), gather(self.batch['mos_weight'])
        losses = {'l_quality': self.mos_loss(score, mos, weight=weight)}
        if self.network.kinds:
            losses['l_kind'] = F.cross_entropy(gather(answer.kinds.mean(dim=1)), gather(self.batch['kind']))
        return losses

    def hits(self) -> Tensor | None:
        if not self.network.kinds:
            return None
        return (self.answer['quality'].kinds.mean(dim=1).argmax(dim=1) == self.batch['kind']).float()

    def write_checkpoint(self, path: Path) -> None:
        """Write the whole network: option ``weights.prior`` of a v2 network starts from this file."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        write_whole(weights, path.with_name(path.name + '.safetensors'))
