"""The part of BERT that prompts need: token ids in, the last layer's tokens out.

Devlin et al., 'BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding', NAACL 2019. The names
of tensors and every bit of the output equal those of transformers' BertModel. This file replaces it because the import of
transformers alone takes longer than a score.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoder_options import BertOptions

ACTIVATIONS: dict[str, Any] = {'gelu': F.gelu, 'relu': F.relu, 'silu': F.silu}


class Bert(nn.Module):
    """The encoder without its pooler.

    Args:
        options: differences from BERT-base, see ``BertOptions``.

    Shape:
        token ids and mask (N, L) -> (N, L, hidden_size)

    Raises:
        OptionError: for an option that is unknown or out of range.
    """

    def __init__(self, options: Mapping[str, Any]):
        super().__init__()
        self.options = checked = BertOptions.check(options, 'semantic_options')
        self.width = checked.hidden_size
        self.embeddings = Embeddings(checked)
        self.encoder: Any = nn.Module()  # only for its name, as BertModel has it
        self.encoder.layer = nn.ModuleList(Layer(checked) for _ in range(checked.num_hidden_layers))
        if not self.embeddings.LayerNorm.weight.is_meta:  # on the meta device a checkpoint brings the weights later
            self.apply(self._fill)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        seen: Any = mask[:, None, None, :].bool()  # broadcasts to (N, heads, queries, keys)
        if not torch.compiler.is_compiling() and seen.all():
            seen = None  # attention without a mask is faster
        tokens = self.embeddings(ids)
        for layer in self.encoder.layer:
            tokens = layer(tokens, seen)
        return tokens

    @torch.no_grad()
    def _fill(self, part: nn.Module) -> None:
        """Fill with random numbers as at the start of BERT's training, for a network without weights."""
        if isinstance(part, nn.Linear | nn.Embedding):
            part.weight.normal_(0, self.options.initializer_range)
        if isinstance(part, nn.Linear):
            part.bias.zero_()
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            part.weight[part.padding_idx].zero_()


class Embeddings(nn.Module):
    """Token ids (N, L) -> tokens (N, L, width): the normed sum of word, position and token type embeddings.

    The token type is always 0, the first of two texts.
    """

    def __init__(self, options: BertOptions):
        super().__init__()
        width, padding = options.hidden_size, options.pad_token_id
        self.word_embeddings = nn.Embedding(options.vocab_size, width, padding_idx=padding)
        self.position_embeddings = nn.Embedding(options.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(options.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, options.layer_norm_eps)
        self.dropout = nn.Dropout(options.hidden_dropout_prob)

    def forward(self, ids: Tensor) -> Tensor:
        words = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        return self.dropout(self.LayerNorm(words + self.position_embeddings.weight[: ids.shape[1]]))


class Layer(nn.Module):
    """Tokens attend to each other, then each passes an MLP: (N, L, width) -> (N, L, width)."""

    def __init__(self, options: BertOptions):
        super().__init__()
        width, hidden = options.hidden_size, options.intermediate_size
        self.activation = ACTIVATIONS[options.hidden_act]
        self.attention: Any = nn.Module()
        self.attention.self = SelfAttention(options)
        self.attention.output = AddAndNorm(width, options)
        self.intermediate: Any = nn.Module()
        self.intermediate.dense = nn.Linear(width, hidden)
        self.output = AddAndNorm(hidden, options)

    def forward(self, tokens: Tensor, seen: Tensor | None) -> Tensor:
        tokens = self.attention.output(self.attention.self(tokens, seen), tokens)
        return self.output(self.activation(self.intermediate.dense(tokens)), tokens)


class SelfAttention(nn.Module):
    """Each token attends to all tokens that ``seen`` marks (None: to all): (N, L, width) -> (N, L, width)."""

    def __init__(self, options: BertOptions):
        super().__init__()
        width, self.heads = options.hidden_size, options.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.dropout = options.attention_probs_dropout_prob

    def forward(self, tokens: Tensor, seen: Tensor | None) -> Tensor:
        parts = (part(tokens).unflatten(-1, (self.heads, -1)) for part in (self.query, self.key, self.value))
        q, k, v = (part.transpose(1, 2) for part in parts)  # (N, heads, L, width / heads)
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(q, k, v, seen, dropout).transpose(1, 2).flatten(2)


class AddAndNorm(nn.Module):
    """Projects an answer (N, L, width_in), adds it to the layer's input ``before``, (N, L, width), and norms the sum."""

    def __init__(self, width_in: int, options: BertOptions):
        super().__init__()
        self.dense = nn.Linear(width_in, options.hidden_size)
        self.LayerNorm = nn.LayerNorm(options.hidden_size, options.layer_norm_eps)
        self.dropout = nn.Dropout(options.hidden_dropout_prob)

    def forward(self, answer: Tensor, before: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(answer)) + before)
