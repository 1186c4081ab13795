import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { encodeBeacon } from "../../protocol/beacon/beacon_message.ts";
import { encodePila, encodePunch } from "../../protocol/tunnel/frame.ts";
import { kindOf, WireRecord } from "../../scripts/demo/wire_record.ts";
import { RecordingRelay } from "../../scripts/demo/udp_tap.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function startDemo(args: readonly string[], temporary: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "demo", ...args],
    cwd: ROOT,
    env: { TMPDIR: temporary },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

Deno.test("deno task demo --json prints one object with figures and leaves nothing behind", async () => {
  const temporary = await Deno.makeTempDir({ prefix: "demo-" });
  try {
    const { code, stdout, stderr } = await startDemo(["--json"], temporary).output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 0, text + new TextDecoder().decode(stderr));
    const report = JSON.parse(text);
    assert.equal(report.status, "ok");
    assert.equal(report.file_sha256_ok, true);
    assert.equal(report.plaintext_datagrams, 0);
    assert.equal(report.wire.other.datagrams, 0);
    assert.ok(report.wire.pila.datagrams >= 2, "both daemons sent a key");
    assert.ok(report.wire.pils.bytes > report.file_bytes, "the file went through the recorder");
    assert.ok(report.wire.beacon.datagrams >= 4, "both daemons talked to the beacon");
    for (const figure of ["ready_ms", "trust_ms", "ping_p50_ms", "dial_p50_ms", "bulk_mb_s"]) {
      assert.ok(report[figure] > 0, `${figure} is ${report[figure]}`);
    }
    assert.deepEqual([...Deno.readDirSync(temporary)], []);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
});

Deno.test({
  name: "deno task demo stops its processes and cleans up when it is interrupted",
  ignore: Deno.build.os === "windows",
  async fn() {
    const temporary = await Deno.makeTempDir({ prefix: "demo-" });
    try {
      const child = startDemo([], temporary);
      let text = "";
      for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
        // Both daemons run by now; deno task hands the signal on.
        if (!text.includes("ready  ") && (text + piece).includes("ready  ")) child.kill("SIGINT");
        text += piece;
      }
      await child.stderr.cancel();
      assert.equal((await child.status).code, 130, text);
      assert.match(text, /demo: failed at [a-z]+: interrupted\n$/);
      assert.deepEqual([...Deno.readDirSync(temporary)], []);
    } finally {
      await Deno.remove(temporary, { recursive: true });
    }
  },
});

Deno.test("WireRecord classifies datagrams and finds readable bytes", () => {
  const record = new WireRecord();
  record.watchFor("attack at dawn");
  const key = randomBytes(32);
  record.add(encodePila({ sender: 1, x25519: key, ed25519: key, signature: randomBytes(64) }));
  record.add(encodePunch());
  record.add(encodeBeacon({ type: "discover", node: 1, ex: false }));
  record.add(new Uint8Array([...new TextEncoder().encode("PILS"), ...randomBytes(60)]));
  assert.equal(record.plaintextDatagrams, 0);
  record.add(new TextEncoder().encode("PILS 0123456789012345678901234567 attack at dawn"));
  assert.equal(record.plaintextDatagrams, 1);
  assert.equal(record.datagrams, 5);
  const { pila, pils, pilp, beacon, other } = record.kinds;
  const counts = [pila, pils, pilp, beacon, other].map(({ datagrams }) => datagrams);
  assert.deepEqual(counts, [1, 2, 1, 1, 0]);
});

for (
  const [name, datagram] of [
    ["plaintext frames", new TextEncoder().encode(`PILT${"x".repeat(40)}`)],
    ["unauthenticated keys", new TextEncoder().encode(`PILK${"x".repeat(36)}`)],
    ["anything else", new TextEncoder().encode("GET / HTTP/1.1")],
    ["an empty datagram", new Uint8Array(0)],
    ["a beacon message cut short", new Uint8Array([4, 4, 127])],
  ] as const
) {
  Deno.test(`kindOf does not accept ${name}`, () => {
    assert.equal(kindOf(datagram), "other");
  });
}

Deno.test("RecordingRelay shows each party the other at its place in the relay", async () => {
  const open = () => Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const place = (socket: Deno.DatagramConn) => {
    const { hostname, port } = socket.addr as Deno.NetAddr;
    return `${hostname}:${port}`;
  };
  const sendTo = (socket: Deno.DatagramConn, to: string, text: string) => {
    const [hostname, port] = to.split(":");
    const data = new TextEncoder().encode(text);
    return socket.send(data, { transport: "udp", hostname: hostname!, port: Number(port) });
  };
  const next = async (socket: Deno.DatagramConn) => {
    const [bytes, from] = await socket.receive();
    const { hostname, port } = from as Deno.NetAddr;
    return { text: new TextDecoder().decode(bytes), from: `${hostname}:${port}` };
  };
  const [beacon, alice, bob] = [open(), open(), open()];
  try {
    const record = new WireRecord();
    await using relay = new RecordingRelay(record, place(beacon));
    const a = relay.add("alice");
    const b = relay.add("bob");
    await sendTo(alice, a.beacon, "alice to beacon");
    assert.deepEqual(await next(beacon), { text: "alice to beacon", from: a.endpoint });
    await sendTo(bob, b.beacon, "bob to beacon");
    assert.deepEqual(await next(beacon), { text: "bob to beacon", from: b.endpoint });
    await sendTo(beacon, a.endpoint, "beacon to alice");
    assert.deepEqual(await next(alice), { text: "beacon to alice", from: a.beacon });
    await sendTo(alice, b.endpoint, "alice to bob");
    assert.deepEqual(await next(bob), { text: "alice to bob", from: a.endpoint });
    await sendTo(bob, a.endpoint, "bob to alice");
    assert.deepEqual(await next(alice), { text: "bob to alice", from: b.endpoint });
    assert.equal(relay.strangers, 0);
    assert.equal(record.datagrams, 5);
  } finally {
    for (const socket of [beacon, alice, bob]) socket.close();
  }
});
