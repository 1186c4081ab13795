/** TLS of the registry (rendezvous.md §1.5). */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { encodeBinaryFrame, encodeBinaryLookup } from "../../../protocol/registry.ts";
import { jsonFrame, RawClient, registered } from "../support/client.ts";
import { pass, start, TestClock, withDirectory } from "../support/server.ts";
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

Deno.test("both modes are told apart inside TLS", async () => {
  await withDirectory(async (directory) => {
    const pair = testCertificate();
    await using server = await start({ tls: await writePair(directory, pair) });
    using json = new RawClient(await connectChecked(server.registryAddr, pair.cert));
    const node = await registered(json);
    using binary = new RawClient(await connectChecked(server.registryAddr, pair.cert));
    await binary.write(new Uint8Array([0x50, 0x49, 0x4c, 0x54, 1]));
    await binary.write(encodeBinaryFrame(2, encodeBinaryLookup(node.id)));
    const reply = await binary.readFrame();
    assert.equal(reply?.[0], 0x82);
  });
});

Deno.test("clients that speak no TLS, or do not finish, are let go and harm nobody", () =>
  withDirectory(async (directory) => {
    const pair = testCertificate();
    const clock = new TestClock();
    await using server = await start({ clock, tls: await writePair(directory, pair) });
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
    const clock = new TestClock();
    await using server = await start({ clock, tls: await writePair(directory, pair) });
    const slow = await connectChecked(server.registryAddr, pair.cert);
    const open = async () => new RawClient(await connectChecked(server.registryAddr, pair.cert));
    await assertSlowReaderIsDropped({ server, clock, slow, open });
  }));
