"""Captioners: networks that describe a picture in a sentence (torch).

- `opening.py` finds a captioner by its name. Open it first.
- `settings.py` holds what a user may set: beams, lengths, the question.
- `captioner.py` runs any of them: loading, device, batches.
- `transformers.py` (BLIP, BLIP-2, GIT), `coca.py` and `ofa/` are the networks of 2023; `vision_language.py` runs
  today's, whose `families.py` is a table; `florence.py` maps PromptGen's weights; `loading.py` checks all weights.
- `folder.py` reads untrusted model folders; `hypotheses.py` picks the first caption that is not degenerate.
- `needs.py` says which files a captioner needs.
"""
