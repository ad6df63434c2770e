"""Exponential moving average of the trained weights (EMA)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class MovingAverage:
    r"""Keeps the average :math:`\bar w \leftarrow d \bar w + (1 - d) w` of parameters, and can put it in their place.

    d is the smaller of ``decay`` and (1 + updates) / (10 + updates): a small d in the first updates makes the average
    forget the random start.

    Args:
        parameters: by name; the average follows these tensors themselves, not copies of them.
        decay: the largest d, from 0 to 1.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float):
        self.parameters, self.decay, self.updates = parameters, decay, 0
        self.average = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in self.parameters.items():
            self.average[name].lerp_(parameter, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the context the parameters hold the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            kept = parameter.clone()
            parameter.copy_(self.average[name])
            self.average[name] = kept

    def state_dict(self) -> dict:
        return {'average': self.average, 'updates': self.updates}

    def load_state_dict(self, state: Mapping) -> None:
        self.updates = state['updates']
        for name, tensor in state['average'].items():
            self.average[name].copy_(tensor)
