/**
 * `send` and `recv` while nearly a third of all datagrams is lost: what arrives is whole and both say so, or both say
 * that it is not. Needs root. PILOT_LOSS_RUNS sets how often (3).
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { eventually } from "../e2e/processes.ts";
import { Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { befriend, Processes } from "./processes.ts";

const SKIP_REASON = await whyNot();
const RUNS = Number(Deno.env.get("PILOT_LOSS_RUNS") ?? 3);
const BYTES = 300_000;
const FIRST_PORT = 6300;
const LOSS = `table ip loss { chain input {
  type filter hook input priority 0
  udp sport != 9001 numgen random mod 100 < 30 drop
}
}`;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

Deno.test({
  name: SKIP_REASON === ""
    ? "300 KB through send and recv with 30 % loss are whole, or an error at both ends"
    : `send and recv with loss (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 60_000 + RUNS * 90_000,
  async fn() {
    await using net = await Internet.create();
    const [one, two] = await net.pair("public");
    await using processes = new Processes(net);
    await processes.startRendezvous();
    const a = await processes.daemon("a", one);
    const b = await processes.daemon("b", two);
    await befriend(a, b);
    await net.namespaces.nft(two.namespace, LOSS);
    const content = new Uint8Array(BYTES);
    for (let at = 0; at < BYTES; at += 60_000) {
      crypto.getRandomValues(content.subarray(at, Math.min(at + 60_000, BYTES)));
    }
    const file = processes.path("content");
    await Deno.writeFile(file, content);
    for (let run = 0; run < RUNS; run++) {
      const port = `${FIRST_PORT + run}`;
      const receiver = processes.spawn(two.namespace, "b", ["recv", port, "--timeout", "80s"]);
      await eventually("recv listens", async () => {
        const { ports } = await b.driver.info() as { ports?: number };
        return ports === 5 || undefined;
      });
      const args = ["send", `${b.node}`, port, "--file", file];
      const sender = processes.spawn(one.namespace, "a", args);
      processes.drain(sender.stdout);
      const got = new Uint8Array(await new Response(receiver.stdout).arrayBuffer());
      const codes = [(await sender.status).code, (await receiver.status).code];
      console.log(`run ${run}: ${got.length} bytes, exit codes ${codes}`);
      if (codes.includes(0)) {
        assert.deepEqual(codes, [0, 0]);
        assert.equal(sha256(got), sha256(content));
      }
    }
  },
});
