"""OFA as a captioner: the published model, with cached keys and values and its authors' beam search (torch).

Wang et al. 2022, https://arxiv.org/abs/2202.03052; reference: github.com/OFA-Sys/OFA, branch feature/add_transformers.
"""
