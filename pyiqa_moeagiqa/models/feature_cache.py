"""The frozen encoders' features, computed once per image and kept in memory."""

import torch
from torch import Tensor

from ..archs.moeagiqa_arch import Features, MoEAGIQA


class FeatureCache:
    """Features by data-set row, as float16; for encoders that training does not change and crops that do not move."""

    def __init__(self) -> None:
        self._kept: dict[int, list[Tensor | None]] = {}

    def encode(self, network: MoEAGIQA, rows: Tensor, crops: Tensor, view: Tensor) -> Features:
        """What ``network.encode`` answers for the images of these rows, from memory where it has been asked before."""
        missing = [place for place, row in enumerate(rows.tolist()) if row not in self._kept]
        if missing:
            with torch.no_grad():
                features = network.encode(crops[missing], view[missing])
            for place, index in enumerate(missing):
                one = [None if part is None else part[place].half().cpu() for part in features]
                self._kept[int(rows[index])] = one
        columns = zip(*(self._kept[row] for row in rows.tolist()), strict=True)
        return Features(*(self._stack(column, crops.device) for column in columns))

    @staticmethod
    def _stack(column: tuple[Tensor | None, ...], device: torch.device) -> Tensor | None:
        return None if column[0] is None else torch.stack(column).to(device).float()
