"""What was computed lately and need not be computed again: the last image's features, the last prompts' words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .moeagiqa_arch import Features

PROMPTS_AT_HAND = 64
LARGEST_AT_HAND = 50_000_000  # values of an image: a larger one is not kept beside the next that is read


class AtHand:
    """Features of an image and words of prompts, as long as the network's weights are the same.

    Copies of a metric, and those that were pickled, begin with nothing at hand.
    """

    def __init__(self):
        self.words: dict[tuple[int, ...], Tensor] = {}  # by their token ids
        self.last: tuple[tuple[Tensor, Tensor], Features] | None = None
        self._of: list[tuple] = []

    def __reduce__(self) -> tuple:
        return AtHand, ()

    def check(self, network: nn.Module) -> None:
        """Drop everything where weights, their place or their type have changed.

        One change leaves no trace, that through ``.data``: call ``forget`` after it.
        """
        state = [(id(tensor), _version(tensor), tensor.device, tensor.dtype) for tensor in network.parameters()]
        if state != self._of:
            self.forget()
            self._of = state

    def forget(self) -> None:
        """Drop everything."""
        self.words, self.last, self._of = {}, None, []

    def image(self, pixels: Tensor, positions: Tensor, look: Callable[[], Features]) -> Features:
        """The features of an image and its crops: at hand where it is the last one again, else by ``look``."""
        last = self.last  # another thread may change it
        if last is not None and all(map(_same, last[0], (pixels, positions))):
            return last[1]
        with constant():
            features = look()
            self.last = ((pixels.clone(), positions), features) if pixels.numel() <= LARGEST_AT_HAND else None
        return features

    def read(self, ids: Tensor, mask: Tensor, words: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The prompts' words (N, L2, E), each read by itself: at hand where it was read lately, else by ``words``."""
        known, read = self.words, []  # another thread may take new ones
        for row, prompt in enumerate(map(tuple, ids.tolist())):
            found = known.get(prompt)
            if found is None:
                with constant():
                    found = known[prompt] = words(ids[row : row + 1], mask[row : row + 1])
            read.append(found)
        for prompt in list(known)[:-PROMPTS_AT_HAND]:
            known.pop(prompt, None)
        return torch.cat(read)


@contextmanager
def constant() -> Iterator[None]:
    """What is computed within can be part of any later computation, of one with gradients too, and has none itself."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def _same(one: Tensor, other: Tensor) -> bool:
    return one.device == other.device and one.equal(other)


def _version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; one made in inference mode does not count it."""
    return 0 if tensor.is_inference() else tensor._version
