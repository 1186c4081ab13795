import assert from "node:assert/strict";
import {
  MAX_PORTS_PER_PROGRAM,
  MAX_WARM_PORTS,
  PORT_REUSE_MS,
  PortTable,
  type TakenPort,
} from "../../../daemon/stream/port_table.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../../protocol/well_known_ports.ts";

const COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
const BOB = { network: 0, node: 7 };
const EVE = { network: 0, node: 8 };

/** Takes ports towards port 80 of bob. */
function take(ports: PortTable, count: number, now: number, program?: object): TakenPort[] {
  return Array.from({ length: count }, () => ports.allocate(BOB, 80, now, program));
}

Deno.test("PortTable gives every ephemeral port towards a destination once, from a random start, and then none", () => {
  const ports = new PortTable(123_456_789);
  const given = take(ports, COUNT, 0).map(({ port }) => port);
  assert.equal(given[0], EPHEMERAL_FIRST + 123_456_789 % COUNT);
  assert.equal(new Set(given).size, COUNT);
  assert.ok(given.every((port) => port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST));
  assert.throws(() => ports.allocate(BOB, 80, 0), {
    code: "limit_exceeded",
    message: "All 16384 local ports for connections to 0:0000.0000.0007 port 80 are used up: " +
      "16384 connections, and 0 that ended less than 30 s ago",
    hint: /^There is room again when some of the connections are closed\./,
  });
});

Deno.test("PortTable: a destination without ports takes nothing from the others", () => {
  const ports = new PortTable(0);
  for (const taken of take(ports, COUNT, 0)) taken.release(1_000);
  assert.throws(() => ports.allocate(BOB, 80, 1_000), { code: "limit_exceeded" });
  ports.allocate(BOB, 81, 1_000);
  ports.allocate(EVE, 80, 1_000);
  // The network is what the address claims: the peer is the same one.
  assert.throws(() => ports.allocate({ network: 9, node: 7 }, 80, 1_000), {
    code: "limit_exceeded",
  });
});

Deno.test("PortTable gives a released port again after 30 s and not before, and says when", () => {
  const ports = new PortTable(0);
  const taken = take(ports, COUNT, 0);
  taken[100]!.release(1_000);
  taken[200]!.release(2_000);
  assert.throws(() => ports.allocate(BOB, 80, 6_000), {
    message: /16382 connections, and 2 that ended less than 30 s ago$/,
    hint: /^There is room again in 25 s\./,
  });
  assert.throws(() => ports.allocate(BOB, 80, 1_000 + PORT_REUSE_MS - 1), {
    code: "limit_exceeded",
  });
  assert.equal(ports.allocate(BOB, 80, 1_000 + PORT_REUSE_MS).port, taken[100]!.port);
});

Deno.test("PortTable: a port released twice is not warm twice", () => {
  const ports = new PortTable(0);
  const [first] = take(ports, COUNT, 0);
  first!.release(2_000);
  first!.release(20_000);
  assert.equal(ports.inUse, COUNT - 1);
  const again = ports.allocate(BOB, 80, 2_000 + PORT_REUSE_MS);
  assert.equal(again.port, first!.port);
  first!.release(40_000); // it is another's now
  assert.equal(ports.inUse, COUNT);
});

Deno.test("PortTable leaves other programs and the daemon a part of the ports towards a destination", () => {
  const ports = new PortTable(0);
  const [greedy, modest] = [{}, {}];
  const taken = take(ports, MAX_PORTS_PER_PROGRAM, 0, greedy);
  taken[0]!.release(1_000);
  assert.throws(() => ports.allocate(BOB, 80, 2_000, greedy), {
    code: "limit_exceeded",
    message: "This program's share of 12288 local ports for connections to 0:0000.0000.0007 " +
      "port 80 is used up: 12287 connections, and 1 that ended less than 30 s ago",
    hint: /^There is room again in 29 s\./,
  });
  ports.allocate(BOB, 80, 2_000, modest);
  ports.allocate(BOB, 80, 2_000);
  ports.allocate(EVE, 80, 2_000, greedy);
  ports.allocate(BOB, 80, 1_000 + PORT_REUSE_MS, greedy);
});

Deno.test("PortTable forgets destinations when their ports are cold", () => {
  const ports = new PortTable(0);
  for (let node = 1; node <= 1_000; node++) {
    ports.allocate({ network: 0, node }, 80, 0, {}).release(0);
  }
  assert.deepEqual(ports.remembered, { destinations: 1_000, warm: 1_000 });
  const last = ports.allocate(BOB, 80, PORT_REUSE_MS);
  assert.deepEqual(ports.remembered, { destinations: 1, warm: 0 });
  last.release(PORT_REUSE_MS);
});

Deno.test("PortTable remembers a bounded number of warm ports, the latest", () => {
  const ports = new PortTable(0);
  for (let n = 0; n < MAX_WARM_PORTS + 10; n++) {
    ports.allocate({ network: 0, node: n % 100 }, 80, 0).release(0);
  }
  assert.deepEqual(ports.remembered, { destinations: 100, warm: MAX_WARM_PORTS });
});

Deno.test("PortTable does not give out a port with a listener", () => {
  const ports = new PortTable(0);
  ports.bind(EPHEMERAL_FIRST, () => {});
  assert.equal(ports.allocate(BOB, 80, 0).port, EPHEMERAL_FIRST + 1);
});

Deno.test("PortTable.bind refuses a bound port until it is unbound", () => {
  const ports = new PortTable(0);
  const handler = () => {};
  ports.bind(80, handler);
  assert.throws(() => ports.bind(80, handler), { code: "already_exists" });
  assert.equal(ports.listener(80), handler);
  ports.unbind(80);
  assert.deepEqual([ports.listener(80), ports.boundCount], [undefined, 0]);
  ports.bind(80, handler);
});
