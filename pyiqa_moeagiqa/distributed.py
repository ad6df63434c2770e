"""Several processes that act as one: what one of them computed, for all to see."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def processes() -> int:
    """How many processes train together; 1 without a launcher."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if processes() > 1 else 0


def gather(tensor: Tensor) -> Tensor:
    """The batch of all processes, (processes * N, ...), through which gradients flow back to where each row came from.

    A loss on it is the same on every process, whatever it compares within the batch, and its gradient, averaged over
    processes as DistributedDataParallel does, is the gradient of one process with the whole batch.
    """
    if processes() == 1:
        return tensor
    return torch.cat(all_gather(tensor.contiguous()))


def average_over_processes(tensor: Tensor) -> None:
    """Put the mean over processes in the tensor's place, in all of them."""
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
    """The rows of ``count`` that fall to this process: each row falls to exactly one."""
    return range(rank(), count, processes())


def in_order(parts: list[list[Any]]) -> Iterator[Any]:
    """The rows of all processes' shares, in the data set's order."""
    for place in range(max(map(len, parts))):
        yield from (part[place] for part in parts if place < len(part))
