"""OFA, which captions pictures: the published model with cached keys and values and its authors' beam search (torch).

- `writer.py` is the captioner: pictures in, captions out. Open it first.
- `network.py` joins `encoder.py` and `decoder.py`, made of `attention.py`, `positions.py` and `resnet.py`.
- `beam_search.py` is the search, `tokenizer.py` the text side.
- `configuration.py`, `checkpoint.py` and `files.py` read the published folders.

Wang et al. 2022, https://arxiv.org/abs/2202.03052; reference: github.com/OFA-Sys/OFA, branch feature/add_transformers.
"""
