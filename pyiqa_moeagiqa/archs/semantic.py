"""Semantic side: a BERT whose tokens attend to the image (eq. 4).

Other text encoders with the same interface are BLIP in ``archs/blip.py``, and CLIP, SigLIP and MobileCLIP in ``archs/clip.py``.
"""

from typing import Any

from torch import Tensor, nn

from .bert import Bert
from .fusion import CrossAttention
from .tokenizer import PromptTokenizer, bert_tokenizer


class ReadsImage(nn.Module):
    """A text encoder, without a cross attention of its own, whose tokens attend to an image's in one trained layer."""

    width: int  # channels of the text encoder's tokens

    def add_attention(self, image_width: int, heads: int) -> None:
        """Add the trained layer.

        Args:
            image_width: channels of the image tokens.
            heads: heads of the cross attention.
        """
        self.norm_image = nn.LayerNorm(image_width)
        self.attention = CrossAttention(self.width, image_width, heads)
        self.norm = nn.LayerNorm(self.width)

    def attend(self, words: Tensor, image: Tensor) -> Tensor:
        """Let the prompt's tokens attend to the image's: (N, L2, width)."""
        return self.norm(words + self.attention(words, self.norm_image(image)))


class ReadsBertTokens(nn.Module):
    """A text encoder whose prompts are BERT's tokens."""

    text: Any  # with BERT's embeddings

    @property
    def tokenizer(self) -> PromptTokenizer:
        """What makes token ids of prompts."""
        return bert_tokenizer()

    @property
    def room(self) -> tuple[int, int]:
        """How many words and how many places of a prompt have an embedding."""
        embeddings = self.text.embeddings
        return embeddings.word_embeddings.num_embeddings, embeddings.position_embeddings.num_embeddings


class BertSemantic(ReadsBertTokens, ReadsImage):
    """A BERT whose tokens attend, in one trained layer, to image tokens from the visual ViT.

    Args:
        options: differences from BERT-base, as ``Bert`` takes them; the vocabulary is BERT's uncased one.
        image_width: channels of the image tokens.
        heads: heads of the cross attention.
    """

    def __init__(self, options: dict, image_width: int, heads: int):
        super().__init__()
        self.text = Bert(options)
        self.width = self.text.width
        self.add_attention(image_width, heads)

    @property
    def encoders(self) -> list[nn.Module]:
        """The parts that can run in half precision."""
        return [self.text]

    def freeze(self, share: float) -> list[nn.Module]:
        """Freeze the embeddings and the first ``share`` of the layers; return the frozen modules."""
        layers = self.text.encoder.layer
        frozen = [self.text.embeddings, *layers[: int(share * len(layers))]]
        self.words_are_frozen = len(frozen) == 1 + len(layers)
        for module in frozen:
            module.requires_grad_(False)
        return frozen

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Compute the prompt's tokens before they attend to the image: (N, L2, width)."""
        return self.text(ids, mask).float()
