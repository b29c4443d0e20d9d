"""OFA's network: from picture and question to logits of words (torch)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.captioners.ofa.configuration import PAD, Configuration
from unprompt.captioners.ofa.decoder import Decoder
from unprompt.captioners.ofa.encoder import Encoder, Memory


class Network(nn.Module):
    """Encoder and decoder around one word embedding, which also maps the decoder's output to logits.

    Parameters have the names of published checkpoints, except for those that `checkpoint` renames.
    """

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor, questions: Tensor) -> Memory:
        """pixels (batch, 3, side, side); questions (batch, length), padded tokens from start to end."""
        padding = questions == PAD
        memory: Memory = self.encoder(pixels, self.embed_tokens(questions), padding if padding.any() else None)
        return memory

    def logits(self, states: Tensor) -> Tensor:
        """Logits (..., vocabulary) of the decoder's states (..., size)."""
        return F.linear(states, self.embed_tokens.weight)


class Captioning:
    """Captions in progress, as a `Continuation` for `search`; keys and values of earlier words are cached."""

    def __init__(self, network: Network, memory: Memory, words: int) -> None:
        self._network = network
        self._decoding = network.decoder.begin(memory, words)

    def logits(self, tokens: Tensor) -> Tensor:
        """Logits of the next token (rows, vocabulary), given all tokens (rows, words) so far."""
        new = self._network.embed_tokens(tokens[:, self._decoding.words :])
        return self._network.logits(self._decoding.advance(new)[:, -1])

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        self._decoding.keep(rows, pictures)
