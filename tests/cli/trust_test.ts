/** Trust at the command line. */

import assert from "node:assert/strict";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { type ErrorCode, PilotError } from "../../protocol/errors.ts";
import { parseAddress } from "../../protocol/address.ts";
import { at, type FakeDriver, run, runJson } from "./support.ts";

const ADDRESS = "0:0000.0000.0007";
const resolveTarget = () => Promise.resolve(parseAddress(ADDRESS));

Deno.test("handshake waits for trust when asked, for the given time", async () => {
  const waits: unknown[] = [];
  const driver: FakeDriver = {
    trust: {
      request: (target, why) => {
        assert.equal(target, "bob");
        assert.equal(why, "because");
        return Promise.resolve({ status: "sent", node_id: 7 });
      },
      waitFor: (node, options) => {
        waits.push([node, options?.timeoutMs]);
        return Promise.resolve();
      },
    },
  };
  const sent = await runJson(["handshake", "bob", "because"], { driver });
  assert.deepEqual(sent.data, { status: "sent", node_id: 7 });
  assert.deepEqual(waits, []);
  const waited = await runJson(["handshake", "bob", "because", "--wait=5s"], { driver });
  assert.equal(at(waited.data, "status"), "trusted");
  await runJson(["handshake", "bob", "because", "--wait"], { driver });
  assert.deepEqual(waits, [[7, 5000], [7, 60_000]]);
});

Deno.test("handshake ends with the refusal, says what is next, and knows who is trusted already", async () => {
  const request = () => Promise.resolve({ status: "sent", node_id: 7 });
  const waiting = (code: ErrorCode, message: string): FakeDriver => ({
    trust: { request, waitFor: () => Promise.reject(new PilotError(code, message)) },
  });
  const args = ["handshake", "bob", "--wait=5s"];
  const refused = await runJson(args, { driver: waiting("denied", "Node 7 rejected: because") });
  assert.equal(refused.code, EXIT_CODES.denied);
  assert.match(String(refused.error?.message), /because/);
  const late = await runJson(args, { driver: waiting("timeout", "nothing") });
  assert.equal(late.code, EXIT_CODES.timeout);
  assert.match(String(late.error?.hint), /pilotctl pending .*pilotctl untrust 7/);
  const known = () => Promise.resolve({ status: "sent", node_id: 7, already_trusted: true });
  const { data } = await runJson(["handshake", "bob"], { driver: { trust: { request: known } } });
  assert.equal(at(data, "status"), "already_trusted");
});

Deno.test("pending shows our own requests and what became of them; untrust takes one back", async () => {
  const open = () =>
    Promise.resolve({
      pending: [],
      outgoing: [{ node_id: 8, requested_at: 1 }],
      refused: [{ node_id: 9, reason: "no time", refused_at: 1 }],
    });
  const { stdout } = await run(["pending"], { driver: { trust: { open } } });
  assert.match(
    stdout,
    /^No requests\n\nOur requests without an answer[^]*\n8 [^]*Our requests that were refused[^]*\n9 +no time/,
  );
  const revoke = (node: number) =>
    Promise.resolve({ status: "revoked", node_id: node, withdrawn: true });
  const resolveTarget = () => Promise.resolve({ network: 0, node: 8 });
  const withdrawn = await runJson(["untrust", "8"], {
    driver: { trust: { revoke }, resolveTarget },
  });
  assert.equal(at(withdrawn.data, "status"), "withdrawn");
});

Deno.test("approve, reject and untrust take ids, addresses and hostnames", async () => {
  const calls: unknown[] = [];
  const reply = (node_id: number) => Promise.resolve({ status: "ok", node_id });
  const driver: FakeDriver = {
    resolveTarget,
    registry: { handshakeTarget: () => Promise.resolve({ node_id: 9, address: ADDRESS }) },
    trust: {
      approve: (node) => (calls.push(["approve", node]), reply(node)),
      reject: (node, reason) => (calls.push(["reject", node, reason]), reply(node)),
      revoke: (node) => (calls.push(["untrust", node]), reply(node)),
    },
  };
  await run(["approve", "7"], { driver });
  await run(["reject", "bob", "no thanks"], { driver });
  await run(["untrust", ADDRESS], { driver });
  assert.deepEqual(calls, [["approve", 7], ["reject", 9, "no thanks"], ["untrust", 7]]);
});
