# A developer: prompts in a program, and what its errors look like.
cat > program.py <<'PROGRAM'
import io

import numpy as np
import unprompt
from unprompt.errors import UnpromptError

with unprompt.load() as model:
    for answer in model.predict(["pictures/coffee.jpg", "pictures/nothing.jpg"]):
        if isinstance(answer, unprompt.Prediction):
            print(answer.source, "|", "table" in answer.prompt, "|", 0.3 < answer.confidence.estimate < 0.8)
        else:
            print(answer.source, "|", answer.kind, "|", answer.message)
    (answer,) = model.predict(open("pictures/coffee.jpg", "rb"))
    print(repr(answer)[:35])
    grey = np.full((64, 64), 128, np.uint8)
    (answer,) = model.predict(grey)
    print(answer.prompt)
print(round(unprompt.similarity("a cat in a hat", "a hatted cat"), 2))
try:
    unprompt.load("no-such-preset")
except UnpromptError as error:
    print(type(error).__name__, "|", error)
PROGRAM
python program.py

echo "# records on a pipe"
unprompt pictures/written.png --format jsonl | python -c 'import json, sys; print(json.loads(sys.stdin.read())["prompt"])'
cat pictures/written.png | unprompt -
