/** TLS of the registry (docs/protocol/registry.md §1.5). */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { exists } from "../../../platform/private_files.ts";
import { openLink } from "../../../platform/registry_link.ts";
import {
  encodeBinaryFrame,
  encodeBinaryLookup,
} from "../../../protocol/registry/registry_message.ts";
import { jsonFrame, RawClient, registered, split } from "../support/client.ts";
import { pass, start, withDirectory } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { assertSlowReaderIsDropped } from "../support/slow_reader.ts";
import { connectChecked, testCertificate, writePair } from "../support/tls.ts";

Deno.test("a generated certificate is kept in the store, and its fingerprint survives restarts", () =>
  withDirectory(async (directory) => {
    const once = async () => {
      await using server = await start({ store: directory, tls: "auto" });
      const cert = await Deno.readTextFile(join(directory, "tls.crt"));
      using client = new RawClient(await connectChecked(server.registryAddr, cert));
      await registered(client);
      return server.facts.tlsFingerprint;
    };
    const fingerprint = await once();
    assert.match(fingerprint ?? "", /^[0-9a-f]{64}$/);
    assert.equal(await once(), fingerprint);
    const cert = new X509Certificate(await Deno.readTextFile(join(directory, "tls.crt")));
    assert.equal(cert.fingerprint256.replaceAll(":", "").toLowerCase(), fingerprint);
    assert.equal(cert.subject, "O=Pilot Protocol");
    for (const name of ["DNS:localhost", "IP Address:127.0.0.1", "IP Address:"]) {
      assert.ok(cert.subjectAltName?.includes(name), cert.subjectAltName);
    }
    const years = (Date.parse(cert.validTo) - Date.now()) / (365 * 86_400_000);
    assert.ok(years > 9.9, "daemons pin it, so it must not end soon");
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(join(directory, "tls.key"))).mode! & 0o777, 0o600);
    }
  }));

Deno.test("a store with a certificate but without its key is refused, one with the key only is completed", () =>
  withDirectory(async (directory) => {
    await (await start({ store: directory, tls: "auto" })).close();
    const [cert, key] = [join(directory, "tls.crt"), join(directory, "tls.key")];
    await Deno.rename(key, `${key}.away`);
    await assert.rejects(start({ store: directory, tls: "auto" }), { code: "invalid_state" });
    await Deno.remove(cert);
    await Deno.rename(`${key}.away`, key);
    await (await start({ store: directory, tls: "auto" })).close(); // as after a crash between the two
    await using server = await start({ store: directory, tls: "auto" });
    using client = new RawClient(
      await connectChecked(server.registryAddr, await Deno.readTextFile(cert)),
    );
    await registered(client);
  }));

Deno.test("certificate and key come from files, and what is wrong with them is named", () =>
  withDirectory(async (directory) => {
    const pair = testCertificate();
    const files = await writePair(directory, pair);
    {
      await using server = await start({ tls: files });
      assert.equal(server.facts.tlsFingerprint, pair.fingerprint);
      using client = new RawClient(await connectChecked(server.registryAddr, pair.cert));
      await registered(client);
    }
    const rejects = (change: Partial<typeof files>, code: string, message: RegExp) =>
      assert.rejects(start({ tls: { ...files, ...change } }), { code, message });
    await rejects({ keyFile: join(directory, "none") }, "not_found", /none/);
    await rejects({ certFile: files.keyFile }, "invalid_argument", /k\.pem is not a PEM cert/);
    await rejects({ keyFile: files.certFile }, "invalid_argument", /c\.pem is not a PEM private/);
    await Deno.writeTextFile(files.keyFile, testCertificate().key);
    await rejects({}, "invalid_argument", /k\.pem is not the private key of .*c\.pem/);
  }));

/** The first bytes of a client that wants TLS. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = connectTls({ host: "127.0.0.1", port: listener.addr.port });
  socket.on("error", () => {}); // it is never answered
  using conn = await listener.accept();
  const buffer = new Uint8Array(4_096);
  const count = await conn.read(buffer);
  socket.destroy();
  await once(socket, "close");
  return buffer.slice(0, count!);
}

/** A forwarder that passes on the first bytes of its one client one by one. */
function dribble(to: string): { addr: string; done: Promise<void> } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const forward = async () => {
    const client = await listener.accept();
    listener.close();
    const server = await Deno.connect(split(to));
    server.setNoDelay(true);
    const back = server.readable.pipeTo(client.writable).catch(() => {}); // the client is gone
    const writer = server.writable.getWriter();
    writer.closed.catch(() => {}); // the server is gone
    let left = 40;
    for await (const chunk of client.readable) {
      let at = 0;
      for (; left > 0 && at < chunk.length; left--, at++) {
        await writer.write(chunk.slice(at, at + 1));
        await new Promise((resolve) => setTimeout(resolve, 1)); // so that it arrives separately
      }
      if (at < chunk.length) await writer.write(chunk.slice(at));
    }
    await writer.close().catch(() => {});
    await back;
  };
  return { addr: `127.0.0.1:${listener.addr.port}`, done: forward() };
}

/** Asks for a node, over JSON and over binary frames. */
async function asksBothModes(open: () => Promise<RawClient>): Promise<void> {
  using json = await open();
  const node = await registered(json);
  using binary = await open();
  await binary.write(new Uint8Array([0x50, 0x49, 0x4c, 0x54, 1]));
  await binary.write(encodeBinaryFrame(2, encodeBinaryLookup(node.id)));
  const reply = await binary.readFrame();
  assert.equal(reply?.[0], 0x82);
}

Deno.test("a server with a store serves JSON and binary, plain and over TLS, on one port by default", () =>
  withDirectory(async (store) => {
    await using server = await start({ store });
    const cert = await Deno.readTextFile(join(store, "tls.crt"));
    await asksBothModes(() => RawClient.open(server.registryAddr));
    await asksBothModes(async () => new RawClient(await connectChecked(server.registryAddr, cert)));
    const slow = dribble(server.registryAddr);
    {
      using client = new RawClient(await connectChecked(slow.addr, cert));
      await registered(client);
    }
    await slow.done;
  }));

Deno.test("a server in memory has a certificate that it forgets", async () => {
  const fingerprints = await Promise.all([1, 2].map(async () => {
    await using server = await start();
    const to = { host: "127.0.0.1", port: split(server.registryAddr).port };
    const fingerprint = server.facts.tlsFingerprint;
    const link = await openLink({ to, fingerprint, signal: new AbortController().signal });
    link.close();
    await link.closed;
    return fingerprint;
  }));
  assert.equal(new Set(fingerprints).size, 2);
});

Deno.test("a server without TLS has no certificate and disconnects clients that begin with TLS", () =>
  withDirectory(async (store) => {
    await using server = await start({ store, tls: "none" });
    assert.equal(server.facts.tlsFingerprint, undefined);
    assert.equal(await exists(join(store, "tls.crt")), false);
    using hopeful = await RawClient.open(server.registryAddr);
    await hopeful.write(await clientHello());
    assert.equal(await hopeful.read(1), undefined);
    await asksBothModes(() => RawClient.open(server.registryAddr));
    await assert.rejects(start({ tls: "none", tlsOnly: true }), { code: "invalid_argument" });
  }));

Deno.test("where both are served, a TLS handshake must end as soon as a request, from its first byte on", async () => {
  const clock = new ManualClock();
  await using server = await start({ clock });
  const hello = await clientHello();
  const open = async (bytes: Uint8Array) => {
    const client = await RawClient.open(server.registryAddr);
    await client.write(bytes);
    return client;
  };
  using begun = await open(hello.slice(0, 1));
  using cut = await open(hello.slice(0, 50));
  using stalled = await open(hello);
  assert.equal((await stalled.read(1))?.[0], 0x16, "the server has answered the hello");
  using garbage = await open(new Uint8Array([...hello.slice(0, 5), ...new Uint8Array(500)]));
  await garbage.read(7); // an alert
  assert.equal(await garbage.read(1), undefined);
  using silent = await open(new Uint8Array());
  using plain = await open(new Uint8Array());
  await registered(plain);
  await pass(server, clock, 31_000);
  for (const client of [begun, cut]) assert.equal(await client.read(1), undefined);
  await stalled.drain();
  await registered(plain);
  await registered(silent);
});

Deno.test("a client that begins with a frame of the length that TLS looks like is disconnected", async () => {
  await using server = await start();
  using client = await RawClient.open(server.registryAddr);
  await client.write(new Uint8Array([0x16, 0x02, 0xff, 0xff, ...new Uint8Array(100)]));
  assert.equal(await client.read(1), undefined, "no TLS, and too long a frame");
});

Deno.test("with TLS only, clients that speak none, or do not finish, are disconnected and harm nobody", () =>
  withDirectory(async (directory) => {
    const pair = testCertificate();
    const clock = new ManualClock();
    const tls = await writePair(directory, pair);
    await using server = await start({ clock, tls, tlsOnly: true });
    using plain = await RawClient.open(server.registryAddr);
    await plain.write(jsonFrame('{"type":"lookup","node_id":1}'));
    assert.equal(await plain.read(1), undefined);
    using silent = await RawClient.open(server.registryAddr);
    (await RawClient.open(server.registryAddr)).close();
    using client = new RawClient(await connectChecked(server.registryAddr, pair.cert));
    await registered(client);
    await pass(server, clock, 31_000);
    assert.equal(await silent.read(1), undefined, "the handshake must end within 30 s");
    await registered(client);
  }));

Deno.test("a TLS client that does not read is dropped and holds up nobody", () =>
  withDirectory(async (directory) => {
    const pair = testCertificate();
    const clock = new ManualClock();
    const tls = await writePair(directory, pair);
    await using server = await start({ clock, tls });
    const slow = await connectChecked(server.registryAddr, pair.cert);
    const open = async () => new RawClient(await connectChecked(server.registryAddr, pair.cert));
    await assertSlowReaderIsDropped({ server, clock, slow, open });
  }));
