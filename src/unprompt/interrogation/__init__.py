"""Interrogation: a picture's text out of a caption and the terms of a vocabulary that go with it best."""
