#!/usr/bin/env bash
# A good guess: S3FileSystem(), which does not know versions unless it is made version_aware, writes to the name it is
#   given. "?" and "=" are allowed in names of objects, and files saved from the web have them.
# What happens: "?versionId=" and all behind it is cut off the name, in reading and in writing. Pictures that were saved as
#   photo?versionId=1.png and photo?versionId=2.png become one object, photo, without a word.
# Seen: November 2026, Python 3.11, s3fs 2026.9.0, fsspec 2026.9.0, moto 5.2.5.
# Source: S3FileSystem.split_path in s3fs/core.py, which drops the version if the file system is not version_aware.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check s3fs==2026.9.0 fsspec==2026.9.0 'moto[s3]==5.2.5' \
  flask==3.1.3 flask-cors==6.0.5

export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1
export AWS_CONFIG_FILE=/nowhere AWS_SHARED_CREDENTIALS_FILE=/nowhere AWS_EC2_METADATA_DISABLED=true
"$work/venv/bin/python" - <<'PYTHON'
import logging

import s3fs
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
store = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}")
store.mkdir("bucket")
for number in (1, 2):
    store.pipe_file(f"bucket/photo?versionId={number}.png", b"picture %d" % number)
    store.pipe_file(f"bucket/photo?size={number}.png", b"picture %d" % number)
found = {path: store.cat_file(path) for path in sorted(store.ls("bucket", detail=False, refresh=True))}
print("written: photo?versionId=1.png, photo?versionId=2.png, photo?size=1.png, photo?size=2.png")
print("found:", ", ".join(f"{path.partition('/')[2]} ({data.decode()})" for path, data in found.items()))
server.stop()
expected = {
    "bucket/photo": b"picture 2",
    "bucket/photo?size=1.png": b"picture 1",
    "bucket/photo?size=2.png": b"picture 2",
}
if found != expected:
    raise SystemExit("changed: expected the first two to have become one object")
PYTHON
