import assert from "node:assert/strict";
import { decodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { RELAY_ROUTE, type Route } from "../../../protocol/path/mod.ts";
import { RelayTransport } from "../../../protocol/tunnel/frame_transport.ts";
import { MemoryTransport } from "../../sim/tunnel/memory_transport.ts";

const BEACON = { host: "203.0.113.1", port: 9001 };

Deno.test("RelayTransport wraps frames for the beacon and hands them to what reaches it, whatever that is", () => {
  const sent: { readonly frame: Uint8Array; readonly route: Route }[] = [];
  let beacon: Endpoint | undefined;
  const carrier = new MemoryTransport((frame, route) => void sent.push({ frame, route }));
  const relay = new RelayTransport(carrier, () => beacon);
  const send = () => {
    const frame = Uint8Array.of(1, 2, 3);
    const buffer = relay.acquire(relay.headerBytes + frame.length);
    buffer.set(frame, relay.headerBytes);
    relay.send(buffer, relay.headerBytes + frame.length, RELAY_ROUTE, 5, 7, false);
  };
  assert.equal(relay.isUp, false);
  send();
  assert.equal(sent.length, 0, "there is no beacon");
  beacon = BEACON;
  assert.equal(relay.isUp, true);
  send();
  send();
  assert.equal(sent.length, 2);
  assert.deepEqual(sent[0]!.route, { via: "direct", endpoint: BEACON });
  assert.equal(sent[0]!.route, sent[1]!.route, "no route is made for each frame");
  const message = decodeBeacon(sent[0]!.frame);
  assert.ok(!(message instanceof DecodeError) && message.type === "relay");
  assert.deepEqual([message.sender, message.dest, [...message.frame]], [5, 7, [1, 2, 3]]);
  assert.equal(relay.maxBytes, carrier.maxBytes - relay.headerBytes);
  beacon = { host: "203.0.113.2", port: 9001 };
  send();
  assert.deepEqual(sent[2]!.route, { via: "direct", endpoint: beacon }, "it has moved");
});
