import assert from "node:assert/strict";
import { PORT_REUSE_MS, PortTable } from "../../../daemon/stream/ports.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../../protocol/ports.ts";

const COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

Deno.test("PortTable gives every ephemeral port once, from a random start, and then none", () => {
  const ports = new PortTable(123_456_789);
  const given = Array.from({ length: COUNT }, () => ports.allocate(0));
  assert.equal(given[0], EPHEMERAL_FIRST + 123_456_789 % COUNT);
  assert.equal(new Set(given).size, COUNT);
  assert.ok(given.every((port) => port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST));
  assert.throws(() => ports.allocate(0), { code: "limit_exceeded" });
});

Deno.test("PortTable gives a released port again after 30 s and not before", () => {
  const ports = new PortTable(0);
  for (let i = 0; i < COUNT; i++) ports.allocate(0);
  ports.release(50_000, 1_000);
  assert.throws(() => ports.allocate(1_000 + PORT_REUSE_MS - 1), { code: "limit_exceeded" });
  assert.equal(ports.allocate(1_000 + PORT_REUSE_MS), 50_000);
});

Deno.test("PortTable.release of a port that is not in use changes nothing", () => {
  const ports = new PortTable(0);
  ports.release(EPHEMERAL_FIRST, 1_000);
  ports.release(80, 1_000);
  assert.equal(ports.allocate(1_001), EPHEMERAL_FIRST);
  ports.release(EPHEMERAL_FIRST, 2_000);
  ports.release(EPHEMERAL_FIRST, 20_000);
  for (let i = 1; i < COUNT; i++) ports.allocate(2_000);
  assert.equal(ports.allocate(2_000 + PORT_REUSE_MS), EPHEMERAL_FIRST);
});

Deno.test("PortTable does not give out a port that somebody listens on", () => {
  const ports = new PortTable(0);
  ports.bind(EPHEMERAL_FIRST, () => {});
  assert.equal(ports.allocate(0), EPHEMERAL_FIRST + 1);
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
