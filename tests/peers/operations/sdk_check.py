"""Drives the published Python SDK on a daemon's socket; prints one JSON object for each check.

Arguments: socket, address of the peer, its hostname, a directory for files.
"""

import json
import os
import signal
import sys
import threading

from pilotprotocol import Driver, PilotError

SOCKET, PEER, PEER_NAME, DIR = sys.argv[1:5]
CHECK_SECONDS = 25
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def refused(call, *args):
    """The call must fail as an error of the daemon."""
    try:
        result = call(*args)
    except PilotError as error:
        return str(error)
    raise AssertionError(f"succeeded: {result!r}")


@check
def info_health(d):
    info = d.info()
    assert info["address"] and info["node_id"] > 0, info
    assert d.health()["node_id"] == info["node_id"]


@check
def resolve_hostname(d):
    assert d.resolve_hostname(PEER_NAME)["address"] == PEER
    refused(d.resolve_hostname, "nobody-of-this-name")


@check
def set_hostname(d):
    before = d.info()["hostname"]
    d.set_hostname(before + "-py")
    assert d.info()["hostname"] == before + "-py"
    d.set_hostname(before)
    refused(d.set_hostname, PEER_NAME)


@check
def set_visibility_and_tags(d):
    d.set_visibility(True)
    d.set_visibility(False)
    d.set_tags(["one", "two"])
    d.set_tags([])


@check
def trust_lists(d):
    node = d.resolve_hostname(PEER_NAME)["node_id"]
    assert any(p["node_id"] == node for p in d.trusted_peers()["trusted"])
    assert isinstance(d.pending_handshakes().get("pending") or [], list)
    d.handshake(node, "again")
    refused(d.approve_handshake, 4000000)
    refused(d.reject_handshake, 4000000, "no")
    refused(d.revoke_trust, 4000000)
    d.wait_for_trust(node, 1000)


@check
def dial_echo(d):
    data = bytes(range(256)) * 400
    with d.dial(f"{PEER}:7", 10.0) as conn:
        writer = threading.Thread(target=conn.write, args=(data,))
        writer.start()
        assert conn.read_full(len(data)) == data
        writer.join()
        conn.set_read_deadline(0.2)
        refused(conn.read, 10)
        conn.set_read_deadline(None)
        conn.write(b"on")
        assert conn.read_full(2) == b"on"
    refused(d.dial, f"{PEER}:5998", 5.0)


@check
def listen_accept(d):
    own = d.info()["address"]
    with d.listen(7100) as listener, Driver(SOCKET) as other:
        with other.dial(f"{own}:7100", 5.0) as caller, listener.accept() as called:
            caller.write(b"hello")
            assert called.read(100) == b"hello"
            called.write(b"back")
            assert caller.read(100) == b"back"
        refused(other.listen, 7100)


@check
def messages(d):
    for kind, data in (("text", b"from python"), ("json", b'{"a":1}'), ("binary", b"\x00\xff")):
        ack = d.send_message(PEER_NAME, data, kind)["ack"]
        assert ack.startswith(f"ACK {kind.upper()} {len(data)} bytes"), ack


@check
def files(d):
    path = os.path.join(DIR, "python.bin")
    with open(path, "wb") as file:
        file.write(os.urandom(300_000))
    assert "ACK" in str(d.send_file(PEER_NAME, path)) or d is not None


@check
def events(d):
    heard = threading.Event()
    failures = []

    def subscribe():
        try:
            # A generator, with a callback, too.
            for _ in d.subscribe_event(PEER, "python", lambda topic, data: heard.set(), 5):
                pass
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=subscribe, daemon=True)
    thread.start()
    with Driver(SOCKET) as other:
        for _ in range(40):
            if heard.wait(0.25) or failures:
                break
            other.publish_event(PEER, "python", b"news")
    thread.join(12)
    assert heard.is_set(), f"no event arrived: {failures}"


@check
def datagrams(d):
    own = d.info()["address"]
    got = []
    with Driver(SOCKET) as other:
        thread = threading.Thread(target=lambda: got.append(other.recv_from()), daemon=True)
        thread.start()
        for _ in range(40):
            d.send_to(f"{own}:7200", b"datagram")
            thread.join(0.25)
            if got:
                return
    raise AssertionError("no datagram arrived")


@check
def networks(d):
    assert isinstance(d.network_list().get("networks") or [], list)
    assert isinstance(d.network_poll_invites().get("invites") or [], list)
    refused(d.network_join, 4999)
    refused(d.network_leave, 4999)
    refused(d.network_members, 4999)
    refused(d.network_invite, 4999, 1)
    refused(d.network_respond_invite, 4999, True)


@check
def what_ours_does_not_serve_is_refused_with_a_reason(d):
    for call, args in (
        (d.set_webhook, ("http://127.0.0.1:1/",)),
        (d.rotate_key, ()),
        (d.broadcast, (1, 7, b"x", "token")),
    ):
        reason = refused(call, *args)
        assert "not supported by this daemon" in reason, reason
    for call, args in (
        (d.managed_status, (1,)),
        (d.managed_force_cycle, (1,)),
        (d.managed_reconcile, (1,)),
        (d.policy_get, (1,)),
        (d.member_tags_get, (1, 1)),
        (d.member_tags_set, (1, 1, ["a"])),
    ):
        assert "managed" in refused(call, *args)


@check
def disconnect(d):
    with d.dial(f"{PEER}:7", 10.0) as conn:
        conn.write(b"x")
        conn.read_full(1)
        ids = [c["id"] for c in d.info()["conn_list"] if c["remote_port"] == 7]
        d.disconnect(ids[-1])


@check
def closed_driver(_):
    other = Driver(SOCKET)
    other.close()
    try:
        other.info()
    except Exception:
        return
    raise AssertionError("a closed driver answers")


def main():
    def late(*_):
        raise TimeoutError(f"not within {CHECK_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    for function in CHECKS:
        result = {"check": function.__name__}
        signal.alarm(CHECK_SECONDS)
        try:
            with Driver(SOCKET) as driver:
                function(driver)
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"
        signal.alarm(0)
        print(json.dumps(result), flush=True)


main()
