"""The order in which training sees its images: a pure function of seed and epoch, for any number of processes."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class EpochOrder(Sampler[list[int]]):
    """Yields the batches of one process; all processes' batches together are those of one process with the whole batch.

    Args:
        length: of the data set, a multiple of ``batch`` times ``processes``.
        batch: images per process.
        seed: decides the order, together with the epoch.
        rank, processes: the number of this process, and how many there are.
        shuffle: false keeps the data set's order.
    """

    def __init__(self, length: int, batch: int, seed: int, rank: int = 0, processes: int = 1, shuffle: bool = True):
        self.length, self.batch, self.seed, self.shuffle = length, batch, seed, shuffle
        self.rank, self.processes = rank, processes
        self.epoch, self.begin = 0, 0

    def set_epoch(self, epoch: int, begin: int = 0) -> None:
        """Choose the epoch and the batch that it starts with."""
        self.epoch, self.begin = epoch, begin

    def __len__(self) -> int:
        return self.length // (self.batch * self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(self.length)
        if self.shuffle:
            state = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.length, generator=state)
        batches = order.view(len(self), self.processes, self.batch)[:, self.rank]
        yield from batches[self.begin :].tolist()
