"""What a worker says of itself, in the OpenAPI document."""

from __future__ import annotations

from engine.openapi.building import Schema, answered, whole
from engine.openapi.operation import Operation, json_reply
from engine.rules.limits import INSTANT_MS_MAX

_DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_TEXT: Schema = {"type": "string", "minLength": 1}

CALLS = (
    Operation(
        "GET /v1/node",
        "showNode",
        "What the worker that answers is: release, configuration, keys by fingerprint, clock",
        tag="operations",
        caller="ops",
        replies={
            200: json_reply(
                "Node",
                "What workers of one deployment may differ in: worker, machine, workers, files_max and the clock",
            )
        },
    ),
)

ANSWERED: dict[str, Schema] = {
    "Node": answered(
        {
            "worker": {"type": "string", "pattern": "^[0-9a-f]{8}$", "description": "New with each process"},
            "version": _TEXT,
            "page": {**_DIGEST, "description": "Digest over all files of the pages"},
            "schema": {**_TEXT, "description": "The newest migration that this release knows"},
            "partitions": whole(1, 256),
            "key_provider": {"enum": ["file", "pkcs11"]},
            "keys": {
                "type": "object",
                "description": "Fingerprints of the key files that all workers have alike",
                "additionalProperties": _DIGEST,
            },
            "workers": whole(1, 256, description="That `./run up` starts on this machine"),
            "postgres_connections": whole(1, 1000, description="Of each pool"),
            "published": {**_DIGEST, "description": "Over the ids of all signing keys in PostgreSQL"},
            "redis": {**_DIGEST, "description": "Over the run ids in Redis's markers"},
            "machine": {**_DIGEST, "description": "The same for all workers of one machine, until it is restarted"},
            "clock_synchronised": {
                "type": ["boolean", "null"],
                "description": "Whether NTP or PTP keeps its clock right",
            },
            "files_max": whole(0, 2**63 - 1, description="Files that this process may have open"),
            "server_ms": whole(0, INSTANT_MS_MAX, description="This machine's clock, read last"),
        }
    )
}
