"""One picture's answer: votes are fused into a vector, and words are found for it.

- `answering.py` is the whole way in one class: votes, fused vector, candidates, `Prediction`. Open it first.
- `fusing.py` adds unit vectors by weight, and fits the weights on labelled pictures.
- `codebook.py` draws the fused vector towards vectors that stand for many prompts.
- `confidence.py` estimates how near the vector is to the true prompt's.
- `style.py` names the styles of words.
- `wording.py` searches for the sentence that is nearest to the fused vector.
- `memory.py` keeps answers by the hash of a picture's content, so that copies cost nothing.
- `needs.py` says what a preset needs on the disk.
"""
