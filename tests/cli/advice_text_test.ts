import assert from "node:assert/strict";
import { adviceText, hintOf } from "../../cli/advice_text.ts";
import { ADVICE, type Advice, type AdviceId, adviceOf } from "../../protocol/advice.ts";
import { PilotError } from "../../protocol/errors.ts";
import { run } from "./support.ts";

/** One of each kind, with the setting that most of those kinds name. */
const VALUES: Readonly<Record<string, unknown>> = {
  socket: "/run/other.sock",
  node: 7,
  network: 3,
  setting: "registryKey",
  key: "registry_key",
};

function sample(id: AdviceId): Advice {
  const fields = Object.keys(ADVICE[id]).map((name) => [name, VALUES[name]]);
  return { id, ...Object.fromEntries(fields) } as Advice;
}

Deno.test("every advice has words, with the data in them, and crosses the socket whole", () => {
  for (const id of Object.keys(ADVICE) as AdviceId[]) {
    const advice = sample(id);
    assert.deepEqual(adviceOf(JSON.parse(JSON.stringify({ ...advice, other: 1 }))), advice);
    const text = adviceText(advice);
    assert.doesNotMatch(text, /undefined|registryKey\b/, id);
    for (const [name, value] of Object.entries(advice)) {
      if (name === "id") continue;
      const shown = name === "setting" ? "--registry-key" : String(value);
      assert.ok(text.includes(shown), `${id}: ${text}`);
    }
  }
});

Deno.test("commands and options in advice exist", async () => {
  const help = new Map<string, string>();
  for (const id of Object.keys(ADVICE) as AdviceId[]) {
    const text = adviceText(sample(id));
    for (const [, words] of text.matchAll(/pilotctl ((?:[a-z-]+ ?)+)/g)) {
      const path = words!.trim().split(" ").slice(0, 2);
      const known = await Promise.all([path, path.slice(0, 1)].map(async (args) => {
        const key = args.join(" ");
        if (!help.has(key)) help.set(key, (await run([...args, "--help"])).stdout);
        return help.get(key)!.includes(`pilotctl ${key}`);
      }));
      assert.ok(known.includes(true), `${id}: pilotctl ${path.join(" ")}`);
    }
  }
});

Deno.test("advice of later versions and with wrong fields is left out", () => {
  const wrong: readonly unknown[] = [
    undefined,
    "start_daemon",
    ["start_daemon"],
    { id: "of_tomorrow" },
    { id: "toString" },
    { id: "ask_trust" },
    { id: "ask_trust", node: "7" },
    { id: "ask_trust", node: -1 },
    { id: "ask_trust", node: 1.5 },
    { id: "start_daemon", socket: 5 },
  ];
  for (const value of wrong) assert.equal(adviceOf(value), undefined);
  assert.deepEqual(adviceOf({ id: "start_daemon" }), { id: "start_daemon" });
});

Deno.test("hintOf prefers what the error says itself", () => {
  const both = new PilotError("timeout", "x", { hint: "Wait.", advice: { id: "check_peer" } });
  assert.equal(hintOf(both), "Wait.");
  assert.equal(hintOf(new PilotError("timeout", "x")), undefined);
});
