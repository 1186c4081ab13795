import assert from "node:assert/strict";
import { getLogger } from "../../../platform/log.ts";
import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";
import { formatEndpoint } from "../../../protocol/ip.ts";
import { BeaconServer } from "../../../rendezvous/beacon/beacon_server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

Deno.test("another beacon is a peer by all addresses of its name that the socket can use", async () => {
  const names: Record<string, string[]> = {
    "two.example": ["2001:db8::2", "192.0.2.2", "192.0.2.22"],
    "three.example": ["192.0.2.3"],
  };
  const server = new BeaconServer({
    clock: new ManualClock(),
    log: getLogger(["pilot", "test"]),
    socket: await openUdpSocket({ host: "127.0.0.1", port: 0, kind: "portable" }),
    cluster: {
      peers: ["two.example:9001", "three.example:9001", "lost.example:9001"],
      resolve: (name) => {
        const found = names[name];
        if (found === undefined) return Promise.reject(new Error("ENOTFOUND"));
        return Promise.resolve(found.map((address) => ({ address })));
      },
    },
  });
  server.tick();
  await server.close(); // what has begun ends first
  assert.deepEqual(server.beacon.peers.addrs.map(formatEndpoint), [
    "192.0.2.2:9001",
    "192.0.2.22:9001",
    "192.0.2.3:9001",
  ]);
});
