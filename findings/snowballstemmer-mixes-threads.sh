#!/usr/bin/env bash
# A good guess: a stemmer is a function of a word. One that is made once can be asked by several threads.
# What happens: it keeps the word that it works on in itself, and a switch of threads in the middle of a word mixes two.
#   Most calls are right; some give the stem of another thread's word, or raise IndexError, for ordinary English words.
# Seen: November 2026, Python 3.11, snowballstemmer 3.1.1 (without PyStemmer, which it uses if it is installed).
# Source: snowballstemmer/basestemmer.py, set_current; snowballstem/snowball issues 162 and 201, chroma-core/chroma issue
#   5969 (an index of texts that was built in threads). Nothing in the package itself speaks of threads.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check snowballstemmer==3.1.1

"$work/venv/bin/python" - <<'PYTHON'
import collections
import sys
import threading

import snowballstemmer

WORDS = "generations happily nationally connected relational formality sensitivity hopefulness ponies running".split()
stemmer = snowballstemmer.stemmer("english")
truth = {word: stemmer.stemWord(word) for word in WORDS}
wrong, raised = collections.Counter(), collections.Counter()
sys.setswitchinterval(1e-5)  # as if there were much more work


def stem_all() -> None:
    for _ in range(500):
        for word in WORDS:
            try:
                found = stemmer.stemWord(word)
            except IndexError as error:
                raised[str(error)] += 1
            else:
                if found != truth[word]:
                    wrong[f"{word}: {found}"] += 1


threads = [threading.Thread(target=stem_all) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"of {4 * 500 * len(WORDS):,} stems {wrong.total():,} are wrong, such as {[text for text, _ in wrong.most_common(3)]}")
print(f"and {raised.total():,} calls raised IndexError: {list(raised)}")
if not wrong:
    raise SystemExit("changed: expected wrong stems from a stemmer that threads share")
PYTHON
