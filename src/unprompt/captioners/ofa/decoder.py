"""The decoder: from the words so far to the next, computing only the new word at each step (torch)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unprompt.captioners.ofa.attention import Attention, Layer
from unprompt.captioners.ofa.configuration import Configuration
from unprompt.captioners.ofa.encoder import Memory, hidden_bias
from unprompt.captioners.ofa.positions import absolute_bias, relative_bias, word_distances, word_table


@dataclass(slots=True)
class LayerCache:
    """Keys and values of one layer.

    Those of the words are (rows, heads, words, head size). Those of the memory are (pictures, heads, length, head
    size): the rows of a picture, its beams, share them.
    """

    keys: Tensor
    values: Tensor
    memory_keys: Tensor
    memory_values: Tensor

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values of new words; return those of all words."""
        self.keys = torch.cat([self.keys, keys], 2)
        self.values = torch.cat([self.values, values], 2)
        return self.keys, self.values


class DecoderLayer(Layer):
    """Attends to the words before, then to the memory."""

    def __init__(self, size: int, heads: int, inner: int) -> None:
        super().__init__(size, heads, inner)
        self.cross_attn = Attention(size, heads)
        self.cross_attn_layer_norm = nn.LayerNorm(size)
        self.cross_attn_mid_layer_norm = nn.LayerNorm(size)

    def step(self, x: Tensor, cache: LayerCache, bias: Tensor, memory_bias: Tensor) -> Tensor:
        """Process x (rows, new words, size), adding its keys and values to the cache.

        bias (1, heads, new words, words); memory_bias (pictures or 1, heads, rows of a picture * new words, length).
        """
        normed = self.self_attn_layer_norm(x)
        keys, values = cache.extend(*self.self_attn.keys_values(normed))
        x = x + self.self_attn_mid_layer_norm(self.self_attn(normed, keys, values, bias))
        # The rows of a picture attend to its memory together, as if they were one longer row.
        asking = self.cross_attn_layer_norm(x).reshape(len(cache.memory_keys), -1, x.shape[-1])
        found = self.cross_attn(asking, cache.memory_keys, cache.memory_values, memory_bias)
        return self.feed_forward(x + self.cross_attn_mid_layer_norm(found).view_as(x))


class Decoder(nn.Module):
    """The layers with their position embeddings, without the tables that only generating pictures needs."""

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        size, heads = config.d_model, config.decoder_attention_heads
        self.heads, self.buckets = heads, config.token_bucket_size
        self.layernorm_embedding = nn.LayerNorm(size)
        self.embed_positions = nn.Embedding(config.max_position_embeddings + 2, size)
        self.pos_ln = nn.LayerNorm(size)
        self.self_pos_q_linear = nn.Linear(size, size)
        self.self_pos_k_linear = nn.Linear(size, size)
        self.cross_pos_q_linear = nn.Linear(size, size)
        self.cross_pos_k_linear = nn.Linear(size, size)
        layers = range(config.decoder_layers)
        self.layers = nn.ModuleList(DecoderLayer(size, heads, config.decoder_ffn_dim) for _ in layers)
        self.token_rel_pos_table_list = nn.ModuleList(word_table(self.buckets, heads) for _ in layers)
        self.layer_norm = nn.LayerNorm(size)

    def begin(self, memory: Memory, words: int) -> Decoding:
        """Begin decoding up to `words` words, including the start."""
        positions = self.pos_ln(self.embed_positions.weight[:words])
        absolute = absolute_bias(self.self_pos_q_linear(positions), self.self_pos_k_linear(positions), self.heads)
        future = torch.full((words, words), -torch.inf, dtype=absolute.dtype, device=absolute.device).triu(1)
        distances = word_distances(words, self.buckets, absolute.device)
        biases = [absolute + relative_bias(table, distances) + future for table in self.token_rel_pos_table_list]
        asked = self.cross_pos_k_linear(memory.positions)
        memory_bias = absolute_bias(self.cross_pos_q_linear(positions), asked, self.heads)
        return Decoding(self, memory, biases, memory_bias)


class Decoding:
    """Decodes word by word for the pictures of a memory, with one or more rows of words per picture.

    `biases` holds one tensor (heads, words, words) per layer; `memory_bias` is (heads, words, length).
    """

    def __init__(self, decoder: Decoder, memory: Memory, biases: list[Tensor], memory_bias: Tensor) -> None:
        self._decoder = decoder
        self._biases = biases
        self._memory_bias = memory_bias
        self._hidden = memory.hidden
        self._caches = []
        for layer in decoder.layers:
            assert isinstance(layer, DecoderLayer)
            keys, values = layer.cross_attn.keys_values(memory.states)
            nothing = keys.new_empty(0)  # torch.cat accepts it beside any shape
            self._caches.append(LayerCache(nothing, nothing, keys, values))
        self.words = 0
        """Number of words decoded so far."""

    def advance(self, embedded: Tensor) -> Tensor:
        """Process the next words, embedded (rows, new words, size); returns states (rows, new words, size)."""
        seen, self.words = self.words, self.words + embedded.shape[1]
        x = self._decoder.layernorm_embedding(embedded)
        memory_bias = self._bias_of_memory(seen, len(embedded))
        for layer, cache, bias in zip(self._decoder.layers, self._caches, self._biases, strict=True):
            assert isinstance(layer, DecoderLayer)
            x = layer.step(x, cache, bias[None, :, seen : self.words, : self.words], memory_bias)
        out: Tensor = self._decoder.layer_norm(x)
        return out

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        """Continue with these rows and pictures, in this order; equally many rows per picture."""
        all_stay = len(pictures) == len(self._caches[0].memory_keys)
        for cache in self._caches:
            cache.keys, cache.values = cache.keys[rows], cache.values[rows]
            if not all_stay:
                cache.memory_keys, cache.memory_values = cache.memory_keys[pictures], cache.memory_values[pictures]
        if self._hidden is not None and not all_stay:
            self._hidden = self._hidden[pictures]

    def _bias_of_memory(self, seen: int, rows: int) -> Tensor:
        pictures = len(self._caches[0].memory_keys)
        bias = self._memory_bias[:, seen : self.words].repeat(1, rows // pictures, 1)[None]
        return bias if self._hidden is None else bias + hidden_bias(self._hidden, bias.dtype)
