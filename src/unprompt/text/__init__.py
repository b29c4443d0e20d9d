"""Sentences and vectors: the encoder that makes one of the other, tokenizers, and the decoder that goes back."""
