"""Reads a user's images (a path, a PIL image, a tensor, a list of them) as RGB tensors, as a person sees the picture."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from ..prompts import SidecarError, find_prompt, metadata_prompt, prompt_in_image
from ..warn import warn_caller
from . import pixels
from .files import ImageError, check_content, errors_named, opened
from .room import ask_for_room

ROUNDING = 1e-4
STRAY = 0.5  # allowed in a loss; images scaled to [-1, 1] or [0, 255] are still refused


class ImageBatch(list[Tensor]):
    """Images (3, H, W) of any sizes: uint8 in [0, 255] as read from files, or float in [0, 1] as given.

    Attributes:
        prompts: the images' own prompts, if they were given with them.
        sources: the objects that the images were read from, where prompts are looked for when they are needed.
        notes: what to know about how they were read.
    """

    prompts: list[str] | None = None
    sources: Sequence[Any] = ()
    notes: Sequence[str] = ()

    def to(self, *args: Any, **kwargs: Any) -> 'ImageBatch':
        """Move all images as ``Tensor.to`` does; pyiqa calls this with the metric's device."""
        moved = ImageBatch(image.to(*args, **kwargs) for image in self)
        moved.prompts, moved.sources, moved.notes = self.prompts, self.sources, self.notes
        return moved

    @overload
    def __getitem__(self, rows: SupportsIndex) -> Tensor: ...

    @overload
    def __getitem__(self, rows: slice) -> 'ImageBatch': ...

    def __getitem__(self, rows: SupportsIndex | slice) -> 'Tensor | ImageBatch':
        return ImageBatch(super().__getitem__(rows)) if isinstance(rows, slice) else super().__getitem__(rows)


def read_images(source: Any, stray: float = ROUNDING) -> ImageBatch:
    """Read one image or many.

    Args:
        source: path, bytes, PIL image, tensor (N, C, H, W) or (C, H, W) with C of 1 or 3 and values in [0, 1], numpy array
            (N, H, W, C), (H, W, C) or (H, W), uint8 or floats in [0, 1], or a list or tuple of these, of any sizes.
        stray: how far the values of a tensor may lie outside of [0, 1]; such values are kept.

    Raises:
        ImageError: naming the image, what is wrong with it and what to do.
    """
    if isinstance(source, ImageBatch):
        return source
    if isinstance(source, Tensor) and hasattr(source, 'prompts'):
        batch = read_images(source.as_subclass(Tensor), stray)
        batch.prompts = source.prompts
        return batch
    if isinstance(source, Tensor | np.ndarray) and source.ndim == 4:
        source = list(source)
    is_list = isinstance(source, list | tuple)
    sources = list(source) if is_list else [source]
    read = [_read(image, f'image {index}' if is_list else 'image', stray) for index, image in enumerate(sources)]
    batch = ImageBatch(image for image, _ in read)
    batch.sources, batch.notes = sources, [note for _, notes in read for note in notes]
    if sources and all(hasattr(image, 'prompts') for image in sources):
        batch.prompts = [prompt for image in sources for prompt in image.prompts]
    return batch


def shrunk(image: Tensor, longest: int) -> Tensor:
    """Shrink an image (3, H, W) for people to look at: its longer side gets at most ``longest`` pixels."""
    scale = longest / max(image.shape[-2:])
    return image if scale >= 1 else resize(image, [max(1, round(side * scale)) for side in image.shape[-2:]])


def read_image(source: Any, name: str = 'image', stray: float = ROUNDING) -> Tensor:
    """Read one image as (3, H, W); messages call it ``name`` if it is not a file; ``stray`` is that of ``read_images``.

    What ``ImageBatch.notes`` would hold is warned of.
    """
    image, notes = _read(source, name, stray)
    warn_caller(notes)
    return image


def _read(source: Any, name: str, stray: float) -> tuple[Tensor, list[str]]:
    """The image as (3, H, W), and notes on how it was read."""
    if isinstance(source, Tensor):
        return _check_tensor(source, name, stray), []
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, name), []
    if isinstance(source, Image.Image):
        with errors_named(name):
            return _pil_to_rgb(source, name)
    if isinstance(source, str | Path):
        name = str(source)
    elif isinstance(source, bytes | bytearray):
        source = io.BytesIO(source)
    else:
        raise ImageError(
            f'{name} is of type {type(source).__name__}: give a path, bytes, a PIL image, or a tensor or array '
            'with values in [0, 1].'
        )
    with opened(source, name) as image:
        return _pil_to_rgb(image, name)


def _pil_to_rgb(image: Image.Image, name: str) -> tuple[Tensor, list[str]]:
    """Convert to uint8 (3, H, W), or 16-bit and float images to float in [0, 1]: upright, on white where transparent.

    Returns:
        The pixels and the notes.
    """
    if 0 in image.size:
        raise ImageError(f'{name} has {image.size[0]} x {image.size[1]} pixels: an image needs at least one.')
    check_content(image, name)
    notes = []
    if getattr(image, 'is_animated', False):  # counting frames would need a walk through all of them
        notes.append(f'{name} has more than one frame: the first one is scored.')
        if image.format != 'HEIF':  # Pillow opens its primary image, which can lie anywhere in the file
            image.seek(0)
    ask_for_room(image.width * image.height)
    if image.mode.startswith('I'):
        return _grey_to_rgb(image, 65535, name), notes
    if image.mode == 'F':
        return _grey_to_rgb(image, 1, name), notes
    return pixels.rgb(image), notes


def _grey_to_rgb(image: Image.Image, white: int, name: str) -> Tensor:
    grey = pixels.grey(image, white)
    extremes = torch.stack([grey.min(), grey.max()])  # not finite if any pixel is not; no copy of the image is needed
    _check_tensor(extremes.view(1, 1, 2), name)
    return grey.expand(3, -1, -1)


def _array_to_rgb(array: np.ndarray, name: str) -> Tensor:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ImageError(
            f'{name} has shape {array.shape}: as an array it must be (H, W, 3), (H, W, 4), (H, W, 1) or (H, W).'
        )
    if array.dtype == np.uint8:
        return _pil_to_rgb(Image.fromarray(array[..., 0] if channels == 1 and array.ndim == 3 else array), name)[0]
    if array.dtype.kind != 'f' or channels == 4:
        raise ImageError(
            f'{name} has {channels} channels of type {array.dtype}: give uint8, or up to 3 channels of floats in [0, 1].'
        )
    image = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return _check_tensor(image.reshape(*array.shape[:2], channels).permute(2, 0, 1), name)


def _check_tensor(image: Tensor, name: str, stray: float = ROUNDING) -> Tensor:
    shape = tuple(image.shape)
    if image.dim() != 3 or shape[0] not in (1, 3):
        raise ImageError(f'{name} has shape {shape}: it must be (3, H, W) or (1, H, W).')
    if image.numel() == 0:
        raise ImageError(f'{name} has shape {shape}: an image needs at least one pixel.')
    if not image.is_floating_point():
        raise ImageError(f'{name} has values of type {image.dtype}: give floats in [0, 1] (for uint8, divide by 255).')
    if not image.isfinite().all():
        raise ImageError(f'{name} has NaN or infinite pixels: check how it was made.')
    low, high = image.min().item(), image.max().item()
    if low < -stray or high > 1 + stray:
        allowed = f'; here they may stray as far as {-stray:g} to {1 + stray:g}' if stray > ROUNDING else ''
        raise ImageError(f'{name} has values from {low:g} to {high:g}: scale them to [0, 1]{allowed}.')
    return image.expand(3, -1, -1)


NO_LISTS = (bytes, Mapping, Set, Tensor, Image.Image)  # iterable, but not lists of prompts


class PromptError(ValueError):
    """Raised, with one sentence, for prompts that are missing or cannot be used."""


def refuse_reference(reference: Any) -> None:
    """Raise an ImageError for a reference image, or a PromptError for prompts in its place.

    pyiqa's metrics take a reference as second argument; these take none, and prompts by the name ``caption_list``.
    """
    if reference is None:
        return
    texts = list(reference) if isinstance(reference, list | tuple | np.ndarray) else [reference]
    if texts and all(isinstance(text, str) and not os.path.isfile(text) for text in texts):
        raise PromptError(
            f'ref is {reference!r:.60}: a prompt is given by name, as in metric(images, caption_list=[...]), one per image.'
        )
    raise ImageError(f'ref is of type {type(reference).__name__}: this metric takes no reference image; leave it out.')


def find_prompts(images: ImageBatch) -> list[str] | None:
    """Find the images' own prompts: given with them, in files beside them, or in their metadata.

    Returns:
        One for each image, or None for tensors that carry none.

    Raises:
        PromptError: for a file or a PIL image without a prompt.
    """
    are_tensors = any(isinstance(source, Tensor | np.ndarray) for source in images.sources)
    if not images:
        return []
    if images.prompts is not None or are_tensors or not images.sources:
        return images.prompts
    return [_prompt_of(source, f'image {index}') for index, source in enumerate(images.sources)]


def _prompt_of(source: Any, name: str) -> str:
    is_path = isinstance(source, str | Path)
    found: tuple[str, str] | None
    try:
        if is_path:
            found = find_prompt(source)
        else:
            found = prompt_in_image(source) if isinstance(source, Image.Image) else metadata_prompt(io.BytesIO(source))
    except SidecarError as error:
        raise PromptError(f'{error}.') from None
    if found:
        return found[0]
    where = f'beside it ({Path(source).stem}.txt) or ' if is_path else ''
    raise PromptError(
        f'{source if is_path else name}: no prompt was given, and there is none {where}in its metadata; '
        f'{"write it beside it, or " if is_path else ""}pass caption_list=[...] with one prompt per image.'
    )


def read_with_prompts(source: Any, captions: Iterable[str] | str | None) -> tuple[ImageBatch, list[str]]:
    """Read images as ``read_images`` does, and a prompt for each: from ``captions``, or the images' own if it is None.

    Raises:
        ImageError, PromptError: for images or prompts that cannot be scored.
    """
    images = read_images(source)
    return images, check_prompts(find_prompts(images) if captions is None else captions, len(images))


def check_prompts(prompts: Iterable[str] | str | None, images: int) -> list[str]:
    """Return the prompts as a list, one per image; a single string is used for every image.

    Raises:
        PromptError: for missing prompts, a wrong number of them, or one that is no string.
    """
    if prompts is None:
        raise PromptError('No prompt was given: pass caption_list=[...] with one prompt per image.')
    if isinstance(prompts, str):
        prompts = [prompts] * images
    if isinstance(prompts, NO_LISTS) or not isinstance(prompts, Iterable):
        raise PromptError(
            f'caption_list is of type {type(prompts).__name__}: it must be a list of strings, one per image.'
        )
    prompts = list(prompts)
    if len(prompts) != images:
        raise PromptError(f'{len(prompts)} prompts were given for {images} images: pass one prompt per image.')
    for index, prompt in enumerate(prompts):
        if not isinstance(prompt, str):
            raise PromptError(f'Prompt {index} is {prompt!r} of type {type(prompt).__name__}: it must be a string.')
    return prompts
