/** Path MTU discovery on real paths: network namespaces joined by veth pairs, with a router between. Needs root. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { connect, type Driver } from "../../mod.ts";
import { isInstalled, isRoot, run } from "../../scripts/bench/host/run_command.ts";
import { cliArgs, eventually } from "./processes.ts";

const SKIP_REASON = !isRoot()
  ? "not root on Linux, so no network namespaces"
  : !await isInstalled("ip") || !await isInstalled("sysctl") || !await isInstalled("nft")
  ? "iproute2, procps or nftables is not installed"
  : "";
const HEADERS_BYTES = 28 + 70;

/** a - router - b. */
class Net implements AsyncDisposable {
  static #count = 0;
  readonly a: string;
  readonly b: string;
  readonly #router: string;

  private constructor() {
    const prefix = `pilotmtu${Deno.pid}-${Net.#count++}`;
    [this.a, this.#router, this.b] = [`${prefix}-a`, `${prefix}-r`, `${prefix}-b`];
  }

  static async create(mtu: number): Promise<Net> {
    const net = new Net();
    try {
      for (const name of [net.a, net.#router, net.b]) {
        await run("ip", ["netns", "add", name]);
        await run("ip", ["-n", name, "link", "set", "lo", "up"]);
      }
      await net.#join(net.a, "toa", "10.77.0", mtu);
      await net.#join(net.b, "tob", "10.77.2", mtu);
      const forward = "net.ipv4.ip_forward=1";
      await run("ip", ["netns", "exec", net.#router, "sysctl", "-q", "-w", forward]);
      return net;
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the router sends to b in one piece from now on; a does not hear of it where it does not listen. */
  async narrow(mtu: number): Promise<void> {
    await run("ip", ["-n", this.#router, "link", "set", "tob", "mtu", `${mtu}`]);
  }

  /** What the router lets through from now on, without a word about the rest: neither larger packets nor fragments. */
  async swallow(mtu: number): Promise<void> {
    await run("ip", [
      ...["netns", "exec", this.#router, "nft"],
      `table ip narrow { chain pass { type filter hook prerouting priority -450; ` +
      `ip frag-off & 0x3fff != 0 drop; meta length > ${mtu} drop; }; }`,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [this.a, this.#router, this.b]) {
      // One that was not made yet is not there to be removed.
      await run("ip", ["netns", "del", name]).catch(() => {});
    }
  }

  async #join(end: string, device: string, subnet: string, mtu: number): Promise<void> {
    await run("ip", [
      ...["-n", this.#router, "link", "add", device, "mtu", `${mtu}`, "type", "veth"],
      ...["peer", "name", "eth0", "mtu", `${mtu}`, "netns", end],
    ]);
    for (const [name, dev, host] of [[this.#router, device, 1], [end, "eth0", 2]] as const) {
      await run("ip", ["-n", name, "addr", "add", `${subnet}.${host}/24`, "dev", dev]);
      await run("ip", ["-n", name, "link", "set", dev, "up"]);
    }
    await run("ip", ["-n", end, "route", "add", "default", "via", `${subnet}.1`]);
    // The router must see datagrams as a wire has them, not many in one.
    await run("ip", ["-n", end, "link", "set", "eth0", "gso_max_segs", "1"]);
  }
}

/** Rendezvous in a's namespace, one daemon in each. */
class Pair implements AsyncDisposable {
  readonly #dir: string;
  readonly #children: Deno.ChildProcess[] = [];
  readonly #drains: Promise<void>[] = [];
  readonly #drivers: Driver[] = [];

  constructor() {
    this.#dir = Deno.makeTempDirSync({ prefix: "pilot-mtu-" });
  }

  async start(net: Net, udp: string): Promise<{ a: Driver; b: Driver; node: number }> {
    const where = ["--registry-addr", "10.77.0.2:0", "--beacon-addr", "10.77.0.2:0"];
    const rendezvous = this.#spawn(net.a, "rendezvous", [
      "rendezvous",
      ...where,
      "--memory",
      "--json",
    ]);
    const reader = rendezvous.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let line = "";
    while (!line.includes("\n")) {
      const { value, done } = await reader.read();
      assert.ok(!done, `the rendezvous ended: ${line}`);
      line += value;
    }
    await reader.cancel();
    const { registry, beacon } = JSON.parse(line.split("\n")[0]!).data;
    const daemon = async (name: string, namespace: string, host: string) => {
      const child = this.#spawn(namespace, name, [
        ...["daemon", "run", "--registry", registry, "--beacon", beacon, "--public"],
        ...["--listen", `${host}:0`, "--log-level", "error", "--udp", udp],
      ]);
      this.#drains.push(child.stdout.pipeTo(new WritableStream()));
      const socket = join(this.#dir, name, "pilot.sock");
      const driver = await eventually(
        `daemon ${name} answers`,
        () => connect({ socket }).catch(() => undefined),
      );
      this.#drivers.push(driver);
      await eventually(
        `daemon ${name} registers`,
        async () => (await driver.info()).registration === "registered" || undefined,
      );
      return driver;
    };
    const [a, b] = await Promise.all([
      daemon("alice", net.a, "10.77.0.2"),
      daemon("bob", net.b, "10.77.2.2"),
    ]);
    return { a, b, node: (await b.info()).node_id };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver.close();
    for (const child of this.#children) {
      child.kill("SIGKILL");
      await child.status;
    }
    await Promise.all(this.#drains);
    await Deno.remove(this.#dir, { recursive: true });
  }

  #spawn(namespace: string, name: string, args: string[]): Deno.ChildProcess {
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", namespace, Deno.execPath(), ...cliArgs(...args)],
      env: { PILOT_HOME: join(this.#dir, name), NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#children.push(child);
    return child;
  }
}

function block(seed: number): Uint8Array {
  const out = new Uint8Array(1 << 20);
  for (let i = 0; i < out.length; i++) out[i] = Math.imul(i ^ seed, 0x9e3779b1) >>> 24;
  return out;
}

/** A stream from a to b; `send` resolves when b has that many MiB more, unharmed. */
async function stream(a: Driver, b: Driver, node: number) {
  const listener = await b.listen(4100);
  const accepting = listener.accept();
  const out = await a.dial(node, 4100);
  const chunks = (await accepting)[Symbol.asyncIterator]();
  let seed = 0;
  const send = async (blocks: number, meanwhile?: () => Promise<void>) => {
    const first = seed;
    const sent = createHash("sha256");
    const got = createHash("sha256");
    const writing = (async () => {
      for (let i = 0; i < blocks; i++) {
        const data = block(first + i);
        sent.update(data);
        await out.write(data);
        if (i === 0) await meanwhile?.();
      }
    })();
    for (let bytes = 0; bytes < blocks << 20;) {
      const { value, done } = await chunks.next();
      assert.ok(!done, "the stream continues");
      got.update(value);
      bytes += value.length;
    }
    await writing;
    seed += blocks;
    assert.equal(got.digest("hex"), sent.digest("hex"));
  };
  const close = async () => {
    await out.close();
    await listener.close();
  };
  return { send, close };
}

/** Keeps data flowing until the segment size is as expected. */
async function settles(
  a: Driver,
  node: number,
  send: (blocks: number) => Promise<void>,
  isRight: (mss: number) => boolean,
): Promise<void> {
  let seen = 0;
  await eventually("the segment size settles", async () => {
    await send(1);
    const { peer_list } = await a.info() as unknown as {
      peer_list: { node_id: number; mss: number }[];
    };
    seen = peer_list.find(({ node_id }) => node_id === node)!.mss;
    return isRight(seen) || undefined;
  }).catch((error) => {
    throw new Error(`segments of ${seen} bytes`, { cause: error });
  });
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: SKIP_REASON === "" ? name : `${name} (skipped: ${SKIP_REASON})`,
    ignore: SKIP_REASON !== "",
    fn,
  });
}

for (const udp of ["linux", "portable"]) {
  test(`${udp} socket finds MTU 1500, and continues when the path becomes narrower`, async () => {
    await using net = await Net.create(1500);
    await using pair = new Pair();
    const { a, b, node } = await pair.start(net, udp);
    const { send, close } = await stream(a, b, node);
    await settles(a, node, send, (mss) => mss === 1500 - HEADERS_BYTES);
    // Segments that are under way must arrive all the same.
    await send(8, () => net.narrow(1300));
    if (udp === "linux") {
      await settles(a, node, send, (mss) => mss <= 1300 - HEADERS_BYTES && mss >= 1152);
    }
    await close();
  });
}

for (const udp of ["linux", "portable"]) {
  test(`${udp} socket continues when the path swallows larger packets and fragments`, async () => {
    await using net = await Net.create(1500);
    await using pair = new Pair();
    const { a, b, node } = await pair.start(net, udp);
    const there = await stream(a, b, node);
    await settles(a, node, there.send, (mss) => mss === 1500 - HEADERS_BYTES);
    await there.send(8, () => net.swallow(1300));
    await settles(a, node, there.send, (mss) => mss <= 1300 - HEADERS_BYTES && mss >= 1152);
    await there.close();
  });
}

test("linux socket finds MTU 9000 as far as segments go", async () => {
  await using net = await Net.create(9000);
  await using pair = new Pair();
  const { a, b, node } = await pair.start(net, "linux");
  const { send, close } = await stream(a, b, node);
  await settles(a, node, send, (mss) => mss > 8_000 && mss <= 9000 - HEADERS_BYTES);
  await close();
});
