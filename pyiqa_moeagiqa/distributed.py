"""Shares results between the processes of a distributed training run."""

import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def launched() -> bool:
    """Whether torchrun, or another launcher that sets its variables, started this process."""
    return 'RANK' in os.environ and 'WORLD_SIZE' in os.environ


def processes() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if processes() > 1 else 0


def barrier() -> None:
    """Wait until all processes are here."""
    if processes() > 1:
        dist.barrier()


def gather(tensor: Tensor) -> Tensor:
    """The batch of all processes, (processes * N, ...); gradients flow back to the process that each row came from.

    A loss on it is the same on every process, even if it compares rows within the batch. Its gradient, averaged over
    processes as DistributedDataParallel does, is the gradient of one process with the whole batch.
    """
    if processes() == 1:
        return tensor
    return torch.cat(all_gather(tensor.contiguous()))


def average_over_processes(tensor: Tensor) -> None:
    """Replace the tensor, in place and on every process, by its mean over processes."""
    if processes() > 1:
        dist.all_reduce(tensor)
        tensor /= processes()


def gather_objects(value: Any) -> list[Any]:
    """Every process's value, in the order of ranks."""
    if processes() == 1:
        return [value]
    values: list[Any] = [None] * processes()
    dist.all_gather_object(values, value)
    return values


def share(count: int) -> range:
    """The rows, out of ``count``, that this process handles: each row belongs to exactly one process."""
    return range(rank(), count, processes())


def in_order(parts: list[list[Any]]) -> Iterator[Any]:
    """Yield the rows of all processes' shares, in the data set's order."""
    for place in range(max(map(len, parts))):
        yield from (part[place] for part in parts if place < len(part))
