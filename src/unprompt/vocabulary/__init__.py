"""Vocabularies: lists of terms that pictures are compared with."""
