/** Paths that fail in the middle of a transfer: cut, moved to another port, or left without a beacon. Needs root. */

import assert from "node:assert/strict";
import { eventually } from "../e2e/processes.ts";
import { type Host, Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { REMAPPED_PORTS } from "./net/rules.ts";
import { befriend, type Daemon, directWithin, pathBetween, Processes } from "./processes.ts";
import { Transfer } from "./transfer.ts";

const SKIP_REASON = await whyNot();
/** Bits per second towards the receiver: 20 MB take 15 s. */
const RATE = 11_000_000;
const MB = 1_000_000;
const DIRECT_MS = 30_000;
/** How long bytes are waited for before a transfer counts as stuck. */
const STUCK_MS = 20_000;

interface World {
  readonly net: Internet;
  readonly processes: Processes;
  readonly hosts: readonly [Host, Host];
  readonly a: Daemon;
  readonly b: Daemon;
  /** Notes a figure for the report and judges it. */
  readonly judge: (what: string, figure: number | undefined, limitMs: number) => void;
  readonly fault: (what: string | undefined) => void;
}

/** Two hosts behind port-restricted NATs with a direct path and a slow line. */
function test(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test({
    name: SKIP_REASON === "" ? name : `${name} (skipped: ${SKIP_REASON})`,
    ignore: SKIP_REASON !== "",
    timeout: 120_000,
    async fn() {
      await using net = await Internet.create();
      const hosts = [await net.host("restricted"), await net.host("restricted")] as const;
      await using processes = new Processes(net);
      await processes.startRendezvous();
      const [a, b] = await Promise.all([
        processes.daemon("alice", hosts[0]),
        processes.daemon("bob", hosts[1]),
      ]);
      await befriend(a, b);
      await net.limit(hosts[1], RATE);
      const faults: string[] = [];
      const report: string[] = [];
      const judge = (what: string, figure: number | undefined, limitMs: number) => {
        const shown = figure === undefined ? "not in time" : `${Math.round(figure)} ms`;
        report.push(`${what}: ${shown} (at most ${limitMs} ms)`);
        if (figure === undefined || figure > limitMs) faults.push(`${name}: ${what}`);
      };
      const fault = (what: string | undefined) => {
        if (what === undefined) return;
        report.push(what);
        faults.push(`${name}: ${what}`);
      };
      await fn({ net, processes, hosts, a, b, judge, fault });
      console.log(report.join("\n"));
      // A quiet run shows nothing but this.
      assert.equal(faults.length, 0, [...faults, ...report].join("\n"));
    },
  });
}

test("direct path cut", async ({ net, hosts, a, b, judge, fault }) => {
  await using transfer = await Transfer.start(a, b, 20 * MB);
  judge("direct at first", await directWithin(a, b, { timeoutMs: DIRECT_MS }), DIRECT_MS);
  await transfer.more(4 * MB, STUCK_MS);
  const cutMs = performance.now();
  const restore = await net.cut(...hosts);
  await transfer.more(4 * MB, STUCK_MS);
  judge("relay takes over", transfer.longestGapMs(cutMs), 3_000);
  if (await pathBetween(a, b) === "direct") fault("said to be direct while cut");
  await restore();
  const restoredMs = performance.now();
  judge("direct again", await directWithin(a, b, { timeoutMs: DIRECT_MS }), DIRECT_MS);
  fault(await transfer.failure());
  judge("longest gap after the restore", transfer.longestGapMs(restoredMs), 3_000);
});

test("NAT gives other ports", async ({ net, hosts, a, b, judge, fault }) => {
  await using transfer = await Transfer.start(a, b, 10 * MB);
  judge("direct at first", await directWithin(a, b, { timeoutMs: DIRECT_MS }), DIRECT_MS);
  await transfer.more(2 * MB, STUCK_MS);
  const changedMs = performance.now();
  await net.remap(hosts[0]);
  const direct = directWithin(a, b, { timeoutMs: DIRECT_MS, ports: REMAPPED_PORTS });
  await transfer.more(3 * MB, STUCK_MS);
  judge("data flows again", transfer.longestGapMs(changedMs), 5_000);
  judge("direct again", await direct, DIRECT_MS);
  fault(await transfer.failure());
});

test("host carried to another network", async ({ net, hosts, a, b, judge, fault }) => {
  await using transfer = await Transfer.start(a, b, 10 * MB);
  judge("direct at first", await directWithin(a, b, { timeoutMs: DIRECT_MS }), DIRECT_MS);
  await transfer.more(2 * MB, STUCK_MS);
  const carriedMs = performance.now();
  const { publicAddress } = await net.carry(hosts[0]);
  const direct = directWithin(a, b, { timeoutMs: DIRECT_MS, from: publicAddress });
  await transfer.more(3 * MB, STUCK_MS);
  judge("data flows again", transfer.longestGapMs(carriedMs), 5_000);
  judge("direct again", await direct, DIRECT_MS);
  fault(await transfer.failure());
  await eventually("the registry knows the new endpoint", async () => {
    // Anybody sees the endpoint of a public node.
    await a.driver.registry.setVisibility(true);
    const { real_addr } = await b.driver.registry.lookup(a.node);
    return String(real_addr).startsWith(`${publicAddress}:`);
  });
});

test("beacon killed", async ({ processes, a, b, judge, fault }) => {
  await using transfer = await Transfer.start(a, b, 10 * MB);
  judge("direct at first", await directWithin(a, b, { timeoutMs: DIRECT_MS }), DIRECT_MS);
  await transfer.more(2 * MB, STUCK_MS);
  const killedMs = performance.now();
  await processes.killRendezvous();
  fault(await transfer.failure());
  judge("longest gap", transfer.longestGapMs(killedMs), 1_000);
});
