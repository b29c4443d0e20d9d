"""Answers on their way out: records, and the files and streams that they are written to."""
