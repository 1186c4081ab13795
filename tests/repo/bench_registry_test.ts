import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, UsageError } from "../../scripts/bench/args.ts";
import { Nodes } from "../../scripts/bench/programs/registry_nodes.ts";
import type { BenchReport } from "../../scripts/bench/bench_report.ts";
import { SCENARIOS } from "../../scripts/bench/scenarios/mod.ts";
import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { verifySignature } from "../../protocol/crypto/identity.ts";
import {
  JsonFrameReader,
  type JsonObject,
  textField,
} from "../../protocol/registry/registry_message.ts";
import { challenges } from "../rendezvous/support/challenges.ts";

const MAIN = new URL("../../scripts/bench/main.ts", import.meta.url).pathname;
const NAMES = Object.keys(SCENARIOS);

Deno.test("registry runs only when named, with 250,000 nodes by default", () => {
  assert.equal(SCENARIOS.registry!.byDefault, false);
  assert.equal(parseArgs(["registry"], NAMES)!.nodes, 250_000);
  assert.equal(parseArgs(["registry", "--nodes", "500"], NAMES)!.nodes, 500);
  for (const nodes of ["0", "1.5", "1e7", "many"]) {
    assert.throws(() => parseArgs(["registry", "--nodes", nodes], NAMES), UsageError);
  }
});

Deno.test("Nodes signs a registration for each of its keys, and signs later with those it kept", async () => {
  const nodes = new Nodes({ count: 12, signers: 3, late: 2 });
  assert.deepEqual(nodes.signers, [0, 3, 6], "none of the late ones");
  assert.deepEqual(new Nodes({ count: 21, signers: 8, late: 11 }).signers.at(-1), 8);
  const keys = new Set<string>();
  for (let index = 0; index < nodes.count; index++) {
    const reader = new JsonFrameReader();
    reader.push(nodes.registration(index));
    const request = reader.next() as JsonObject;
    const [key, signature] = [textField(request, "public_key"), textField(request, "signature")];
    keys.add(key);
    const challenge = challenges.register(textField(request, "listen_addr"), key);
    assert.deepEqual(nodes.publicKey(index), decodeBase64(key));
    assert.ok(
      await verifySignature(nodes.publicKey(index), challenge, decodeBase64(signature)!),
    );
  }
  assert.equal(keys.size, 12);
  const challenge = challenges.heartbeat(7);
  assert.ok(await verifySignature(nodes.publicKey(3), challenge, nodes.sign(3, challenge)));
});

Deno.test("bench registry measures a small registry and finds everything acknowledged after kill -9", async () => {
  const directory = await Deno.makeTempDir({ prefix: "pilot-bench-test-" });
  try {
    const file = join(directory, "report.json");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "-A", "--no-check", MAIN, "registry", "--json", file],
        ...["--nodes", "200", "--seconds", "0.2"],
      ],
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, 0, text);
    const report: BenchReport = JSON.parse(await readFile(file, "utf8"));
    const { ours, topology, peers } = report.scenarios.registry!;
    assert.equal(topology, "loopback");
    assert.deepEqual(peers, {});
    const { registrations_s, lookups_s, resolves_s, heartbeats_s, restart_s, db_mb } = ours;
    for (
      const figure of [registrations_s, lookups_s, resolves_s, heartbeats_s, restart_s, db_mb]
    ) {
      assert.ok(figure! > 0, JSON.stringify(ours));
    }
    if (Deno.build.os === "linux") assert.ok(ours.rss_mb! > 0);
    assert.match(text, /none lost/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
