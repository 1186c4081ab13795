/**
 * What an operation between two peers is, and what all of them use.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { eventually } from "../../e2e/processes.ts";
import type { Agent, Kind, Running } from "../world/agent.ts";
import type { PeersWorld } from "../world/world.ts";

/** An agent and whose command line is used on it. */
export class Side {
  readonly agent: Agent;
  readonly cli: Kind;

  constructor(agent: Agent, cli: Kind) {
    this.agent = agent;
    this.cli = cli;
  }

  /** Whose daemon and command line, for the table. */
  toString(): string {
    const { kind } = this.agent;
    return kind === this.cli ? kind : `${kind} by ${this.cli} pilotctl`;
  }

  /** Runs a command that must succeed. */
  // deno-lint-ignore no-explicit-any -- operations look into replies of known shape
  async run(...args: string[]): Promise<any> {
    const { code, data, stdout, stderr } = await this.agent.cli(this.cli, ...args);
    if (code !== 0) throw new Error(`${args.join(" ")}: exit ${code}: ${stderr || stdout}`);
    return data;
  }

  /** Runs a command that must fail. Gives its error. */
  async fails(...args: string[]): Promise<{ code: string; message: string }> {
    const { code, data, stdout, stderr } = await this.agent.cli(this.cli, ...args);
    if (code === 0) throw new Error(`${args.join(" ")} succeeded: ${stdout}`);
    if (typeof data?.code !== "string") throw new Error(`${args.join(" ")}: no code: ${stderr}`);
    return data;
  }

  /** Starts a command. */
  begin(...args: string[]): Running {
    return this.agent.begin(this.cli, ...args);
  }

  /** Whether it lists the other as trusted. */
  async trusts(other: Side): Promise<boolean> {
    const { trusted } = await this.run("trust");
    return (trusted ?? []).some((peer: { node_id: number }) => peer.node_id === other.agent.node);
  }

  /** Whether a request of the other waits. */
  async isAskedBy(other: Side): Promise<boolean> {
    const { pending } = await this.run("pending");
    return (pending ?? []).some((peer: { node_id: number }) => peer.node_id === other.agent.node);
  }

  /** Messages in the inbox. */
  async inbox(): Promise<Record<string, unknown>[]> {
    const dir = join(this.agent.home, ".pilot", "inbox");
    const names = await namesIn(dir);
    return await Promise.all(
      names.map(async (name) => JSON.parse(await Deno.readTextFile(join(dir, name)))),
    );
  }

  /** Names of received files. */
  async received(): Promise<string[]> {
    return await namesIn(join(this.agent.home, ".pilot", "received"));
  }
}

/** An operation from one peer to another one. */
export interface Operation {
  readonly name: string;
  /** Why one of the peers itself cannot do it, whatever we do. */
  readonly cannot?: (from: Side, to: Side) => string | undefined;
  readonly run: (from: Side, to: Side, world: PeersWorld) => Promise<void>;
}

/** Waits until what another process does has happened. */
export async function until(
  what: string,
  look: () => Promise<boolean> | boolean,
  timeoutMs = 30_000,
): Promise<void> {
  await eventually(what, async () => (await look()) || undefined, timeoutMs);
}

/** The other's number as an argument. */
export function nodeOf(side: Side): string {
  return `${side.agent.node}`;
}

/** Waits until both list each other as trusted. */
export async function bothTrust(a: Side, b: Side, timeoutMs?: number): Promise<void> {
  await until("both trust", async () => await a.trusts(b) && await b.trusts(a), timeoutMs);
}

/** Both ask, which is consent of both. */
export async function befriend(a: Side, b: Side): Promise<void> {
  await a.run("handshake", nodeOf(b), "peers");
  await b.run("handshake", nodeOf(a), "peers");
  await bothTrust(a, b);
}

/** Tries a command until it succeeds: what it needs at the other end is being started. */
export async function retried(
  side: Side,
  args: readonly string[],
  timeoutMs?: number,
  // deno-lint-ignore no-explicit-any -- as Side.run
): Promise<any> {
  let last: unknown;
  try {
    return await eventually(`${args.join(" ")} succeeds`, async () => {
      const ended = await side.agent.cli(side.cli, ...args);
      last = ended.stderr || ended.stdout;
      return ended.code === 0 ? ended.data ?? ended.stdout : undefined;
    }, timeoutMs);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}; last: ${last}`);
  }
}

/** Waits for a command under way, which must succeed. */
// deno-lint-ignore no-explicit-any -- as Side.run
export async function finished(running: Running): Promise<any> {
  const { code, data, stdout, stderr } = await running.ended;
  assert.equal(code, 0, `exit ${code}: ${stderr || stdout}`);
  return data ?? stdout;
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    const names = [];
    for await (const { name, isFile } of Deno.readDir(dir)) if (isFile) names.push(name);
    return names;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // nothing has come yet
    throw error;
  }
}
