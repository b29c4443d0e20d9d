#!/usr/bin/env bash
# A good guess: a typed client whose method is declared to return a ChatCompletion returns one, or raises one of its
#   errors, whatever a server of status 200 says.
# What happens: a web page comes back as a plain str, an error in JSON as a ChatCompletion whose `choices` is None, JSON that
#   is cut off as a bare json.JSONDecodeError and no OpenAIError. Asked with stream=True, a server that answers at once in
#   whole loses its text: the stream has no chunk, and raises nothing.
# Seen: November 2026, Python 3.11, openai 3.57.0.
# Source: openai/_response.py, `_parse`, which returns the text where the content type is not JSON's; langchain-ai/langchain
#   pull request 39725 (the str, met behind a proxy).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check openai==3.57.0

"$work/venv/bin/python" - <<'PYTHON'
import http.server
import json
import threading

import openai

WHOLE = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "a red fox"}, "finish_reason": "stop"}]}'


class Server(http.server.BaseHTTPRequestHandler):
    kind, body = "application/json", b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", Server.kind)
        self.send_header("Content-Length", str(len(Server.body)))
        self.end_headers()
        self.wfile.write(Server.body)

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none", max_retries=0)


def ask(kind: str, body: bytes, *, stream: bool = False):
    Server.kind, Server.body = kind, body
    return client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "What is it?"}], stream=stream
    )


page = ask("text/html", b"<html>It works!</html>")
refused = ask("application/json", b'{"error": {"message": "overloaded"}}')
try:
    ask("application/json", WHOLE[:30])
    cut = None
except json.JSONDecodeError as error:
    cut = error
chunks = list(ask("application/json", WHOLE, stream=True))
print("a web page:", repr(page))
print("an error:", type(refused).__name__, "with choices", refused.choices)
print("cut off:", type(cut).__name__, "an OpenAIError:", isinstance(cut, openai.OpenAIError))
print("streamed, answered as a whole:", chunks)
if (type(page), refused.choices, isinstance(cut, openai.OpenAIError), chunks) != (str, None, False, []):
    raise SystemExit("changed: expected a str, no choices, a JSONDecodeError, and no chunk")
PYTHON
