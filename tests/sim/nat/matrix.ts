/**
 * Runs pairs of agents in all kinds of networks at the same virtual time, and says how each pair fared.
 *
 * @module
 */

import { canBeDirect, type Kind, KINDS } from "./kinds.ts";
import { type Agent, type Conversation, Topology, type Way, wayBetween } from "./topology.ts";

/** One pair of the matrix. */
export interface Pairing {
  /** `who calls > who is called`. */
  readonly name: string;
  /** Puts both into the internet, the caller first. */
  readonly place: (topology: Topology) => Promise<readonly [Agent, Agent]>;
  /** The best way there is. */
  readonly best: Exclude<Way, "none">;
}

/** How a pair fared. */
export interface Outcome {
  readonly name: string;
  readonly best: Way;
  /** The way at the end. */
  readonly way: Way;
  /** From the call to the first byte of the answer, ms. */
  readonly firstByteMs: number | undefined;
  /** From the call until both sides sent directly and kept doing so, ms. */
  readonly directMs: number | undefined;
  /** Frames with application data that the beacon relayed in the last {@linkcode QUIET_MS}. */
  readonly relayedLate: number;
  /** What was asked for and did not happen; empty when all is well. */
  readonly faults: readonly string[];
}

/** Time for each pair to find its way, ms. */
export const DIRECT_WITHIN_MS = 30_000;
/** Time within which the first byte must be there, ms. */
export const FIRST_BYTE_WITHIN_MS = 1_000;
/** The last part of a run, in which no application data may take a detour, ms. */
const QUIET_MS = 2_000;
const RUN_MS = DIRECT_WITHIN_MS + QUIET_MS;
const STEP_MS = 50;
/** Often enough that something is always under way while the path changes. */
const SAY_EVERY_MS = 150;
/** For pairs whose path need not change. */
const SAY_RELAYED_EVERY_MS = 1_000;
/** Nothing is said in the end, so that everything arrives, ms. */
const LISTEN_MS = 1_000;
/** More than any frame without application data. */
const SAY_BYTES = 700;

/** Every ordered pair of kinds. */
export function crossPairings(kinds: readonly Kind[] = Object.values(KINDS)): Pairing[] {
  return kinds.flatMap((a) =>
    kinds.map((b): Pairing => ({
      name: `${a.name} > ${b.name}`,
      place: async (topology) => [await topology.agent(a), await topology.agent(b)],
      best: canBeDirect(a, b) ? "direct" : "relay",
    }))
  );
}

/** Pairs behind the same box. */
export function sharedPairings(): Pairing[] {
  const { port, fullCone, symmetric } = KINDS;
  const shared: Pairing[] = [];
  for (const hairpin of [true, false]) {
    const suffix = hairpin ? "hairpin" : "no hairpin";
    for (const kind of [fullCone, port, symmetric]) {
      const boxes = kind.boxes.map((box) => ({ ...box, hairpin }));
      shared.push({
        name: `same lan, ${kind.name}, ${suffix}`,
        place: async (topology) => {
          const site = topology.site({ ...kind, boxes });
          return [await topology.agent(site), await topology.agent(site)];
        },
        best: "lan",
      });
    }
    const carrier: Kind = { ...port, boxes: port.boxes.map((box) => ({ ...box, hairpin })) };
    shared.push({
      name: `same carrier, ${suffix}`,
      place: async (topology) => {
        const within = topology.site(carrier);
        const [a, b] = [topology.site(port, { within }), topology.site(port, { within })];
        return [await topology.agent(a), await topology.agent(b)];
      },
      best: hairpin ? "direct" : "relay",
    });
  }
  return shared;
}

class Run {
  readonly #topology: Topology;
  readonly #pairing: Pairing;
  readonly #agents: readonly [Agent, Agent];
  readonly #startMs: number;
  #talk: Conversation | undefined;
  #error: string | undefined;
  #directMs: number | undefined;

  constructor(topology: Topology, pairing: Pairing, agents: readonly [Agent, Agent]) {
    this.#topology = topology;
    this.#pairing = pairing;
    this.#agents = agents;
    this.#startMs = topology.now;
    topology.call(...agents).then((talk) => {
      this.#talk = talk;
      this.say();
    }, (error) => this.#error = String(error));
  }

  step(ms: number): void {
    const everyMs = this.#pairing.best === "relay" ? SAY_RELAYED_EVERY_MS : SAY_EVERY_MS;
    if (ms % everyMs === 0 && ms < RUN_MS - LISTEN_MS) this.say();
    this.#look();
    // They keep every packet for tests of the tunnel.
    for (const { node } of this.#agents) node.received.length = 0;
  }

  say(): void {
    this.#talk?.dialer.say(SAY_BYTES);
    this.#talk?.acceptor.say(SAY_BYTES);
  }

  #look(): void {
    const way = wayBetween(...this.#agents);
    if (way === "none" || way === "relay") this.#directMs = undefined;
    else this.#directMs ??= this.#topology.now - this.#startMs;
  }

  outcome(): Outcome {
    const { name, best } = this.#pairing;
    const [a, b] = this.#agents.map(({ node }) => node.node);
    const way = wayBetween(...this.#agents);
    const firstMs = this.#talk?.dialer.firstByteMs;
    const firstByteMs = firstMs === undefined ? undefined : firstMs - this.#startMs;
    const relayedLate =
      this.#topology.beacon.relayed.filter(({ at, sender, dest, bytes }) =>
        at > this.#topology.now - QUIET_MS && bytes >= SAY_BYTES &&
        (sender === a && dest === b || sender === b && dest === a)
      ).length;
    const directMs = this.#directMs;
    const faults: string[] = [];
    if (this.#error !== undefined) faults.push(this.#error);
    for (const [one, other] of this.#sides()) {
      if (one.error !== undefined) faults.push(one.error);
      if (one.heard !== other.wanted) faults.push(`heard ${one.heard} of ${other.wanted} bytes`);
    }
    if (firstByteMs === undefined || firstByteMs >= FIRST_BYTE_WITHIN_MS) {
      faults.push(`first byte after ${firstByteMs} ms`);
    }
    if (way !== best) faults.push(`${way}, not ${best}`);
    if (best !== "relay") {
      if (directMs === undefined || directMs > DIRECT_WITHIN_MS) {
        faults.push(`direct after ${directMs} ms`);
      }
      if (relayedLate > 0) faults.push(`${relayedLate} frames still relayed`);
    }
    return { name, best, way, firstByteMs, directMs, relayedLate, faults };
  }

  #sides() {
    if (this.#talk === undefined) return [];
    const { dialer, acceptor } = this.#talk;
    return [[dialer, acceptor], [acceptor, dialer]] as const;
  }
}

/** Runs pairs in one internet. */
export async function runPairings(pairings: readonly Pairing[]): Promise<Outcome[]> {
  await using topology = new Topology();
  const placed: (readonly [Agent, Agent])[] = [];
  for (const pairing of pairings) {
    const agents = await pairing.place(topology);
    topology.trust(...agents);
    placed.push(agents);
  }
  await topology.run(1_000); // Everybody registers.
  const runs = pairings.map((pairing, i) => new Run(topology, pairing, placed[i]!));
  for (let ms = 0; ms < RUN_MS; ms += STEP_MS) {
    await topology.run(STEP_MS);
    for (const run of runs) run.step(ms);
  }
  return runs.map((run) => run.outcome());
}

/** The outcomes as a table. */
export function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    const { name, best, way, firstByteMs, directMs, faults } = outcome;
    const cells = [name.padEnd(40), best.padEnd(6), way.padEnd(6)];
    for (const ms of [firstByteMs, directMs]) cells.push(`${ms ?? "-"}`.padStart(6));
    return [...cells, faults.join("; ")].join("  ").trimEnd();
  });
  const head = "pair".padEnd(40) + "  best    way      first  direct  faults (ms)";
  return [head, ...rows].join("\n");
}
