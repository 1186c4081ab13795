/**
 * All scenarios by name, in the order in which they run. A new one is a file beside this and a line here.
 *
 * @module
 */

import { bulkBothScenario, bulkScenario, manyStreamsScenario } from "./bulk.ts";
import { fairnessScenario } from "./fairness.ts";
import { firstContactScenario } from "./first_contact.ts";
import { idleScenario } from "./idle.ts";
import { datagramScenario, dialScenario, echoScenario, pingScenario } from "./latency.ts";
import { relayScenario } from "./relay_scenario.ts";
import { registryScenario } from "./registry_scenario.ts";
import type { Scenario } from "./scenario.ts";

/** By name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  bulk: bulkScenario,
  "bulk-both": bulkBothScenario,
  "many-streams": manyStreamsScenario,
  echo: echoScenario,
  ping: pingScenario,
  dial: dialScenario,
  "first-contact": firstContactScenario,
  datagram: datagramScenario,
  relay: relayScenario,
  idle: idleScenario,
  fairness: fairnessScenario,
  registry: registryScenario,
};
