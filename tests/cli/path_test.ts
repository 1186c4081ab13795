import assert from "node:assert/strict";
import type { PathReport } from "../../protocol/path/mod.ts";
import { run, runJson } from "./support.ts";

Deno.test("path shows the path in use, why it is not direct, and what was tried", async () => {
  const report: PathReport = {
    node_id: 8,
    route: "relay",
    endpoint: "(relay)",
    kind: "relay",
    since_ms: 61_000,
    rtt_ms: 31.4,
    heard_ms: 20,
    mode: "auto",
    reason_code: "no_answer",
    reason: "No direct address answers",
    next_search_ms: 9_000,
    path_mtu: 1250,
    mss: 1152,
    candidates: [{
      endpoint: "192.0.2.8:4000",
      kind: "public",
      state: "failed",
      rtt_ms: null,
      sent: 5,
      answered: 0,
      last_sent_ms: 3_000,
      last_answer_ms: null,
    }],
  };
  const path = () => Promise.resolve(report);
  const json = await runJson(["path", "8"], { driver: { path } });
  assert.deepEqual(json.data, report);
  const { stdout } = await run(["path", "8"], { driver: { path } });
  for (
    const part of [
      "relay, (relay)",
      "for 00:01:01",
      "31 ms",
      "No direct address answers",
      "in 00:00:09",
    ]
  ) {
    assert.ok(stdout.includes(part), `${part} in ${stdout}`);
  }
  assert.match(stdout, /192\.0\.2\.8:4000 +public +failed +0\/5/);
});
