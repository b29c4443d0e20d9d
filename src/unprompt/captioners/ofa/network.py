"""OFA's network: picture and question in, logits of words out (torch)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.captioners.ofa.configuration import PAD, Configuration
from unprompt.captioners.ofa.decoder import Decoder
from unprompt.captioners.ofa.encoder import Encoder, Memory


class Network(nn.Module):
    """Encoder and decoder around one embedding of words, which is also what turns the decoder's output into logits.

    Parameters have the names of published checkpoints, but for those that `checkpoint` says.
    """

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor, questions: Tensor) -> Memory:
        """pixels (batch, 3, side, side); questions (batch, length), tokens from start to end, padded."""
        padding = questions == PAD
        memory: Memory = self.encoder(pixels, self.embed_tokens(questions), padding if padding.any() else None)
        return memory

    def logits(self, states: Tensor) -> Tensor:
        """states (..., size), the decoder's; returns (..., vocabulary)."""
        return F.linear(states, self.embed_tokens.weight)


class Captioning:
    """Captions under way, for `search`: see `Continuation`. A step costs one step over cached keys and values."""

    def __init__(self, network: Network, memory: Memory, words: int) -> None:
        self._network = network
        self._decoding = network.decoder.begin(memory, words)

    def logits(self, tokens: Tensor) -> Tensor:
        """tokens (rows, words), all so far; returns the logits of the next (rows, vocabulary)."""
        new = self._network.embed_tokens(tokens[:, self._decoding.words :])
        return self._network.logits(self._decoding.advance(new)[:, -1])

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        """See `Continuation`."""
        self._decoding.keep(rows, pictures)
