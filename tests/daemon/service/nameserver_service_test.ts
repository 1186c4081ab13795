import assert from "node:assert/strict";
import { join } from "node:path";
import {
  attachNameserver,
  EXCHANGE_TIMEOUT_MS,
} from "../../../daemon/service/nameserver_service.ts";
import { NAME_TTL_MS, NameRecords } from "../../../daemon/service/nameserver_records.ts";
import { NameStore } from "../../../daemon/service/nameserver_store.ts";
import type { Service } from "../../../daemon/service/service_port.ts";
import { StreamIo } from "../../../daemon/service/stream_io.ts";
import { formatAddress } from "../../../protocol/address.ts";
import { MAX_NAME_REQUEST_BYTES } from "../../../protocol/service/nameserver_text.ts";
import { FakeBackend, SELF } from "../fake_backend.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { systemClock } from "../../../platform/system_clock.ts";

const ALICE = { network: 0, node: 2 };
const BOB = { network: 0, node: 3 };
const A = formatAddress(ALICE);
const B = formatAddress(BOB);

/** A nameserver on a temporary file. */
class Rig implements AsyncDisposable {
  readonly backend = new FakeBackend();
  readonly clock = new ManualClock();
  readonly dir: string;
  readonly path: string;
  #service: Service | undefined;

  private constructor(dir: string) {
    this.dir = dir;
    this.path = join(dir, "nameserver.json");
  }

  static async start(file?: string): Promise<Rig> {
    const rig = new Rig(await Deno.makeTempDir());
    if (file !== undefined) await Deno.writeTextFile(rig.path, file);
    await rig.restart();
    return rig;
  }

  async restart(): Promise<void> {
    await this.#service?.close();
    const { clock, path } = this;
    this.#service = await attachNameserver(this.backend, { clock, path });
  }

  async stop(): Promise<void> {
    await this.#service?.close();
    this.#service = undefined;
  }

  /** One connection, as existing clients have it: one write, one read. */
  async ask(request: string | Uint8Array, from = ALICE): Promise<string> {
    const io = new StreamIo(this.backend.connectFrom(53, from)!, systemClock);
    await io.write(typeof request === "string" ? new TextEncoder().encode(request) : request);
    const reply = await io.readChunk();
    assert.equal(await io.readChunk(), undefined, "more than one reply, or not closed");
    await io.close({});
    return new TextDecoder().decode(reply);
  }

  async file(): Promise<unknown> {
    return JSON.parse(await Deno.readTextFile(this.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("the nameserver answers each request of the reference and closes", async () => {
  await using rig = await Rig.start();
  const talk: [string, string][] = [
    ["QUERY A alice", 'ERR name "alice" not found'],
    ["QUERY N lab", 'ERR network "lab" not found'],
    ["QUERY S 0 80", "S"],
    [`REGISTER A alice ${A}`, "OK"],
    ["register n lab 7\n", "OK"],
    [`REGISTER S web ${A} 0 80`, "OK"],
    ["QUERY A alice", `A alice ${A}`],
    ["QUERY A Alice", 'ERR name "Alice" not found'],
    ["query n lab", "N lab 7"],
    ["QUERY S 0 80", `S web ${A} 80`],
    [`REGISTER A x ${B}`, "ERR cannot register address for another node"],
    [`REGISTER S x ${B} 0 80`, "ERR cannot register service for another node"],
    ["hello", "ERR too few fields"],
    ["DELETE A alice", "ERR unknown command: DELETE"],
    ["QUERY X alice", "ERR unknown record type: X"],
  ];
  for (const [request, reply] of talk) assert.equal(await rig.ask(request), reply);
  assert.equal(await rig.ask(`REGISTER S web2 ${B} 0 80`, BOB), "OK");
  assert.equal(await rig.ask("QUERY S 0 80", BOB), `S web ${A} 80\nS web2 ${B} 80`);
  assert.equal(rig.backend.openConns.length, 0);
});

Deno.test("names cannot be taken over by claiming an address, whoever asks", async () => {
  await using rig = await Rig.start();
  await rig.ask(`REGISTER A alice ${A}`);
  await rig.ask("REGISTER N lab 7");
  assert.equal(
    await rig.ask(`REGISTER A alice ${B}`, BOB),
    'ERR name "alice" is registered by another node',
  );
  assert.match(await rig.ask(`REGISTER A alice ${A}`, BOB), /^ERR cannot register address/);
  assert.match(await rig.ask("REGISTER N lab 8", BOB), /^ERR name "lab" is registered/);
  assert.equal(await rig.ask("REGISTER N lab 9", SELF), "OK");
  assert.equal(await rig.ask("QUERY A alice", BOB), `A alice ${A}`);
  assert.equal(await rig.ask("QUERY N lab", BOB), "N lab 9");
});

Deno.test("a request that is too long or no text is refused, not read on", async () => {
  await using rig = await Rig.start();
  const long = `QUERY A ${"x".repeat(100_000)}`;
  assert.equal(await rig.ask(long), `ERR request is longer than ${MAX_NAME_REQUEST_BYTES} bytes`);
  assert.equal(await rig.ask(Uint8Array.of(255, 255)), "ERR text is not valid UTF-8");
});

Deno.test("records expire, are swept from memory and file, and the name is free again", async () => {
  await using rig = await Rig.start();
  await rig.ask(`REGISTER A alice ${A}`);
  await rig.clock.run(NAME_TTL_MS - 1);
  assert.equal(await rig.ask("QUERY A alice"), `A alice ${A}`);
  await rig.clock.run(1);
  assert.equal(await rig.ask("QUERY A alice"), 'ERR name "alice" not found');
  await rig.clock.run(60_000);
  await rig.stop();
  assert.deepEqual(await rig.file(), { a_records: [], n_records: [], s_records: [] });
  await rig.restart();
  assert.equal(await rig.ask(`REGISTER A alice ${B}`, BOB), "OK");
});

Deno.test("records survive a restart in the reference's file, mode 0600, with new ages", async () => {
  await using rig = await Rig.start();
  await rig.ask(`REGISTER A alice ${A}`);
  await rig.ask("REGISTER N lab 7");
  await rig.ask(`REGISTER S web ${A} 0 80`);
  await rig.clock.run(NAME_TTL_MS - 1);
  await rig.restart();
  assert.deepEqual(await rig.file(), {
    a_records: [{ name: "alice", address: A }],
    n_records: [{ name: "lab", network_id: 7, node_id: 2 }],
    s_records: [{ name: "web", address: A, network_id: 0, port: 80 }],
  });
  assert.equal((await Deno.stat(rig.path)).mode! & 0o777, 0o600);
  await rig.clock.run(NAME_TTL_MS - 1);
  assert.equal(await rig.ask("QUERY A alice"), `A alice ${A}`);
  assert.equal(await rig.ask("QUERY N lab"), "N lab 7");
  assert.equal(await rig.ask("QUERY S 0 80"), `S web ${A} 80`);
  // Holders are kept as well.
  assert.match(await rig.ask(`REGISTER A alice ${B}`, BOB), /another node/);
  assert.match(await rig.ask("REGISTER N lab 8", BOB), /another node/);
});

Deno.test("changes of a moment are written once, refreshes never", async () => {
  await using rig = await Rig.start();
  await rig.ask(`REGISTER A alice ${A}`);
  await rig.ask(`REGISTER A bob ${B}`, BOB);
  const timers = rig.clock.pending;
  await rig.ask("REGISTER N lab 7");
  assert.equal(rig.clock.pending, timers, "one write is planned, besides the sweep");
  await rig.stop();
  const written = (await Deno.stat(rig.path)).mtime!.getTime();
  await rig.restart();
  const idle = rig.clock.pending;
  await rig.ask(`REGISTER A alice ${A}`);
  await rig.ask("QUERY A bob");
  assert.equal(rig.clock.pending, idle);
  await rig.stop();
  assert.equal((await Deno.stat(rig.path)).mtime!.getTime(), written);
});

Deno.test("a file of the reference is read, and what is damaged in it left out", async () => {
  await using rig = await Rig.start(JSON.stringify({
    a_records: [
      { name: "alice", address: A },
      { name: "has space", address: A },
      { name: "nowhere", address: "here" },
      7,
    ],
    n_records: [{ name: "lab", network_id: 7 }, { name: "big", network_id: 65536 }],
    s_records: null,
  }));
  assert.equal(await rig.ask("QUERY A alice"), `A alice ${A}`);
  assert.equal(await rig.ask("QUERY A nowhere"), 'ERR name "nowhere" not found');
  assert.equal(await rig.ask("QUERY N big"), 'ERR network "big" not found');
  assert.equal(await rig.ask("QUERY N lab"), "N lab 7");
  // It does not say who holds the network's name: the first who registers it again.
  assert.equal(await rig.ask("REGISTER N lab 7", BOB), "OK");
  assert.match(await rig.ask("REGISTER N lab 8"), /another node/);
});

Deno.test("a file that is no JSON is left as it is until something changes", async () => {
  for (const damaged of ["{", "[]", "null", '{"a_records": 5}', ""]) {
    await using rig = await Rig.start(damaged);
    assert.equal(await rig.ask("QUERY A alice"), 'ERR name "alice" not found');
    await rig.stop();
    assert.equal(await Deno.readTextFile(rig.path), damaged);
  }
});

Deno.test("what could not be written is written the next time", async () => {
  await using rig = await Rig.start();
  const path = join(rig.dir, "later", "nameserver.json");
  const records = new NameRecords();
  const store = new NameStore(path, records, rig.clock);
  await store.load();
  records.register({ type: "A", name: "alice", address: ALICE }, { node: 2, self: 1 }, 0);
  await store.flush();
  await Deno.mkdir(join(rig.dir, "later"));
  store.touch();
  await rig.clock.run(5_000);
  await store.flush(); // behind the one that the clock has started
  assert.match(await Deno.readTextFile(path), /alice/);
  await store.close();
});

Deno.test("a client that says nothing or does not go is cut off", async () => {
  await using rig = await Rig.start();
  const silent = new StreamIo(rig.backend.connectFrom(53)!, systemClock);
  await rig.clock.run(EXCHANGE_TIMEOUT_MS - 1);
  assert.equal(silent.over, false);
  await rig.clock.run(1);
  await assert.rejects(silent.readChunk(), { code: "connection_closed" });
  const clinging = new StreamIo(rig.backend.connectFrom(53)!, systemClock);
  await clinging.write(new TextEncoder().encode("QUERY S 0 1"));
  assert.equal(new TextDecoder().decode(await clinging.readChunk()), "S");
  for (let sent = 0; sent < 10; sent++) { // what it says meanwhile helps it nothing
    await clinging.write(new Uint8Array(1));
    await rig.clock.run(EXCHANGE_TIMEOUT_MS / 10 - 1);
  }
  assert.equal(clinging.over, false);
  await rig.clock.run(10);
  await assert.rejects(clinging.write(new Uint8Array(1)), { code: "connection_closed" });
  assert.equal(rig.backend.openConns.length, 0);
});

Deno.test("one peer cannot take every connection, and stopping ends those that wait", async () => {
  await using rig = await Rig.start();
  const waiting = Array.from({ length: 32 }, () => rig.backend.connectFrom(53, ALICE)!);
  const refused = new StreamIo(rig.backend.connectFrom(53, ALICE)!, systemClock);
  await assert.rejects(refused.readChunk(), { code: "connection_closed" });
  assert.equal(await rig.ask("QUERY S 0 80", BOB), "S");
  await rig.stop();
  for (const conn of waiting) {
    assert.equal(await new StreamIo(conn, systemClock).readChunk(), undefined);
  }
  assert.equal(rig.backend.ports.size, 0);
});
