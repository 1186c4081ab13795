/** Every kind of NAT against every other: real daemons behind real nft rules. Needs root. */

import assert from "node:assert/strict";
import { type Host, Internet, type Kind, KINDS } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { dial, type Dialled, expectedPath, type Row, table } from "./matrix.ts";
import { befriend, type Daemon, Processes } from "./processes.ts";

const SKIP_REASON = await whyNot();
/** Pairs whose daemons run at a time: what two cores start in a few seconds. */
const WAVE = 16;
/** Daemons that start at a time. */
const STARTING = 3;

interface Pair {
  readonly name: string;
  readonly kinds: readonly [Kind, Kind];
  readonly hosts: readonly [Host, Host];
}

/** The left one dials. Behind a symmetric NAT it makes a difference who does, so those come both ways round. */
function pairs(hosts: ReadonlyMap<Kind, readonly [Host, Host]>): Pair[] {
  const pair = (left: Kind, right: Kind): Pair => ({
    name: `${left} > ${right}`,
    kinds: [left, right],
    hosts: [hosts.get(left)![0], hosts.get(right)![1]],
  });
  const once = KINDS.flatMap((left, i) => KINDS.slice(i).map((right) => pair(left, right)));
  const turned = KINDS.slice(0, KINDS.indexOf("symmetric"))
    .map((right) => pair("symmetric", right));
  return [...once, ...turned];
}

/** Maps in order, some at a time. */
async function pooled<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** Daemons of their own for every pair, so that nothing is left from the pair before. */
async function wave(net: Processes, some: readonly Pair[], tag: string): Promise<Row[]> {
  const ends = some.flatMap(({ hosts }, i) =>
    hosts.map((host, side) => ({ name: `${tag}-${i}${"ab"[side]}`, host }))
  );
  const start = async () => {
    const daemons = await pooled(ends, STARTING, ({ name, host }) => net.daemon(name, host));
    return some.map((_, i) => [daemons[2 * i]!, daemons[2 * i + 1]!] as const);
  };
  await pooled(await start(), STARTING, async ([a, b]) => {
    await befriend(a, b);
    await Promise.all([a.stop(), b.stop()]);
  });
  // Getting to know each other has opened tunnels; the new processes have other ports, and know nothing of them.
  const sides = await start();
  const dialled: Dialled[] = [];
  // One after the other: the first byte is timed.
  for (const [i, { name, kinds }] of some.entries()) {
    const [a, b]: readonly [Daemon, Daemon] = sides[i]!;
    dialled.push(await dial(name, expectedPath(...kinds), a, b));
  }
  await Promise.all(dialled.map(({ watch }) => watch()));
  await Promise.all(sides.flat().map((daemon) => daemon[Symbol.asyncDispose]()));
  return dialled.map(({ row }) => row);
}

Deno.test({
  name: SKIP_REASON === ""
    ? "every two kinds of NAT communicate, directly wherever their rules allow it"
    : `NAT matrix (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 240_000,
  async fn() {
    await using net = await Internet.create();
    const hosts = new Map<Kind, readonly [Host, Host]>();
    for (const kind of KINDS) hosts.set(kind, await net.pair(kind));
    await using processes = new Processes(net);
    await processes.startRendezvous();
    const all = pairs(hosts);
    const rows: Row[] = [];
    for (let from = 0; from < all.length; from += WAVE) {
      rows.push(...await wave(processes, all.slice(from, from + WAVE), `${from}`));
    }
    console.log(table(rows));
    const short = rows.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`));
    // A quiet run shows nothing but this.
    assert.equal(short.length, 0, `${short.join("; ")}\n${table(rows)}`);
  },
});
