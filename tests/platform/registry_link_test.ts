/** The daemon's connection to the registry: TLS with a pinned certificate (docs/protocol/registry.md §1.5). */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { CONNECT_TIMEOUT_MS, RegistryClient } from "../../platform/registry_client.ts";
import type { Rendezvous } from "../../rendezvous/mod.ts";
import { start, withDirectory } from "../rendezvous/support/server.ts";
import { testCertificate, writePair } from "../rendezvous/support/tls.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { RegistryServer } from "../daemon/harness/registry_server.ts";

const LOOKUP = { type: "lookup", node_id: 7 };

async function withClient(
  address: string,
  fingerprint: string | undefined,
  body: (client: RegistryClient) => Promise<void>,
): Promise<void> {
  const clock = new ManualClock();
  const client = new RegistryClient({ address, clock, fingerprint });
  try {
    await body(client);
  } finally {
    await client.close();
  }
  assert.equal(clock.pending, 0, "no timer is left");
}

async function withTlsServer(
  body: (server: Rendezvous, fingerprint: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const pair = testCertificate();
    await using server = await start({ tls: await writePair(directory, pair) });
    await body(server, pair.fingerprint);
  });
}

Deno.test("RegistryClient speaks TLS with the server that shows the pinned certificate", () =>
  withTlsServer((server, fingerprint) =>
    withClient(server.registryAddr, fingerprint, async (client) => {
      await assert.rejects(client.request(LOOKUP), { code: "not_found" });
      assert.ok(client.isConnected);
      assert.equal(client.localHost, "127.0.0.1");
      const many = Array.from({ length: 200 }, () => client.request({ type: "list_networks" }));
      for (const reply of await Promise.all(many)) assert.equal(reply["type"], "list_networks_ok");
    })
  ));

Deno.test("RegistryClient sends nothing to a server with another certificate", async () => {
  const shown = testCertificate();
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...shown });
  const { port } = listener.addr;
  const received = (async () => {
    using conn = await listener.accept();
    return await conn.read(new Uint8Array(100)).catch(() => null);
  })();
  try {
    const pinned = testCertificate().fingerprint;
    await withClient(`127.0.0.1:${port}`, pinned, async (client) => {
      await assert.rejects(client.request(LOOKUP), {
        code: "untrusted",
        message: new RegExp(`${shown.fingerprint}, not ${pinned}`),
        advice: { id: "compare_certificate", setting: "registryFingerprint" },
      });
      assert.equal(client.isConnected, false);
    });
    assert.equal(await received, null, "the server got no byte of a request");
  } finally {
    listener.close();
  }
});

Deno.test("RegistryClient refuses a server that shows the pinned certificate but has not its key", async () => {
  const pinned = testCertificate();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = impersonate(listener, pinned.cert);
  try {
    await withClient(
      `127.0.0.1:${listener.addr.port}`,
      pinned.fingerprint,
      (client) => assert.rejects(client.request(LOOKUP), { code: "unavailable", message: /TLS/ }),
    );
    const { alert, rest } = await serving;
    assert.equal(alert, DECRYPT_ERROR, "the client has checked the signature of the handshake");
    assert.equal(rest, 0);
  } finally {
    listener.close();
  }
});

Deno.test("RegistryClient says so when the server speaks no TLS, and when it speaks nothing else", async () => {
  const { fingerprint } = testCertificate();
  await using plain = await start({ tls: "none" });
  await withClient(
    plain.registryAddr,
    fingerprint,
    (client) =>
      assert.rejects(client.request(LOOKUP), {
        code: "unavailable",
        message: /No TLS with the registry/,
        advice: { id: "check_tls", setting: "registryTls" },
      }),
  );
  await using played = new RegistryServer();
  await withClient(played.address, undefined, async (client) => {
    const reply = client.request(LOOKUP);
    const { connection } = await played.next();
    await connection.send(new Uint8Array([0x15, 3, 3, 0, 2, 2, 50]));
    await assert.rejects(reply, {
      code: "unavailable",
      message: /it speaks TLS/,
      advice: { id: "pin_certificate" },
    });
  });
});

Deno.test("RegistryClient gives a TLS server up that does not answer, and one that is not there", async () => {
  const { fingerprint } = testCertificate();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const clock = new ManualClock();
  const client = new RegistryClient({ address, clock, fingerprint });
  const refused = assert.rejects(client.request(LOOKUP), {
    code: "unavailable",
    message: /answer/,
  });
  const silent = await listener.accept();
  await clock.run(CONNECT_TIMEOUT_MS);
  await refused;
  silent.close();
  listener.close();
  await assert.rejects(client.request(LOOKUP), { code: "unavailable", message: /not reachable/ });
  await client.close();
});

/** Alert "decrypt_error" of TLS (RFC 5246 §7.2.2): a signature did not verify. */
const DECRYPT_ERROR = 51;

/**
 * A TLS 1.2 server (RFC 5246) as far as its key would be needed: shows a certificate and sends the key exchange with
 * an invalid signature.
 */
async function impersonate(
  listener: Deno.TcpListener,
  cert: string,
): Promise<{ alert: number | undefined; rest: number }> {
  using conn = await listener.accept();
  const hello = new Uint8Array(4096);
  await conn.read(hello);
  const der = new X509Certificate(cert).raw;
  const point = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, [
    "deriveBits",
  ]);
  const share = new Uint8Array(await crypto.subtle.exportKey("raw", point.publicKey));
  const signature = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]; // ECDSA with r = s = 1
  const random = crypto.getRandomValues(new Uint8Array(32));
  const extendedMasterSecret = [0, 4, 0, 23, 0, 0];
  const flight = [
    message(2, [3, 3, ...random, 0, 0xc0, 0x2b, 0, ...extendedMasterSecret]),
    message(11, list24(list24(der))),
    message(12, [3, 0, 23, share.length, ...share, 4, 3, 0, signature.length, ...signature]),
    message(14, []),
  ].flat();
  const record = [22, 3, 3, flight.length >> 8, flight.length & 0xff, ...flight];
  await conn.write(new Uint8Array(record));
  const answer = new Uint8Array(100);
  const count = await conn.read(answer) ?? 0;
  const rest = await conn.read(new Uint8Array(100)).catch(() => null) ?? 0;
  assert.ok(count >= 7, Buffer.from(answer).toString("hex"));
  return { alert: answer[0] === 21 ? answer[6] : undefined, rest };
}

function list24(bytes: Iterable<number>): number[] {
  const content = [...bytes];
  return [content.length >> 16, content.length >> 8 & 0xff, content.length & 0xff, ...content];
}

function message(type: number, body: number[]): number[] {
  return [type, ...list24(body)];
}
