"""Images that carry their prompts, for code that passes on only ``data['img']``, such as pyiqa's benchmark."""

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import torch
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

KEPT_BY = {
    Tensor.to, Tensor.cpu, Tensor.cuda, Tensor.clone, Tensor.detach, Tensor.contiguous, Tensor.float, Tensor.pin_memory,
    Tensor.share_memory_, Tensor.requires_grad_,
}  # fmt: skip


class PromptedImage(Tensor):
    """A float image (3, H, W) with its prompt, or a batch (N, 3, H, W) with N prompts.

    Prompts stay through loaders and their workers, ``.to()`` and the like, and slices of a batch. Every other operation
    gives a plain tensor.

    Attributes:
        prompts: a list of strings, one for each image.

    Example:
        >>> image = prompted(torch.rand(2, 3, 8, 8), ['a cat', 'a dog'])
        >>> image[1:].to('cpu').prompts
        ['a dog']
    """

    prompts: list[str]

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        answer = super().__torch_function__(function, types, args, kwargs or {})
        if isinstance(answer, tuple | list):
            return type(answer)(map(_plain, answer)) if type(answer) in (tuple, list) else answer
        if not isinstance(answer, PromptedImage) or (args and answer is args[0]):
            return answer
        prompts = getattr(args[0], 'prompts', None) if args else None
        if prompts is not None and function is Tensor.__getitem__ and args[0].dim() == 4:
            prompts = _sliced(prompts, args[1])
        elif function not in KEPT_BY:
            prompts = None
        return answer.as_subclass(Tensor) if prompts is None else prompted(answer, prompts)

    def __deepcopy__(self, memo: dict) -> 'PromptedImage':
        return prompted(self.as_subclass(Tensor).clone(), self.prompts)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple:
        return prompted, (self.as_subclass(Tensor), self.prompts)


def prompted(image: Tensor, prompts: Sequence[str]) -> PromptedImage:
    """Attach prompts to an image or a batch of images.

    Raises:
        ValueError: if the numbers of prompts and images differ.
    """
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    images = 1 if image.dim() == 3 else len(image)
    if len(prompts) != images:
        raise ValueError(f'{len(prompts)} prompts were given for {images} images: pass one prompt per image.')
    image = image.as_subclass(PromptedImage)
    image.prompts = prompts
    return image


def _plain(part: Any) -> Any:
    return part.as_subclass(Tensor) if isinstance(part, PromptedImage) else part


def _sliced(prompts: list[str], index: Any) -> list[str] | None:
    """Return the prompts of the images that an index into a batch selects; None if it does not select whole images."""
    if isinstance(index, slice):
        return prompts[index]
    if isinstance(index, int):
        return [prompts[index]]
    if isinstance(index, list) and all(isinstance(place, int) and not isinstance(place, bool) for place in index):
        return [prompts[place] for place in index]
    return None


def _collate(batch: list[PromptedImage], *, collate_fn_map: dict | None = None) -> PromptedImage:
    images = torch.stack([image.as_subclass(Tensor) for image in batch])
    return prompted(images, [prompt for image in batch for prompt in image.prompts])


default_collate_fn_map[PromptedImage] = _collate
