"""`GET /v1/node`: what a worker says of itself, and to whom."""

from __future__ import annotations

from tests.contract import outsider as contract
from tests.contract.outsider import Outsider, accepted
from tests.servers import Engine


def test_a_worker_says_what_it_is(outsider: Outsider, engine_up: Engine) -> None:
    """Enough to find one that missed an upgrade, has other keys, another database, or a wrong clock."""
    before = contract.now_ms()
    said = accepted(outsider.call("GET", "/v1/node", scope="ops"))
    after = contract.now_ms()

    assert before <= said["server_ms"] <= after
    assert said["version"] == accepted(outsider.call("GET", "/healthz"))["version"]
    assert f"/web/{said['page']}/" in outsider.call("GET", "/").text
    assert set(said["keys"]) == {"token.key", "login.key", "webhook.key", "wrap.key"}
    assert (said["partitions"], said["key_provider"], said["workers"]) == (16, "file", 1)
    assert said["clock_synchronised"] in (True, False, None)
    again = accepted(outsider.call("GET", "/v1/node", scope="ops"))
    assert {**again, "server_ms": 0} == {**said, "server_ms": 0}


def test_fingerprints_tell_nothing_of_the_keys(outsider: Outsider, engine_up: Engine) -> None:
    """Nor does any of them stand in the answer in another form."""
    answer = outsider.call("GET", "/v1/node", scope="ops").content
    for name in accepted(outsider.call("GET", "/v1/node", scope="ops"))["keys"]:
        key = (engine_up.data / "secrets" / name).read_bytes()
        assert key not in answer and key.hex().encode()[:16] not in answer


def test_only_operators_are_told(outsider: Outsider) -> None:
    for scope in ("schedule", "results", "proctor"):
        contract.refused(outsider.call("GET", "/v1/node", scope=scope), 403, "auth.scope")
    contract.refused(outsider.call("GET", "/v1/node"), 401, "auth.missing")
