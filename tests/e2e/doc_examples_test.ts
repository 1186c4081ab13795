/**
 * The examples of the public surface, run by `deno test --doc` beside a real daemon, whose neighbor `alice` does what
 * they expect of it: trust, echo, events, names.
 */

import assert from "node:assert/strict";
import type { Driver } from "../../mod.ts";
import { befriend, World } from "./processes.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CONFIG = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
/** Everything that an entry point shows stands in one of these. */
const PLACES = ["sdk", "protocol", "daemon", "gateway", "rendezvous", "platform"];
/** What `deno doc --json` prints, as far as it is looked at. */
interface DocJson {
  nodes: Record<string, {
    symbols: { name: string; declarations: { kind: string; jsDoc?: unknown }[] }[];
  }>;
}

/** How often the neighbor publishes. */
const EVENT_MS = 50;

Deno.test("the examples in the documentation run, each class of the SDK has one", async () => {
  await using world = await World.create();
  await using alice = await world.daemon(
    ...[
      "alice",
      "--hostname",
      "alice",
      "--public",
      "--trust-auto-approve",
      "--nameserver",
    ] as const,
  );
  await using us = await world.daemon("us", "--hostname", "us");
  await befriend(us, alice);
  await using driver = alice.driver;
  await using neighbor = await Neighbor.start(driver);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "-P=test", "--doc", "--quiet"],
      ...Object.values(CONFIG.exports) as string[],
      ...PLACES,
    ],
    cwd: ROOT,
    env: world.env("us"),
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, said);
  assert.equal(neighbor.failure, undefined);
  assert.deepEqual(await classesWithoutExample(), []);
});

/** What the examples talk to: an echo on port 4000, datagrams answered, events about the weather. */
class Neighbor implements AsyncDisposable {
  failure: unknown;
  readonly #ended = new AbortController();
  readonly #work: Promise<void>[];

  static async start(driver: Driver): Promise<Neighbor> {
    const listener = await driver.listen(4000);
    const events = await driver.subscribe(await driver.address(), "none");
    return new Neighbor(driver, [
      async (signal) => {
        signal.addEventListener("abort", () => void listener.close());
        for await (const conn of listener) {
          conn.readable.pipeTo(conn.writable).catch(() => {}); // whoever dialled may hang up
        }
      },
      async (signal) => {
        await using asked = driver.datagrams(4002);
        signal.addEventListener("abort", () => void asked.close());
        for await (const { source, data } of asked) {
          await driver.sendDatagram(source, Number(new TextDecoder().decode(data)), data);
        }
      },
      async (signal) => {
        while (!signal.aborted) {
          await events.publish("weather", "fair");
          await new Promise((resolve) => setTimeout(resolve, EVENT_MS));
        }
        await events.close();
      },
    ]);
  }

  private constructor(
    readonly driver: Driver,
    parts: readonly ((signal: AbortSignal) => Promise<void>)[],
  ) {
    this.#work = parts.map((part) =>
      part(this.#ended.signal).catch((error) => {
        this.failure ??= error;
      })
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#work);
  }
}

/** Names of public classes whose documentation shows no use of them. */
async function classesWithoutExample(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", `${ROOT}mod.ts`, `${ROOT}gateway/mod.ts`],
  }).output();
  const document: DocJson = JSON.parse(new TextDecoder().decode(stdout));
  const classes = Object.values(document.nodes).flatMap(({ symbols }) => symbols)
    .filter(({ declarations }) => declarations.some(({ kind }) => kind === "class"));
  assert.ok(classes.some(({ name }) => name === "Driver"), "deno doc shows the classes");
  return classes
    .filter(({ declarations }) => !JSON.stringify(declarations[0]!.jsDoc).includes("```ts"))
    .map(({ name }) => name);
}
