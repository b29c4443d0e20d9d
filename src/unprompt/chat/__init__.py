"""Chat servers that look at pictures: the user's own, or any other with OpenAI's endpoint /v1/chat/completions.

Open it first: server.py. One question: address.py (which servers may be asked), exchange.py (one request within a time
limit), replies.py (what a reply says), cleaning.py (the text without what models say around it). What is asked:
instructions.py with a text file for each style in instructions/, encoded.py (the picture).
"""
