/** Every ordered pair of kinds of networks, and pairs behind the same box. */

import assert from "node:assert/strict";
import { crossPairings, runPairings, sharedPairings, table } from "./matrix.ts";

Deno.test("two agents talk at once and find the best path whatever networks they are in", async () => {
  const only = Deno.env.get("PILOT_SIM_PAIR");
  const pairings = [...crossPairings(), ...sharedPairings()]
    .filter(({ name }) => only === undefined || name.includes(only));
  const outcomes = await runPairings(pairings);
  const text = table(outcomes);
  // deno-lint-ignore no-console -- only when asked for
  if (Deno.env.get("PILOT_SIM_PRINT") !== undefined) console.log(text);
  const short = outcomes.filter(({ faults }) => faults.length > 0);
  assert.equal(short.length, 0, `Not as required:\n${table(short)}`);
});
