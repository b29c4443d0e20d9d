"""Chat servers that look at pictures: the user's own, or any other with OpenAI's endpoint /v1/chat/completions.

- `server.py` asks a server about one picture: tries, pauses, refusals. Open it first.
- `address.py` says which servers may be asked, `exchange.py` sends one request within a time limit.
- `replies.py` finds the text in a reply, and `cleaning.py` takes off what models say around it.
- `instructions.py` reads what is asked, a text file for each style; `encoded.py` encodes the picture.
"""
