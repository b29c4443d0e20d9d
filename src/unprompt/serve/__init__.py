"""The service: `unprompt serve`, in its own language and in those that existing clients speak.

- `app.py` lists the routes and what surrounds each of them. Open it first.
- `service.py` holds what all requests share: models, queues, bank; `queue.py` fills batches across requests.
- `bodies.py` and `encoded.py` take the pictures out of a request; `exchange.py` waits for their answers.
- `native.py`, `openai.py`, `a1111.py`, `interrogator_extension.py`, `clip_retrieval.py`: one file for each dialect.
- `errors.py` says no in each dialect; `safety.py` decides who may ask; `telemetry.py` counts.
- `openapi.py` and `documentation.py` describe it; `page_files.py` serves the page; `server.py` starts and stops it.
"""
