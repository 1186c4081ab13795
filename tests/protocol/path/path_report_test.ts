import assert from "node:assert/strict";
import {
  PATH_BASE_BYTES,
  PathManager,
  type PathMode,
  pathProbeId,
  reportPath,
} from "../../../protocol/path/mod.ts";

const NEEDS = { isWanted: true, hasConns: true };
const FACTS = { node: 7, pathMtu: 1500, mss: 1408 };
const ENDPOINT = { host: "192.0.2.7", port: 4000 };

function manager(mode: PathMode = "auto"): PathManager {
  let next = 1;
  return new PathManager({ mode, random: (out) => void out.fill(next++) });
}

Deno.test("reportPath says that there is no session, and then which path is used and since when", () => {
  const paths = manager();
  paths.add("public", ENDPOINT);
  const before = reportPath(paths, FACTS, 1_000);
  assert.deepEqual([before.route, before.reason_code, before.since_ms], [
    "none",
    "no_session",
    null,
  ]);
  paths.heard({ via: "direct", endpoint: ENDPOINT }, 2_000, true, 130);
  assert.deepEqual(reportPath(paths, FACTS, 2_500), {
    node_id: 7,
    route: "direct",
    endpoint: "192.0.2.7:4000",
    kind: "public",
    since_ms: 500,
    rtt_ms: null,
    heard_ms: 500,
    mode: "auto",
    reason_code: "",
    reason: "",
    next_search_ms: null,
    path_mtu: 1500,
    mss: 1408,
    candidates: [
      {
        endpoint: "192.0.2.7:4000",
        kind: "public",
        state: "in_use",
        rtt_ms: null,
        sent: 0,
        answered: 0,
        last_sent_ms: null,
        last_answer_ms: null,
        max_bytes: PATH_BASE_BYTES,
        frames_sent: 0,
        bytes_sent: 0,
        frames_received: 1,
        bytes_received: 130,
      },
      {
        endpoint: "(relay)",
        kind: "relay",
        state: "untested",
        rtt_ms: null,
        sent: 0,
        answered: 0,
        last_sent_ms: null,
        last_answer_ms: null,
        max_bytes: PATH_BASE_BYTES + 1,
        frames_sent: 0,
        bytes_sent: 0,
        frames_received: 0,
        bytes_received: 0,
      },
    ],
  });
});

Deno.test("reportPath says why a relayed peer is not reached directly", () => {
  const paths = manager();
  paths.heard({ via: "relay" }, 0, true);
  assert.equal(reportPath(paths, FACTS, 0).reason_code, "no_endpoint");
  paths.add("public", ENDPOINT);
  paths.search(0);
  const probes = paths.poll(0, NEEDS).probes;
  assert.equal(reportPath(paths, FACTS, 0).reason_code, "probing");
  for (let now = 0; now < 10_000; now += 50) paths.poll(now, NEEDS);
  const later = reportPath(paths, FACTS, 10_000);
  assert.equal(later.reason_code, "no_answer");
  assert.match(later.reason, /NAT or firewall/);
  assert.deepEqual(later.candidates.map(({ state }) => state), ["failed", "in_use"]);
  assert.ok(later.next_search_ms !== null && later.next_search_ms <= 15_000);
  assert.equal(probes.length, 1);
});

Deno.test("reportPath knows a direct path that broke, and modes", () => {
  const paths = manager();
  const direct = { via: "direct", endpoint: ENDPOINT } as const;
  paths.heard(direct, 0, true);
  paths.sent(1_000, true, true);
  let now = 1_000;
  for (; !paths.isRelayed && now < 5_000; now += 50) {
    for (const { route, payload } of paths.poll(now, NEEDS).probes) {
      if (route.via === "relay") paths.answered(pathProbeId(payload), route, now);
    }
  }
  assert.ok(paths.isRelayed);
  for (; now < 9_000; now += 50) paths.poll(now, NEEDS);
  assert.equal(reportPath(paths, FACTS, now).reason_code, "broken");
  const hidden = manager("relay-only");
  hidden.heard({ via: "relay" }, 0, true);
  assert.deepEqual(
    [reportPath(hidden, FACTS, 0).reason_code, reportPath(hidden, FACTS, 0).mode],
    ["relay_only", "relay-only"],
  );
});
