#!/usr/bin/env bash
# A good guess: cat_file(path, start=0, end=10), the first bytes of a file, gives b"" for an empty file, as slicing does and
#   as fsspec's memory and local file systems do.
# What happens: s3fs raises OSError 22, "The requested range is not satisfiable". Whoever reads the heads of many objects,
#   to tell their kinds, stops at the first empty one.
# Seen: November 2026, Python 3.11, s3fs 2026.9.0, fsspec 2026.9.0, moto 5.2.5.
# Source: RFC 9110, 14.1.2: a range is not satisfiable if it begins at or past the end; S3 answers 416 InvalidRange.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check s3fs==2026.9.0 fsspec==2026.9.0 'moto[s3]==5.2.5' \
  flask==3.1.3 flask-cors==6.0.5

export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1
export AWS_CONFIG_FILE=/nowhere AWS_SHARED_CREDENTIALS_FILE=/nowhere AWS_EC2_METADATA_DISABLED=true
"$work/venv/bin/python" - "$work" <<'PYTHON'
import logging
import sys

import fsspec
import s3fs
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
stores = {
    "memory": (fsspec.filesystem("memory"), "/empty"),
    "local": (fsspec.filesystem("file"), f"{sys.argv[1]}/empty"),
    "s3": (s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}"), "bucket/empty"),
}
stores["s3"][0].mkdir("bucket")
found = {}
for name, (store, path) in stores.items():
    store.pipe_file(path, b"")
    try:
        found[name] = repr(store.cat_file(path, start=0, end=10))
    except OSError as error:
        found[name] = f"OSError {error.errno}"
    print(f"{name}: all bytes {store.cat_file(path)!r}, the first ten {found[name]}")
server.stop()
if found != {"memory": "b''", "local": "b''", "s3": "OSError 22"}:
    raise SystemExit("changed: expected b'' of memory and local, and OSError 22 of s3")
PYTHON
